"""`add policy`: the first gate of a rig, from what is recommended for it, read back by the gate's own reader."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import get_args

from cli.adding.write import write_new
from fixtures.host.detected import detect_host
from matrix.errors import ConfigError, Problem
from matrix.hardware import Rig
from matrix.recommending.asked import find_gpus, find_rig
from matrix.recommending.choose import Want
from matrix.recommending.ran import read_ran
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix
from reports.evidence.ran import locate_own, summarise_files
from reports.gate.policy import expect_cells, load_policy
from reports.gate.starter import NIGHT_S, Starter, find_first, make_starter, recommend_first, render_starter
from reports.planning.quantities import parse_duration


def add_options(own: argparse.ArgumentParser) -> None:
    """Add the options of `add policy`."""
    where = own.add_mutually_exclusive_group()
    where.add_argument("--rig", metavar="RIG", help="a rig of the matrix, e.g. sm120x4 (default: this host)")
    where.add_argument("--gpus", metavar="NAME", help='GPUs as people write them: "4x RTX PRO 6000"')
    own.add_argument("--cell", default="", metavar="CELL", help="the cell to begin with (default: the recommended one)")
    own.add_argument(
        "--checkpoint",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="recommend among these alone: an id or glob, a repository, or words like 'GLM-5.1 NVFP4'",
    )
    own.add_argument("--want", choices=get_args(Want), help="as for glm-matrix recommend")
    own.add_argument(
        "--budget", type=parse_duration, default=NIGHT_S, metavar="TIME", help="the length of a night (default: 8h)"
    )
    own.add_argument("--out", type=Path, metavar="FILE", help="the policy's file (default: gate_RIG.yaml, here)")
    own.add_argument("--dry-run", action="store_true", help="print what would be written, and write nothing")


def add_policy(options: argparse.Namespace) -> str:
    """Write the policy and return what to print: the night's length and the commands that come next.

    Raises:
        ConfigError: no such rig or cell, or the file exists. HostError: the file cannot be written.
    """
    matrix = load_matrix()
    rig = _find_rig(matrix, options)
    # own runs last: what happened on this host counts more than what was published
    ran = {**read_ran(), **summarise_files([locate_own()])}
    if options.cell:
        first = find_first(matrix, rig, ran, options.cell)
    else:
        first = recommend_first(matrix, rig, ran, globs=options.checkpoint, want=options.want)
    starter = make_starter(matrix, first, budget_s=options.budget)
    text = render_starter(starter)
    if options.dry_run:
        return text.rstrip()
    path = options.out or Path(f"gate_{rig.id}.yaml")
    write_new(path, text, lambda: _read_back(path, matrix), option="--out")
    return "\n".join([f"wrote {path}: {_summarise_starter(starter)}", *_list_next(starter, path)])


def _find_rig(matrix: Matrix, options: argparse.Namespace) -> Rig:
    if options.rig:
        asked = find_rig(matrix, options.rig)
    elif options.gpus:
        asked = find_gpus(matrix, options.gpus)
    else:
        # the cpu rig fits every host: it is no answer to which GPUs are here
        ids = [i for i in detect_host().find_rigs(matrix.rigs.values()) if matrix.rigs[i].gpus]
        if not ids:
            raise ConfigError([Problem("--rig", 0, "", "no GPU of a rig is here: name a rig, e.g. --rig sm120x4")])
        # eight GPUs are also four: the rig with the most is the host itself
        asked = find_rig(matrix, max(ids, key=lambda i: matrix.rigs[i].gpus))
    # a gate is for GPUs that somebody has: a made-up rig has no cells that could be run
    if asked.rig is None or asked.hypothetical:
        raise ConfigError([Problem("--gpus", 0, "", " ".join(asked.notes))])
    return asked.rig


def _read_back(path: Path, matrix: Matrix) -> None:
    """Read the file as the gate does; ConfigError where it is no policy, or requires what cannot be asked."""
    expect_cells(*load_policy(path), matrix)


def _summarise_starter(starter: Starter) -> str:
    launches = sum(g.asked for g in starter.plan.groups)
    return (
        f"{len(starter.cells)} cells in {launches} launches, at most about {starter.hours:g} h and"
        f" {starter.gpu_hours} GPU-hours, estimated"
    )


def _list_next(starter: Starter, path: Path) -> list[str]:
    file = shlex.quote(str(path))
    return [
        f"next: git add {file} && git commit, since a file that git does not know makes a run's tree dirty",
        f"next: glm-matrix plan --policy {file}",
        f"next: glm-matrix recipe cron --policy {file}",
        f"next: pytest --cells {starter.first.cell.id}",
        f"next: glm-matrix gate --policy {file}",
    ]
