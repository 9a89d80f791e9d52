"""`glm-matrix certify`: write a certificate for each cell of evidence, or verify one."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from matrix.errors import ConfigError, Problem
from matrix.planning.select import suggest_cell
from reports.certify.speed import OPTION, parse_unasked_speed, read_unasked_speed
from reports.certify.statement import (
    CellEvidence,
    NotCertifiable,
    Statements,
    format_statement,
    list_cells,
    tell_result,
)
from reports.certify.streaming import stream_cells
from reports.certify.verify import find_problems, read_certificate
from reports.evidence.answered import require_results
from reports.evidence.by_cell import Unstreamable, is_large
from reports.evidence.defuse import defuse_line
from reports.evidence.files import read_records
from reports.evidence.signature import sign_evidence

DAYS: Final = 90
SAID_CHARS: Final = 300  # of why a speed was not asked
SUFFIX: Final = ".intoto.json"


def add_parser(verbs: Any) -> None:
    """Add the verb to the parser of `glm-matrix`."""
    own: argparse.ArgumentParser = verbs.add_parser("certify", help="write or verify certificates of cells")
    own.add_argument("evidence", type=Path, nargs="+", metavar="EVIDENCE", help="sealed evidence")
    own.add_argument("--cells", default="*", metavar="GLOB", help="cells to certify (default all)")
    own.add_argument("--out", type=Path, default=Path("certificates"), metavar="DIR", help="default %(default)s")
    own.add_argument("--days", type=int, default=DAYS, metavar="N", help="how long they hold (default %(default)s)")
    add_unasked_speed(own)
    own.add_argument("--key", type=Path, metavar="FILE", help="sign each with this SSH key (ssh-keygen -Y)")
    own.add_argument("--verify", type=Path, metavar="CERTIFICATE", help="verify this certificate by the evidence")
    own.add_argument("--signers", type=Path, metavar="FILE", help="with --verify: who may have signed it")
    own.add_argument("--no-replay", action="store_true", help="with --verify: do not judge the kept replies again")


def add_unasked_speed(parser: argparse.ArgumentParser) -> None:
    """Add the option by which somebody answers for a speed that was not asked."""
    parser.add_argument(
        OPTION,
        default="",
        metavar="'OWNER: WHY'",
        help="who answers for cells whose speed was not asked, and why: they are WARNED and say so; not for a speed"
        " that was measured, nor for any other test",
    )


def run_certify(args: argparse.Namespace) -> int:
    """Write certificates (1: a cell cannot be certified), or verify one (1: it does not hold).

    Raises:
        ConfigError, HostError: bad input, or this machine cannot do it.
    """
    today = datetime.now(UTC).date()
    return _verify(args, today) if args.verify else _certify_evidence(args, today)


def _verify(args: argparse.Namespace, today: date) -> int:
    found = read_certificate(args.verify)
    problems = find_problems(found, args.evidence, today=today, signers=args.signers, replay=not args.no_replay)
    for problem in problems:
        sys.stdout.write(f"- {defuse_line(problem)}\n")
    word = "does not hold" if problems else "holds"
    result = defuse_line(str(found.statement["predicate"].get("result")))
    unasked = read_unasked_speed(found.own)
    told = f"; {defuse_line(str(unasked), SAID_CHARS)}" if unasked else ""
    sys.stdout.write(f"{args.verify}: {word}: {result} for {defuse_line(found.cell)} until {found.expires}{told}\n")
    return 1 if problems else 0


def _certify_evidence(args: argparse.Namespace, today: date) -> int:
    if not 1 <= args.days <= 3650:
        raise ConfigError([Problem("--days", 0, "", f"expected 1 to 3650, got {args.days}")])
    parse_unasked_speed(args.speed_unasked)  # before anything is read or written
    if is_large(args.evidence):
        # Nothing written means that no cell fits the glob; the other way says which cells there are.
        try:
            if tally := _write_all(stream_cells(args.evidence, args.cells), args, today):
                return 1 if tally[Written.REFUSED] else 0
        except Unstreamable as error:
            sys.stderr.write(f"note: read at once, for {defuse_line(str(error))}\n")
    return _certify_at_once(args, today)


def _certify_at_once(args: argparse.Namespace, today: date) -> int:
    records = [r for path in args.evidence for r in read_records(path)]
    require_results(args.evidence, records)
    known = list_cells(records)
    cells = [cell for cell in known if fnmatchcase(cell, args.cells)]
    if not cells:
        why = f"no cell of this evidence fits {args.cells!r}{suggest_cell(args.cells, known)}"
        raise ConfigError([Problem("--cells", 0, "", why)])
    statements = Statements(records)
    # an id that no test's name holds whole, after somebody edited it: no row, and nothing to certify
    absent = [cell for cell in cells if cell not in statements.rows]
    sys.stdout.write("".join(f"not certified: there is no evidence of {defuse_line(cell)}\n" for cell in absent))
    found = (statements.find(cell) for cell in cells if cell in statements.rows)
    return 1 if _write_all(found, args, today)[Written.REFUSED] or absent else 0


class Written(StrEnum):
    """What became of a cell."""

    CERTIFIED = "certified"
    REFUSED = "refused"


def _write_all(found: Iterable[CellEvidence], args: argparse.Namespace, today: date) -> Counter[Written]:
    """Write a certificate for each, and count."""
    args.out.mkdir(parents=True, exist_ok=True)
    return Counter(_write_certificate(evidence, args, today) for evidence in found)


def _write_certificate(evidence: CellEvidence, args: argparse.Namespace, today: date) -> Written:
    try:
        unasked = parse_unasked_speed(args.speed_unasked)
        made = evidence.make(issued=today, expires=today + timedelta(days=args.days), unasked=unasked)
    except NotCertifiable as error:
        sys.stdout.write(f"not certified: {defuse_line(str(error))}\n")
        return Written.REFUSED
    path = args.out / f"{name_file(evidence.row.cell)}{SUFFIX}"
    path.write_bytes(format_statement(made))
    if args.key:  # after the file, whose bytes the signature covers
        sign_evidence(path, args.key)
    sys.stdout.write(f"{tell_result(made)} {path}\n")
    return Written.CERTIFIED


def name_file(cell: str) -> str:
    """Name the file of a cell's certificate, without its suffix."""
    return "".join(char if char.isalnum() or char in "._-" else "_" for char in cell)
