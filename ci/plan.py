"""Selected cells -> CI jobs: one launch group per job, or a few where GitHub's limits do not leave room for all.

    python -m ci.plan -m "sm120 and sglang"                          a table
    python -m ci.plan --policy ci/gates/sm120.yaml --format json     what that gate will ask for, as JSON
    python -m ci.plan -m sm120 --format github >> "$GITHUB_OUTPUT"   `groups` (for fromJSON), `empty` and `depth`

Cells with equal fingerprints share a launch and so a job. Most GPUs come first, then most cells: the longest jobs are
not left for the end. Exit codes: 0 fine, 1 nothing to run (table and json), 2 bad input.
"""

# ruff: noqa: T201 - a program: printing is what it does
from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci import runners
from ci.runners import Runner
from matrix.errors import ConfigError
from matrix.hardware import Rig
from matrix.model import Cell
from matrix.output import table as render
from matrix.planning import select
from matrix.planning.expand import expand_matrix
from matrix.planning.owed import Depth
from matrix.planning.plan import make_plan
from matrix.scheduling.groups import Asked, group_cells
from matrix.scheduling.run_plan import dump_run_plan, make_run_plan
from matrix.yaml.load import digest_of, load_matrix
from matrix.yaml.loaded import Matrix
from reports.gate import policy

MAX_JOBS = 256  # per matrix of a GitHub workflow run (docs.github.com, "Actions limits")
MAX_QUEUED = 100  # per concurrency group with `queue: max` (github.blog changelog, 2026-05-07)
MAX_JOB_MIN = 5 * 24 * 60  # a job on a self-hosted runner may run for 5 days (docs.github.com, "Actions limits")


@dataclass(frozen=True, kw_only=True)
class LaunchGroup:
    """Cells that one running engine serves."""

    fingerprint: str
    rig: Rig
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Job:
    """Launch groups of one rig that one `pytest` process runs, one after another."""

    rig: Rig
    runner: Runner
    groups: tuple[LaunchGroup, ...]

    @property
    def id(self) -> str:
        """Unique in a plan; it stays the same while the first launch of the job does."""
        return f"{self.rig.id}-{self.groups[0].fingerprint}"

    @property
    def cells(self) -> tuple[str, ...]:
        return tuple(c.id for g in self.groups for c in g.cells)

    @property
    def timeout_min(self) -> int:
        return min(MAX_JOB_MIN, self.runner.launch_timeout_min * len(self.groups))

    def as_json(self) -> dict[str, Any]:
        """Return what a workflow needs. `cells` is one string for the command line, with a word for each cell."""
        return {
            "id": self.id,
            "rig": self.rig.id,
            "gpus": self.rig.gpus,
            "mark": f"sm{self.rig.sm}" if self.rig.sm else "cpu",
            "host": self.runner.host,
            "runs_on": list(self.runner.labels),
            "timeout_min": self.timeout_min,
            "models": self.runner.models,
            "launches": len(self.groups),
            "cells": " ".join(self.cells),
        }


