"""Records what the oracle says about the canaries' next tokens: rewrites suites/data/canary_references.json.

/tmp/oracle/bin/python -m lab.references.record_references       after new weights or prompts
"""

from __future__ import annotations

import sys

from lab.references.oracle import record
from suites.measure.references import COMMAND, FILE

if __name__ == "__main__":
    FILE.write_text(record(COMMAND), encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")
