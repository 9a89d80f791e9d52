"""`glm-matrix repro` and `glm-matrix issue`: show one failure of evidence to somebody else."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from matrix import variables
from matrix.errors import ConfigError, Problem
from matrix.output import places
from matrix.yaml.load import load_matrix
from reports.evidence.answered import require_results
from reports.evidence.defuse import defuse_for_terminal
from reports.evidence.files import read_records
from reports.evidence.types import Record
from reports.reproduce.ask import CODES
from reports.reproduce.failures import ReproducedFailure, list_failures, pick_failure
from reports.reproduce.folder import write_folder
from reports.reproduce.issue import make_issue
from reports.reproduce.judge import judge_replies, read_replies
from reports.reproduce.minimise import minimise_folder
from reports.reproduce.shrink import TRIALS

KEY: Final = variables.OPENAI_KEY.name


def add_parsers(verbs: Any) -> None:
    """Add both verbs to the parser of `glm-matrix`."""
    repro = verbs.add_parser("repro", help="write a folder that asks one failed request again")
    issue = verbs.add_parser("issue", help="write a failure as a text for the engine's maintainers")
    for own in (repro, issue):
        own.add_argument(
            "failure",
            nargs="?",
            metavar="FAILURE",
            help="number or part of the name of a failed test; without it, all failures are listed",
        )
        own.add_argument(
            "--evidence",
            type=Path,
            nargs="+",
            action="extend",
            metavar="FILE",
            help=f"evidence (default {places.find_evidence()})",
        )
    repro.add_argument("--out", type=Path, metavar="DIR", help="the folder to write (default repro-NUMBER)")
    repro.add_argument("--minimise", metavar="URL", help="shorten the prompt on this server while the failure lasts")
    repro.add_argument("--model", default="", metavar="NAME", help="the model's name on that server")
    repro.add_argument(
        "--trials", type=int, default=TRIALS, metavar="N", help="ask at most so often for it (default %(default)s)"
    )
    repro.add_argument("--judge", type=Path, metavar="DIR", help="run the check of a written folder on new replies")
    repro.add_argument("--replies", type=Path, metavar="FILE", help="the replies for --judge, as ask.py saves them")
    issue.add_argument("--out", type=Path, metavar="FILE", help="write the text here (default: print it)")


def run_repro(args: argparse.Namespace) -> int:
    """Write, list, judge or minimise.

    Raises:
        ConfigError, HostError: bad input, or nothing could be judged.
    """
    if args.judge:
        return _judge_replies(args)
    _, failures = _read_failures(args)
    if not args.failure:
        return _list(failures)
    failure = pick_failure(failures, args.failure)
    out = write_folder(failure, args.out or Path(f"repro-{failure.number}"))
    sys.stdout.write(f"{failure}\n{out}\nnext: {shlex.quote(str(out))}/run.sh http://HOST:PORT asks a server again\n")
    if args.minimise:
        found = minimise_folder(out, args.minimise, model=args.model, key=os.environ.get(KEY, ""), trials=args.trials)
        more = "" if found.minimal else "; more trials may shorten it further (--trials)"
        sys.stdout.write(
            f"{found.before_chars:,} -> {found.after_chars:,} characters in {found.trials} trials{more}\n"
            f"{out / 'request.min.json'}\n"
        )
    return 0


def run_issue(args: argparse.Namespace) -> int:
    """Print or write the text, or list the failures."""
    files, failures = _read_failures(args)
    if not args.failure:
        return _list(failures)
    known = [k.value for k in load_matrix().known_failures]
    text = make_issue(pick_failure(failures, args.failure), files, failures, known)
    if args.out is None:
        sys.stdout.write(text)
    else:
        args.out.write_text(text, encoding="utf-8", errors="backslashreplace")
        sys.stdout.write(f"{args.out}\n")
    return 0


def _read_failures(args: argparse.Namespace) -> tuple[list[tuple[Path, Sequence[Record]]], list[ReproducedFailure]]:
    files: list[tuple[Path, Sequence[Record]]] = [
        (path, read_records(path)) for path in args.evidence or [places.find_evidence()]
    ]
    require_results([path for path, _ in files], (r for _, records in files for r in records))
    return files, list_failures(files)


def _list(failures: Sequence[ReproducedFailure]) -> int:
    sys.stdout.write("".join(f"{each}\n" for each in failures) or "no failure\n")
    return 0


def _judge_replies(args: argparse.Namespace) -> int:
    if args.replies is None:
        raise ConfigError([Problem("--judge", 0, "", "name the new replies, too: --replies FILE")])
    found = judge_replies(args.judge, read_replies(args.replies))
    sys.stdout.write(f"{found.word}\n{defuse_for_terminal(found.why)}")
    return CODES[found.word]
