"""Defines what a check found in a reply. Separate from the suites, so that reports can read it without importing
them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reports.evidence.defuse import defuse_for_terminal

SHOWN_CHARS = 600  # enough of a reply to see gibberish, short enough for a JUnit message


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One judgement about one reply. `sensitive=False`: the check could not have failed (NOT_EVIDENCE)."""

    check: str  # e.g. "needle.found"
    ok: bool
    expected: str
    got: str
    item: str = ""  # id of the bank item, e.g. "canary.needle.s7.1024.50"
    detail: str = ""
    sensitive: bool = True
    note: str = ""  # what every report must show although it is ok, e.g. that it was not so at first
    data: Mapping[str, Any] = field(default_factory=dict)  # JSON values only

    def explain(self) -> str:
        """Format the finding as a failing test shows it, with the reply."""
        lines = [f"{self.check}: {'ok' if self.ok else 'NOT OK'} {_defuse(self.detail)}".rstrip()]
        if self.item:
            lines.append(f"  item:     {self.item}")
        return "\n".join([*lines, f"  expected: {_defuse(self.expected)}", f"  got:      {_defuse(self.got)}"])


def as_json_number(value: float) -> float | str:
    """Return a number for `data`: JSON has no NaN and no infinity, so they become text, which `float` reads back."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else str(value)


def _defuse(text: str) -> str:
    return defuse_for_terminal(text, SHOWN_CHARS)
