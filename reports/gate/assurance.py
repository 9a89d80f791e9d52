"""Adds checks of the evidence itself to a verdict: does a replay of the kept replies agree, and who signed the
files?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

from reports.evidence.signature import NotSigned, verify_evidence
from reports.gate.gate import Verdict
from reports.gate.replay_reasons import add_replay, add_signatures
from reports.replay.differences import Replayed
from reports.replay.run import replay_evidence

NO_REPLAY: Final = "--no-replay"


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


def assure_verdict(verdict: Verdict, args: argparse.Namespace, paths: Sequence[Path], today: date) -> Verdict:
    """Add what replay and signatures find to the verdict.

    Raises:
        HostError: the replay did not end, or ssh-keygen is not installed.
    """
    replayed = Replayed(skipped=NO_REPLAY) if args.no_replay else replay_evidence(paths)
    verdict = add_replay(verdict, replayed, today)
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
