"""Durations as people write them, in the one grammar of every option: `500ms`, `90s`, `10m`, `8h`, `1.5 d`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

SECONDS: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
DAY_S: Final = 86400.0
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([a-z]*)", re.ASCII)


def parse_duration(text: str, *, most_s: float | None = None, zero: bool = False) -> float:
    """Parse a duration into seconds. A number without its unit is refused: `8` may be hours or seconds.

    Raises:
        ValueError: another form, more than `most_s`, or 0 without `zero`; `0` itself needs no unit.
    """
    found = _DURATION.fullmatch(text.strip())
    if zero and found and not float(found[1]) and found[2] in (*SECONDS, ""):
        return 0.0
    seconds = float(found[1]) * SECONDS.get(found[2], 0.0) if found else 0.0
    if not seconds:
        units = ", ".join(SECONDS)
        raise ValueError(f"expected a duration such as 90s, 10m or 8h (units: {units}), got {text[:20]!r}")
    if most_s is not None and seconds > most_s:
        raise ValueError(f"expected a duration of at most {most_s / 3600:g}h, got {text[:20]!r}")
    return seconds
