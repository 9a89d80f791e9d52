"""The cells that a plan is about: of a policy, by globs, rigs and `-m`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from matrix.model import Cell
from matrix.planning import select
from matrix.planning.expand import expand_matrix
from matrix.planning.named import list_runnable_named
from matrix.planning.owed import Depth
from matrix.yaml.loaded import Matrix
from reports.gate import policy


def add_options(add: Callable[..., object]) -> None:
    """Add the options that select, by argparse's `add_argument`."""
    add("-m", dest="marks", default="", metavar="EXPR", help='like pytest -m: "sm120 and not mtp"')
    add("--policy", type=Path, metavar="FILE", help="the cells that a gate requires, at its depth")
    select.add_options(add)


def select_cells(matrix: Matrix, args: argparse.Namespace) -> Sequence[Cell]:
    """Select the runnable cells that match every given option.

    Raises:
        ConfigError: a mark, glob, rig or policy that does not exist.
    """
    cells: Sequence[Cell] = [*expand_matrix(matrix).runnable, *list_runnable_named(matrix, args.cells)]
    if args.policy:
        wanted = {c.id for c in policy.expect_cells(*policy.load_policy(args.policy), matrix)}
        cells = [c for c in cells if c.id in wanted]
    # Each option narrows what the ones before it left, so that a policy's cells on one rig are a plan, too.
    if args.cells:
        cells = select.select_by_globs(cells, args.cells)
    if args.rig:
        cells = select.select_by_rigs(matrix, cells, args.rig)
    if args.marks:
        # A misspelt word would match nothing, and `not` of it everything.
        select.check_words(args.marks, select.all_marks(matrix), select.list_values(matrix))
        keep = select.compile_expression(args.marks)
        cells = [c for c in cells if keep(select.make_matcher(c))]
    return cells


def read_depth(path: Path | None) -> Depth:
    """Return the depth at which the gate wants to be asked; the shallowest where no gate is named."""
    return policy.load_policy(path)[0].depth if path else "quick"