def group_by_launch(matrix: Matrix, cells: Iterable[Cell]) -> tuple[LaunchGroup, ...]:
    """Group cells by fingerprint and sort the groups in the order in which their jobs should start."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(make_plan(matrix, cell).fingerprint, []).append(cell)
    groups = (LaunchGroup(fingerprint=f, rig=own[0].rig, cells=tuple(own)) for f, own in found.items())
    return tuple(sorted(groups, key=lambda g: (-g.rig.gpus, -len(g.cells))))


def pack_jobs(groups: Sequence[LaunchGroup], served: Mapping[str, Runner]) -> tuple[Job, ...]:
    """Pack launch groups into jobs: one group per job, or the smallest equal number per job that GitHub's limits
    allow."""
    groups = [g for g in groups if served[g.rig.id].serves]
    per_job = 1
    while not _within_limits(packed := _pack_groups(groups, served, per_job)):
        per_job += 1
    return packed


def _pack_groups(groups: Sequence[LaunchGroup], served: Mapping[str, Runner], per_job: int) -> tuple[Job, ...]:
    by_rig: dict[str, list[LaunchGroup]] = {}
    for group in groups:
        by_rig.setdefault(group.rig.id, []).append(group)
    return tuple(
        Job(rig=own[0].rig, runner=served[rig], groups=tuple(own[i : i + per_job]))
        for rig, own in by_rig.items()
        for i in range(0, len(own), per_job)
    )


def _within_limits(packed: Sequence[Job]) -> bool:
    queued = Counter(j.runner.host for j in packed)
    return len(packed) <= MAX_JOBS and max(queued.values(), default=0) <= MAX_QUEUED


def select_cells(matrix: Matrix, args: argparse.Namespace) -> Sequence[Cell]:
    """Select the runnable cells that match every given option.

    Raises:
        ConfigError: a mark, glob, rig or policy that does not exist.
    """
    cells: Sequence[Cell] = expand_matrix(matrix).runnable
    if args.policy:
        wanted = {c.id for c in policy.expect_cells(*policy.load_policy(args.policy), matrix)}
        cells = [c for c in cells if c.id in wanted]
    if args.cells:
        cells = select.select_by_globs(cells, args.cells)
    if args.rig:
        cells = select.select_by_rigs(matrix, cells, args.rig)
    if args.marks:
        select.check_words(args.marks, select.all_marks(matrix), select.list_values(matrix))
        keep = select.compile_expression(args.marks)
        cells = [c for c in cells if keep(select.make_matcher(c))]
    return cells


def list_unserved(groups: Iterable[LaunchGroup], served: Mapping[str, Runner]) -> list[str]:
    """List one line for each selected rig that has no runner."""
    cells = Counter(g.rig.id for g in groups for _ in g.cells)
    return [f"not planned: {n} cells on {r}: {served[r].none}" for r, n in cells.items() if not served[r].serves]


def format_table(planned: Sequence[Job]) -> str:
    rows = [
        (j.id, *map(str, (j.rig.gpus, len(j.groups), len(j.cells), j.timeout_min)), " ".join(j.runner.labels))
        for j in planned
    ]
    launches, cells = sum(len(j.groups) for j in planned), sum(len(j.cells) for j in planned)
    header = ("job", "GPUs", "launches", "cells", "at most, min", "runs on")
    return f"{render.format_table(rows, header)}\n\n{len(planned)} jobs, {launches} launches, {cells} cells"


def read_depth(path: Path | None) -> Depth:
    """Return the depth at which the gate wants to be asked; the shallowest where no gate is named."""
    return policy.load_policy(path)[0].depth if path else "quick"


def format_for_github(planned: Sequence[Job], depth: str) -> str:
    """Format the jobs as lines for $GITHUB_OUTPUT. GitHub rejects an empty matrix, hence `empty`."""
    groups = json.dumps([j.as_json() for j in planned], separators=(",", ":"))
    return f"groups={groups}\nempty={'false' if planned else 'true'}\ndepth={depth}"


def _print_run_plan(matrix: Matrix, cells: Sequence[Cell], depth: Depth) -> int:
    """Print the plan of the whole run as JSON (`matrix.scheduling.run_plan`)."""
    grouped = group_cells(matrix, cells, Asked(depth=depth))
    made = make_run_plan(grouped, {}, matrix_sha256=digest_of(matrix.root), depth=depth)
    print(json.dumps(dump_run_plan(made)))
    return 0 if made.groups else 1


def make_parser() -> argparse.ArgumentParser:
    own = argparse.ArgumentParser(
        prog="glm-matrix plan", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own.add_argument("-m", dest="marks", default="", metavar="EXPR", help='like pytest -m: "sm120 and not mtp"')
    own.add_argument("--policy", type=Path, metavar="FILE", help="the cells that a gate requires")
    select.add_options(own.add_argument)
    own.add_argument(
        "--json", action="store_true", help="the whole plan of the run: groups, tiers, estimates, timeline"
    )
    own.add_argument("--format", choices=("table", "json", "github"), default="table", help="default %(default)s")
    return own


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    try:
        matrix = load_matrix()
        served = runners.load_runners(matrix.rigs)
        cells = select_cells(matrix, args)
        if args.json:
            return _print_run_plan(matrix, cells, read_depth(args.policy))
        groups = group_by_launch(matrix, cells)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    planned = pack_jobs(groups, served)
    for line in list_unserved(groups, served):
        print(line, file=sys.stderr)
    match args.format:
        case "github":
            print(format_for_github(planned, read_depth(args.policy)))
            return 0
        case "json":
            print(json.dumps([j.as_json() for j in planned], indent=1))
        case _:
            print(format_table(planned))
    return 0 if planned else 1


if __name__ == "__main__":
    sys.exit(main())
