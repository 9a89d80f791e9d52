"""What `check` says of a release's parsers, worked out beforehand: judging every record takes longer than `check` may.

`matrix.parsers.summarise` makes it, and is a module of its own so that a reader need not import what judges records.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

SUMMARY: Final = Path(__file__).with_name("summary.json")


@cache
def read_summary(path: Path = SUMMARY) -> dict[str, dict[str, Any]]:
    """Read the summary."""
    found: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found
