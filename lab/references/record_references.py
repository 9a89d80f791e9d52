"""Record the oracle's next tokens for the canaries: rewrite suites/data/canary_references.json.

/tmp/oracle/bin/python -m lab.references.record_references       after new weights or prompts
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lab.references.oracle import record_references
from suites.measure.references import COMMAND, FILE


def parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog="glm-matrix record-references", description=(__doc__ or "").splitlines()[0])


def main(argv: Sequence[str] | None = None) -> int:
    """Ask the oracle, rewrite the file and print its path."""
    parser().parse_args(argv)
    FILE.write_text(record_references(COMMAND), encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
