"""`glm-matrix claims`: every published number, and ours beside it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from matrix.checkout import CHECKOUT
from matrix.output import places
from matrix.recommending.ran import read_ran
from matrix.wording import list_first
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix
from reports.evidence.files import read_records
from reports.evidence.given import unpack_archive
from reports.evidence.types import Record
from reports.ledger.entries import LedgerEntry, list_claimable, list_entries
from reports.ledger.forms import FORMS

SHOWN: Final = 3  # files by name


def add_parser(verbs: Any) -> None:
    """Add the verb to the parser of `glm-matrix`."""
    own: argparse.ArgumentParser = verbs.add_parser("claims", help="every published number, and ours beside it")
    own.add_argument(
        "--evidence",
        type=Path,
        nargs="+",
        action="extend",
        metavar="FILE",
        help=f"our runs (default {places.find_evidence()}, and the files of docs/evidence in which such a cell ran)",
    )
    own.add_argument("--format", choices=sorted(FORMS), default="text", help="form of the list (default %(default)s)")


def run_claims(args: argparse.Namespace) -> int:
    """Print the ledger.

    Raises:
        ConfigError: a file is no evidence.
    """
    # none is no mistake here: the published numbers are shown all the same, without ours
    paths = args.evidence or [
        path for path in (places.find_evidence(), *find_committed(load_matrix())) if path.exists()
    ]
    with ExitStack() as stack:
        records = [r for path in paths for r in read_records(unpack_archive(path, stack))]
    sys.stdout.write(f"{FORMS[args.format](judge_claims(records)).rstrip()}\n")
    if args.format != "json":
        sys.stdout.write(f"\n{tell_read(paths, load_matrix())}\n")
    return 0


def find_committed(matrix: Matrix) -> list[Path]:
    """Find the files of this repository's own runs in which a claimed cell ran."""
    ran = read_ran()
    return [CHECKOUT / file for file in sorted({ran[c.id].file for c in list_claimable(matrix) if c.id in ran})]


def tell_read(paths: Sequence[Path], matrix: Matrix) -> str:
    """Tell which runs stand for ours, so that a ledger without any is not taken for one of failures."""
    files = list_first([str(path) for path in paths], SHOWN)
    claimed, ran = list_claimable(matrix), read_ran()
    count = sum(cell.id in ran for cell in claimed)
    own = f"ours: {files}" if paths else "ours: no evidence was read"
    return f"{own}; of the {len(claimed)} runnable cells that these claims are about, {count} ran for docs/evidence"


def judge_claims(records: Sequence[Record]) -> tuple[LedgerEntry, ...]:
    """Judge every published number of today's matrix by these records."""
    matrix = load_matrix()
    return list_entries(matrix, list_claimable(matrix), records)
