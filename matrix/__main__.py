"""python -m matrix: look at the matrix without a GPU, an engine or a network."""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from matrix.condition import FORMS
from matrix.errors import ConfigError, Problem
from matrix.facts.bases import count_boundaries, describe_boundaries, lint_reports
from matrix.facts.lint import lint_facts
from matrix.facts.releases import explain_unheld, lint_releases
from matrix.known.lint import lint_known_failures
from matrix.known.meeting import lint_sources
from matrix.model import Cell, Excluded, Form
from matrix.output import script as shell
from matrix.output import table as render
from matrix.output.columns import format_table
from matrix.output.command_line import CommandLine
from matrix.output.explained import render_explained
from matrix.output.listing import ListedRow, render_cells, render_excluded
from matrix.output.pipe import run_for_a_pipe
from matrix.planning import select
from matrix.planning.exclusions import count_by_rule
from matrix.planning.expand import (
    expand_matrix,
    find_cell,
    list_exclusions,
    list_published_exclusions,
)
from matrix.planning.fit import tell_fit, word_of_plan
from matrix.planning.images import warn_unpinned
from matrix.planning.named import list_named
from matrix.planning.plan import Plan, make_plan
from matrix.recommending.provenance import gather_history, judge_provenance
from matrix.recommending.ran import read_ran
from matrix.serving.container import refuse_tag_alone, render_compose
from matrix.serving.places import ServingPlaces
from matrix.serving.script import SECTIONS, choose_sections, render_serving_script
from matrix.serving.systemd import render_unit
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix

CELL_HELP = "a cell's id, RIG.RELEASE.CHECKPOINT.FEATURES, runnable or not; see `glm-matrix list`"


def make_parser() -> argparse.ArgumentParser:
    top = CommandLine(prog="glm-matrix", description=__doc__, epilog="Every other verb: `glm-matrix --help`.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    ls = verbs.add_parser("list", help="cells of the matrix as a table or JSON")
    ls.add_argument("-m", dest="marks", default="", metavar="EXPR", help='like pytest -m: "sm120 and not mtp"')
    select.add_options(ls.add_argument)
    ls.add_argument("--excluded", action="store_true", help="also list what is not run, with its reason")
    ls.add_argument("--json", action="store_true", help="axes, cells with plans, and exclusions by rule as JSON")
    show = verbs.add_parser("show", help="a cell's launch script, ready to copy")
    show.add_argument("cell", metavar="CELL", help=CELL_HELP)
    show.add_argument("--as-published", action="store_true", help="the source's own launch, without our corrections")
    _add_forms(show)
    why = verbs.add_parser("explain", help="every flag of a cell with file:line and why")
    why.add_argument("cell", metavar="CELL", help=CELL_HELP)
    why.add_argument("--as-published", action="store_true", help="the source's own form, without our corrections")
    for verb in (ls, why):
        verb.add_argument("--wide", action="store_true", help="one line for each, however long; else 100 columns")
    why_not = verbs.add_parser("why-not", help="the chain of reasons why a cell is not run")
    why_not.add_argument("cell", metavar="CELL", help=CELL_HELP)
    verbs.add_parser("lint", help="load and plan everything; report every problem at once")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 fine, 1 the answer is no, 2 bad input.

    Verbs with effects live above this layer: `python -m matrix doctor` is `glm-matrix doctor`.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] not in VERBS and not words[0].startswith("-"):
        from cli.program import main as run_any_verb

        return run_any_verb(words)
    args = make_parser().parse_args(words)
    try:
        return VERBS[args.verb](load_matrix(), args)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


def require_cell(matrix: Matrix, cell_id: str) -> Cell:
    """Find the cell with that id, runnable or not.

    Raises:
        ConfigError: no combination of the axes has it.
    """
    if cell := find_cell(matrix, cell_id):
        return cell
    hint = select.suggest_cell(cell_id, (c.id for c in expand_matrix(matrix).runnable))
    raise ConfigError([Problem("CELL", 0, "", f"no such cell {cell_id!r}{hint}")])


