"""Bounds what evidence keeps of an engine's words: enough to judge and to show, whatever the engine sends.

The full text is kept elsewhere, if at all; a finding of ten megabytes would end up in every report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from reports.evidence.defuse import cut_to

MOST_ITEMS: Final = 2_000  # of a list or a mapping; a signature has 24 positions of 5 candidates
BOUNDED: Final = frozenset({"finding", "measurement", "proof", "result", "launch"})
CUT: Final = "cut"


def bounded_record(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Cut each text and list of a test's record to its bound; `data` states that a list was cut."""
    if fields["kind"] not in BOUNDED:
        return dict(fields)
    made: dict[str, Any] = _bound_value(fields)
    if "data" in made and made["data"] != fields["data"] and _is_longer(fields["data"]):
        made["data"] = {**made["data"], CUT: f"to {MOST_ITEMS:,} entries"}
    return made


def _bound_value(value: Any) -> Any:
    if isinstance(value, str):
        return cut_to(value)
    if isinstance(value, Mapping):
        return {cut_to(str(k)): _bound_value(v) for k, v in list(value.items())[:MOST_ITEMS]}
    if isinstance(value, Sequence):
        return [_bound_value(v) for v in value[:MOST_ITEMS]]
    return value


def _is_longer(value: Any) -> bool:
    """Return whether any list or mapping inside has more entries than are kept."""
    if isinstance(value, str) or not isinstance(value, Mapping | Sequence):
        return False
    inner = value.values() if isinstance(value, Mapping) else value
    return len(value) > MOST_ITEMS or any(map(_is_longer, inner))
