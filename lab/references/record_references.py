"""Record the oracle's next tokens for the canaries: rewrite suites/data/canary_references.json.

/tmp/oracle/bin/python -m lab.references.record_references --missing     after new weights or prompts

Prompts of 7,000 tokens take minutes each on a CPU.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lab.references.oracle import record_references
from matrix.output.command_line import CommandLine
from suites.measure.references import COMMAND, FILE, read_references


def make_parser() -> argparse.ArgumentParser:
    own = CommandLine(prog="glm-matrix record-references", description=(__doc__ or "").splitlines()[0])
    own.add_argument(
        "--missing", action="store_true", help="keep what is current, and ask only for what is missing or stale"
    )
    return own


def main(argv: Sequence[str] | None = None) -> int:
    """Ask the oracle, rewrite the file and print its path."""
    kept = read_references() if make_parser().parse_args(argv).missing else ()
    FILE.write_text(record_references(COMMAND, kept), encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