def list_cells(matrix: Matrix, args: argparse.Namespace) -> int:
    runnable, excluded = choose_cells(matrix, args)
    if args.json:
        print(_as_json(matrix, runnable, excluded, with_excluded=args.excluded))
        return 0
    who = _list_provenance(matrix, runnable)
    rows = [ListedRow(c.id, make_plan(matrix, c).fingerprint, who[c], _problems(matrix, c)) for c in runnable]
    out = list(excluded.items()) if args.excluded else []
    if args.wide:
        print(
            format_table(
                [[*row[:3], ", ".join(row.known)] for row in rows], ("cell", "launch", "who", "known failures")
            )
        )
        if out:
            print("\n" + format_table([[c.id, e.status, e.reason] for c, e in out], ("not run", "status", "reason")))
    else:
        print(render_cells(rows))
        if out:
            print(f"\n{render_excluded(out)}")
    launches = len({row.launch for row in rows})
    why = "" if runnable or args.excluded or not excluded else ", each with its reason: add --excluded"
    print(f"\n{len(runnable)} runnable cells in {launches} launches; {len(excluded)} combinations excluded{why}")
    return 0 if runnable else 1


def _list_provenance(matrix: Matrix, cells: Iterable[Cell]) -> dict[Cell, str]:
    """Who has run each cell; empty for what is only expected to run."""
    history = gather_history(matrix, read_ran())
    levels = ((cell, judge_provenance(matrix, cell, history).level) for cell in cells)
    return {cell: "" if level == "expected" else level for cell, level in levels}


def _as_json(
    matrix: Matrix, runnable: Sequence[Cell], excluded: Mapping[Cell, Excluded], *, with_excluded: bool
) -> str:
    """Format the axes, the chosen cells with their plans (one per line), and the excluded ones, counted by rule."""
    who = _list_provenance(matrix, runnable)
    out = {
        "axes": {
            name: list(getattr(matrix, name)) for name in ("rigs", "releases", "families", "checkpoints", "features")
        },
        "excluded": {"count": len(excluded), "by_rule": count_by_rule(excluded)},
        "cells": [render.plan_json(make_plan(matrix, c)) | {"who": who[c]} for c in runnable],
    }
    if with_excluded:
        out["excluded_cells"] = [render.excluded_json(c, e) for c, e in excluded.items()]
    return json.dumps(out, default=str)


def choose_cells(matrix: Matrix, args: argparse.Namespace) -> tuple[Sequence[Cell], Mapping[Cell, Excluded]]:
    """Return the cells that the options leave: runnable ones, and excluded ones with their reasons."""
    world = expand_matrix(matrix)
    if not (args.cells or args.rig or args.marks):
        return world.runnable, world.excluded
    named = {cell: why for cell, why in list_named(matrix, args.cells) if why}
    chosen = _filter_cells(matrix, args)
    out = {c: e for c in chosen if (e := world.excluded.get(c) or named.get(c))}
    return [c for c in chosen if c not in out], out


def _filter_cells(matrix: Matrix, args: argparse.Namespace) -> list[Cell]:
    world = expand_matrix(matrix)
    cells: list[Cell] = [*world.runnable, *world.excluded, *(cell for cell, _ in list_named(matrix, args.cells))]
    if args.rig:
        cells = select.select_by_rigs(matrix, cells, args.rig)
    if args.cells:
        cells = select.select_by_globs(cells, args.cells)
    if args.marks:
        select.check_words(args.marks, select.all_marks(matrix), select.list_values(matrix))
        keep = select.compile_expression(args.marks)
        cells = [c for c in cells if keep(select.make_matcher(c))]
    return cells


def _problems(matrix: Matrix, cell: Cell) -> list[str]:
    return [k.value.id for k in matrix.known_failures if k.condition(cell.facts)]


def _add_forms(show: argparse.ArgumentParser) -> None:
    sections = " ".join(SECTIONS)
    show.add_argument("--only", type=_split_names, default=(), metavar="SECTION,...", help=f"only these: {sections}")
    show.add_argument("--without", type=_split_names, default=(), metavar="SECTION,...", help="all but these")
    form = show.add_mutually_exclusive_group()
    form.add_argument("--docker", action="store_true", help="in the release's image, published on 127.0.0.1")
    form.add_argument("--compose", action="store_true", help="as a Docker Compose file")
    form.add_argument("--systemd", action="store_true", help="as a systemd unit")


