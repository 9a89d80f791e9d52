"""Adds checks of the evidence itself to a verdict: does a replay of the kept replies agree, and who signed the
files?"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Final

from reports.evidence.signature import NotSigned, verify_evidence
from reports.gate.gate import Verdict
from reports.gate.replay_reasons import add_replay, add_signatures
from reports.replay.differences import Replayed
from reports.replay.run import replay_beside

NO_REPLAY: Final = "--no-replay"
Replay = Callable[[], Replayed]  # waits for the result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of every verb that judges by a policy."""
    parser.add_argument(
        NO_REPLAY,
        action="store_true",
        help="do not judge the kept replies again; red, unless the policy names who answers for that (`not_replayed`)",
    )
    parser.add_argument(
        "--require-signature",
        type=Path,
        metavar="ALLOWED_SIGNERS",
        help="each file must be signed by somebody in this file (ssh-keygen(1)), see `glm-matrix sign`",
    )


@contextmanager
def begin_replay(args: argparse.Namespace, paths: Sequence[Path]) -> Iterator[Replay]:
    """Begin to judge the kept replies again, unless the options say not to; yield what waits for the result."""
    if args.no_replay:
        yield lambda: Replayed(skipped=NO_REPLAY)
        return
    with replay_beside(paths) as replay:
        yield replay


def assure_verdict(
    verdict: Verdict, args: argparse.Namespace, paths: Sequence[Path], replay: Replay, today: date
) -> Verdict:
    """Add what the replay that `begin_replay` began and the signatures find to the verdict.

    Raises:
        ConfigError: a file is no evidence.
        HostError: the replay did not end, or ssh-keygen is not installed.
    """
    verdict = add_replay(verdict, replay(), today)
    if args.require_signature is None:
        return verdict
    # Last: a signature is of the file as it is, and says nothing of whether its verdicts are right.
    return add_signatures(verdict, _find_unsigned(paths, args.require_signature))


def _find_unsigned(paths: Sequence[Path], allowed: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(paths):
        try:
            verify_evidence(path, allowed)
        except NotSigned as error:
            found[str(path)] = str(error)
    return found
