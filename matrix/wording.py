"""Words of sentences that several rooms write alike."""

from __future__ import annotations

from collections.abc import Sequence


def list_first(words: Sequence[str], most: int, *, by: str = ", ", what: str = "") -> str:
    """List the first `most` and say how many more there are: `a, b and 3 more`, or `... and 3 more cells`."""
    left = len(words) - most
    said = f"{left} more {what}" if what else f"{left} more"
    return by.join(words[:most]) + (f" and {said}" if left > 0 else "")