def _split_names(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.replace(",", " ").split() if word)


def show_cell(matrix: Matrix, args: argparse.Namespace, places: ServingPlaces = ServingPlaces()) -> int:  # noqa: B008  frozen
    cell = require_cell(matrix, args.cell)
    made = make_plan(matrix, cell, _choose_form(args))
    sections = choose_sections(only=args.only, without=args.without)
    if args.as_published:
        text = refuse_tag_alone(shell.render_script(made), made, places)
    elif args.compose:
        text = render_compose(made, places)
    elif args.systemd:
        text = render_unit(made, places)
    else:
        text = render_serving_script(made, places, sections, docker=args.docker)
    print(text, end="")
    if list_exclusions(matrix, cell):
        print(f"# NOT RUN by the matrix: glm-matrix why-not {cell.id}")
    return _tell_misfit(made)


def _tell_misfit(made: Plan) -> int:
    """Exit code of a command that shows a plan: 1 where it does not fit, which the last line says."""
    if word_of_plan(made) != "does not fit":
        return 0
    print(f"# {tell_fit(made)}")
    return 1


def _choose_form(args: argparse.Namespace) -> Form:
    return "published" if args.as_published else "recommended"


def explain_cell(matrix: Matrix, args: argparse.Namespace) -> int:
    planned = make_plan(matrix, require_cell(matrix, args.cell), _choose_form(args))
    print(render.explain_plan(planned) if args.wide else render_explained(planned))
    return _tell_misfit(planned)


def why_not_cell(matrix: Matrix, args: argparse.Namespace) -> int:
    cell = require_cell(matrix, args.cell)
    reasons = list_exclusions(matrix, cell)
    print(render.explain_exclusion(cell, reasons) if reasons else f"{cell.id} is runnable: glm-matrix show {cell.id}")
    if not reasons and (published := list_published_exclusions(matrix, cell)):
        print(render.explain_exclusion(cell, published, head="would not be run as published:"))
    return 0


def lint_matrix(matrix: Matrix, _: argparse.Namespace) -> int:
    world = expand_matrix(matrix)
    places: dict[tuple[str, int, str], list[Problem]] = {}
    for cell in world.runnable:
        for form in FORMS:
            try:
                make_plan(matrix, cell, form)
            except ConfigError as error:
                for p in error.problems:
                    places.setdefault((p.file, p.line, p.where), []).append(p)
    problems = [_once(same) for same in places.values()]
    problems += lint_known_failures(matrix, datetime.now(UTC).date())
    problems += lint_sources(matrix)
    problems += [*lint_facts(matrix), *lint_reports(matrix)]
    problems += lint_releases(matrix)
    if problems:
        raise ConfigError(problems)
    for warning in warn_unpinned(matrix.releases.values()):
        print(f"warning: {warning}", file=sys.stderr)
    if unheld := explain_unheld(matrix):
        print(f"warning: {unheld}", file=sys.stderr)
    launches = len({make_plan(matrix, c).fingerprint for c in world.runnable})
    print(
        f"ok: {len(world)} combinations, {len(world.runnable)} runnable in {launches} launches,"
        f" {len(world.excluded)} excluded with a reason; {len(matrix.overlays)} overlays, {len(matrix.rules)} rules,"
        f" {len(matrix.known_failures)} known failures, {len(matrix.claims)} claims"
    )
    print(describe_boundaries(count_boundaries(matrix)))
    return 0


def _once(same: Sequence[Problem]) -> Problem:
    """One contradiction shows up in every cell it touches; say it once."""
    first, more = same[0], len(same) - 1
    return replace(first, message=f"{first.message} (and {more} more plans)") if more else first


VERBS = {"list": list_cells, "show": show_cell, "explain": explain_cell, "why-not": why_not_cell, "lint": lint_matrix}

if __name__ == "__main__":
    gc.disable()  # 40,000 cells that all live until the end: looking for garbage among them is a sixth of the time
    sys.exit(run_for_a_pipe(main))
