"""`glm-matrix claims`: every published number, and ours beside it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matrix.output import places
from matrix.planning.expand import expand_matrix
from matrix.yaml.load import load_matrix
from reports.evidence.files import read_records
from reports.evidence.types import Record
from reports.ledger.entries import LedgerEntry, list_entries
from reports.ledger.forms import FORMS


def add_parser(verbs: Any) -> None:
    """Add the verb to the parser of `glm-matrix`."""
    own: argparse.ArgumentParser = verbs.add_parser("claims", help="every published number, and ours beside it")
    own.add_argument(
        "--evidence",
        type=Path,
        nargs="+",
        action="extend",
        metavar="FILE",
        help=f"our runs (default {places.find_evidence()}, where it exists)",
    )
    own.add_argument("--format", choices=sorted(FORMS), default="text", help="form of the list (default %(default)s)")


def run_claims(args: argparse.Namespace) -> int:
    """Print the ledger.

    Raises:
        ConfigError: a file is no evidence.
    """
    own = places.find_evidence()
    # none is no mistake here: the published numbers are shown all the same, without ours
    paths = args.evidence or ([own] if own.exists() else [])
    records = [r for path in paths for r in read_records(path)]
    sys.stdout.write(f"{FORMS[args.format](judge_claims(records)).rstrip()}\n")
    return 0


def judge_claims(records: Sequence[Record]) -> tuple[LedgerEntry, ...]:
    """Judge every published number of today's matrix by these records."""
    matrix = load_matrix()
    return list_entries(matrix, expand_matrix(matrix).runnable, records)
