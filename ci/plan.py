"""Selected cells -> CI jobs: one launch group per job, or a few where GitHub's limits do not leave room for all.

    python -m ci.plan -m "sm120 and sglang"                          a table
    python -m ci.plan --policy ci/gates/sm120.yaml --format json     what that gate will ask for, as JSON
    python -m ci.plan -m sm120 --format github >> "$GITHUB_OUTPUT"   `groups` (for fromJSON), `empty` and `depth`

Cells with equal fingerprints share a launch and so a job. Most GPUs come first, then most cells: the longest jobs are
not left for the end. The plan of a run, with tiers, durations and order, is `glm-matrix plan`.
Exit codes: 0 fine, 1 nothing to run (table and json), 2 bad input.
"""

# ruff: noqa: T201 - a program: printing is what it does
from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci import runners
from ci.runners import Runner
from matrix.errors import ConfigError
from matrix.hardware import Rig
from matrix.model import Cell
from matrix.output import columns as render
from matrix.output.command_line import CommandLine
from matrix.planning.plan import make_plan
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix
from reports.planning.selection import add_options, read_depth, select_cells

MAX_JOBS = 256  # per matrix of a GitHub workflow run (docs.github.com, "Actions limits")
MAX_QUEUED = 100  # per concurrency group with `queue: max` (github.blog changelog, 2026-05-07)
MAX_JOB_MIN = 5 * 24 * 60  # a job on a self-hosted runner may run for 5 days (docs.github.com, "Actions limits")


@dataclass(frozen=True, kw_only=True)
class PlannedGroup:
    """Cells that one running engine serves."""

    fingerprint: str
    rig: Rig
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class PlannedJob:
    """Launch groups of one rig that one `pytest` process runs, one after another."""

    rig: Rig
    runner: Runner
    groups: tuple[PlannedGroup, ...]

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


def group_by_launch(matrix: Matrix, cells: Iterable[Cell]) -> tuple[PlannedGroup, ...]:
    """Group cells by fingerprint and sort the groups in the order in which their jobs should start."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(make_plan(matrix, cell).fingerprint, []).append(cell)
    groups = (PlannedGroup(fingerprint=f, rig=own[0].rig, cells=tuple(own)) for f, own in found.items())
    return tuple(sorted(groups, key=lambda g: (-g.rig.gpus, -len(g.cells))))


def pack_jobs(groups: Sequence[PlannedGroup], served: Mapping[str, Runner]) -> tuple[PlannedJob, ...]:
    """Pack launch groups into jobs: one group per job, or the smallest equal number per job that GitHub's limits
    allow."""
    groups = [g for g in groups if served[g.rig.id].serves]
    per_job = 1
    while not _within_limits(packed := _pack_groups(groups, served, per_job)):
        per_job += 1
    return packed


def _pack_groups(groups: Sequence[PlannedGroup], served: Mapping[str, Runner], per_job: int) -> tuple[PlannedJob, ...]:
    by_rig: dict[str, list[PlannedGroup]] = {}
    for group in groups:
        by_rig.setdefault(group.rig.id, []).append(group)
    return tuple(
        PlannedJob(rig=own[0].rig, runner=served[rig], groups=tuple(own[i : i + per_job]))
        for rig, own in by_rig.items()
        for i in range(0, len(own), per_job)
    )


def _within_limits(packed: Sequence[PlannedJob]) -> bool:
    queued = Counter(j.runner.host for j in packed)
    return len(packed) <= MAX_JOBS and max(queued.values(), default=0) <= MAX_QUEUED


def list_unserved(groups: Iterable[PlannedGroup], served: Mapping[str, Runner]) -> list[str]:
    """List one line for each selected rig that has no runner."""
    cells = Counter(g.rig.id for g in groups for _ in g.cells)
    return [f"not planned: {n} cells on {r}: {served[r].none}" for r, n in cells.items() if not served[r].serves]


def format_table(planned: Sequence[PlannedJob]) -> str:
    rows = [
        (j.id, *map(str, (j.rig.gpus, len(j.groups), len(j.cells), j.timeout_min)), " ".join(j.runner.labels))
        for j in planned
    ]
    launches, cells = sum(len(j.groups) for j in planned), sum(len(j.cells) for j in planned)
    header = ("job", "GPUs", "launches", "cells", "at most, min", "runs on")
    return f"{render.format_table(rows, header)}\n\n{len(planned)} jobs, {launches} launches, {cells} cells"


def format_for_github(planned: Sequence[PlannedJob], depth: str) -> str:
    """Format the jobs as lines for $GITHUB_OUTPUT. GitHub rejects an empty matrix, hence `empty`."""
    groups = json.dumps([j.as_json() for j in planned], separators=(",", ":"))
    return f"groups={groups}\nempty={'false' if planned else 'true'}\ndepth={depth}"


def make_parser() -> argparse.ArgumentParser:
    own = CommandLine(
        prog="python -m ci.plan", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(own.add_argument)
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
        groups = group_by_launch(matrix, select_cells(matrix, args))
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
