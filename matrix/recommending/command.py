"""Recommend launches for a rig: ranked by who has run them, each number with its source."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from matrix.errors import ConfigError, HostError
from matrix.output.command_line import CommandLine
from matrix.recommending.asked import RecommendRequest, find_gpus, find_rig
from matrix.recommending.choose import Recommendation, Want, recommend_launches
from matrix.recommending.clients import add_client_notes
from matrix.recommending.owned import Owned
from matrix.recommending.ran import LastRun, read_ran
from matrix.recommending.render import as_json, render_text
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSurroundings:
    """What only the layers above know: this host's rigs, a directory of weights, and what has run in this checkout."""

    host_rigs: Callable[[], tuple[list[str], str]]  # ids, and the host in words
    recognise: Callable[[Matrix, Path], Owned]
    own_runs: Callable[[], Mapping[str, LastRun]]
    certified: Callable[[Path], Mapping[str, LastRun]]  # of a registry


def make_parser() -> argparse.ArgumentParser:
    made = CommandLine(prog="glm-matrix recommend", description=__doc__)
    where = made.add_mutually_exclusive_group()
    where.add_argument("--rig", metavar="RIG", help="a rig of the matrix, e.g. sm120x4 (default: this host)")
    where.add_argument("--gpus", metavar="NAME", help='GPUs as people write them: "4x RTX PRO 6000", "8xH100 80GB"')
    made.add_argument(
        "--checkpoint",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="only these: an id or glob, a repository, or words like 'GLM-5.1 NVFP4'",
    )
    made.add_argument("--want", choices=get_args(Want), help="what decides among launches of equal provenance")
    made.add_argument("--have", type=Path, metavar="DIR", help="a checkpoint directory that you have: only that one")
    made.add_argument(
        "--registry", type=Path, metavar="DIR", help="a registry of certificates: what it certifies has run, too"
    )
    made.add_argument("--json", action="store_true", help="everything as one JSON object, every reason included")
    return made


def main(words: Sequence[str] | None = None, around: HostSurroundings | None = None) -> int:
    """Exit codes: 0 something is recommended, 1 nothing can be, 2 bad input."""
    options = make_parser().parse_args(words)
    try:
        return _answer_request(options, around)
    except (ConfigError, HostError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _answer_request(options: argparse.Namespace, around: HostSurroundings | None) -> int:
    matrix = load_matrix()
    certified = around.certified(options.registry) if around and options.registry else {}
    # what happened here comes last and wins over what was committed, and that over what others certify
    ran = {**certified, **read_ran(), **(around.own_runs() if around else {})}
    matrix, globs, model, told = _narrow_to_owned(matrix, options, around)
    exit_code = 1
    shown = []
    for asked in _find_asked(matrix, options, around):
        notes = (*asked.notes, *told)
        if asked.rig is None:
            shown.append({"rig": None, "notes": list(notes)} if options.json else "\n".join(notes))
            continue
        found = add_client_notes(recommend_launches(matrix, asked.rig, ran, globs=globs, want=options.want))
        # of several rigs of one host one is enough
        exit_code = 0 if found.launches else exit_code
        shown.append(
            as_json(found, model=model, notes=notes) if options.json else _render_answer(found, asked, model, notes)
        )
    whole = shown[0] if len(shown) == 1 else shown
    sys.stdout.write(f"{json.dumps(whole, default=str) if options.json else _joined(shown)}\n")
    return exit_code


def _render_answer(found: Recommendation, asked: RecommendRequest, model: str, notes: tuple[str, ...]) -> str:
    text = render_text(found, model=model, notes=notes)
    if not asked.hypothetical:
        return text
    # a rig that was made for the question is on no axis: `show` would refuse the cell that the line names
    return "\n".join(line for line in text.splitlines() if not line.startswith("   next     "))


def _joined(shown: Sequence[object]) -> str:
    return "\n\n".join(map(str, shown))


def _find_asked(matrix: Matrix, options: argparse.Namespace, around: HostSurroundings | None) -> list[RecommendRequest]:
    """Return the rigs that the options name; without an option, those of this host."""
    if options.rig:
        return [find_rig(matrix, options.rig)]
    if options.gpus is not None:
        return [find_gpus(matrix, options.gpus)]
    ids, host = around.host_rigs() if around else ([], "unknown")
    gpus = [i for i in ids if matrix.rigs[i].gpus]
    note = f"this host: {host}"
    if not gpus:
        more = 'no GPU of a rig is here; for another host: glm-matrix recommend --gpus "4x RTX PRO 6000"'
        return [RecommendRequest(rig=matrix.rigs[i], notes=(note, more)) for i in ids]
    most = max(matrix.rigs[i].gpus for i in gpus)
    # eight GPUs are also four and two: the largest is what the host is
    return [RecommendRequest(rig=matrix.rigs[i], notes=(note,)) for i in gpus if matrix.rigs[i].gpus == most]


def _narrow_to_owned(
    matrix: Matrix, options: argparse.Namespace, around: HostSurroundings | None
) -> tuple[Matrix, list[str], str, tuple[str, ...]]:
    """Return the matrix with the checkpoint of `--have`, globs for it, its directory, and notes about it."""
    if options.have is None or around is None:
        return matrix, options.checkpoint, "", ()
    owned = around.recognise(matrix, options.have)
    model = str(options.have.resolve())
    if owned.new is not None:
        added = {**matrix.checkpoints, owned.new.id: owned.new}
        return replace(matrix, checkpoints=added), [owned.new.id], model, owned.notes
    return matrix, list(owned.same), model, owned.notes
