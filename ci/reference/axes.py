"""Generates docs/reference/marks.md and matrix.md: the marks of the axes, and how many cells they make today."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ci.reference.markdown import format_code, format_table
from matrix.planning.expand import World, expand_matrix
from matrix.planning.plan import make_plan
from matrix.planning.select import CELL_KEYS, all_marks
from matrix.yaml.loaded import Matrix


def make_marks_page(matrix: Matrix, of_tests: Mapping[str, str]) -> str:
    """Make the page of words for `-m`: marks of cells come from the axes, marks of tests from the suites."""
    return "\n".join(
        [
            "# Marks\n",
            "Words for `pytest -m` and `python -m matrix list -m`, joined by `and`, `or`, `not` and brackets."
            " A word that does not exist is an error that names the nearest one.\n",
            "## Of cells\n",
            format_table(("mark", "meaning"), ((format_code(m), what) for m, what in all_marks(matrix).items())),
            "`cell(...)` compares facts, e.g. `cell(engine='sglang', feature='mtp')`:"
            f" {', '.join(map(format_code, CELL_KEYS))}.\n",
            "## Of tests (pytest only)\n",
            format_table(("mark", "meaning"), ((format_code(m), what) for m, what in of_tests.items() if m != "cell")),
        ]
    )


def make_matrix_page(matrix: Matrix) -> str:
    world = expand_matrix(matrix)
    launches = len({make_plan(matrix, c).fingerprint for c in world.runnable})
    return "\n".join(
        [
            "# The matrix today\n",
            f"{len(matrix.rigs)} rigs x {len(matrix.releases)} releases x {len(matrix.checkpoints)} checkpoints x"
            f" {2 ** len(matrix.features)} sets of features = {len(world)} combinations."
            f" **{len(world.runnable)} are runnable, in {launches} launches**;"
            f" {len(world.excluded)} are excluded, each with its reason (`python -m matrix why-not CELL`).\n",
            "## Runnable cells per rig and release\n",
            _per_rig_and_release(matrix, world),
            "## Excluded combinations, by the first rule that says so\n",
            _per_rule(world),
            f"Beside the axes: {len(matrix.overlays)} recipe overlays, {len(matrix.rules)} rules,"
            f" {len(matrix.known_failures)} known failures, {len(matrix.claims)} published tables.\n",
        ]
    )


def _per_rig_and_release(matrix: Matrix, world: World) -> str:
    cells = Counter((c.rig.id, c.release.id) for c in world.runnable)
    rows = [[format_code(rel), *(cells[rig, rel] or "" for rig in matrix.rigs)] for rel in matrix.releases]
    total = ["**all**", *(sum(n for (r, _), n in cells.items() if r == rig) for rig in matrix.rigs)]
    return format_table(("release", *matrix.rigs), [*rows, total])


def _per_rule(world: World) -> str:
    found: Counter[tuple[str, str, str]] = Counter()
    for e, count in world.excluded.grouped():
        found[e.rule, str(e.status), e.where.split(":")[0]] += count
    most_first = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    rows = ((format_code(rule), status, format_code(where), n) for (rule, status, where), n in most_first)
    return format_table(("rule", "status", "stands in", "combinations"), rows)
