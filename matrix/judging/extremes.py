"""Largest and smallest of measured numbers: NaN is the worst of all and is never passed over.

`max(0.1, nan)` is 0.1 and `max(nan, 0.1)` is NaN: which of the two a check sees is decided by their order. An engine
that computes NaN must not pass because it did so second. tests/matrix/judging/test_extremes.py holds checks and judges
to these two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable


def find_largest(values: Iterable[float], default: float = 0.0) -> float:
    """Return the largest, `default` for none, and NaN where one is NaN."""
    told = list(values)
    return math.nan if any(map(math.isnan, told)) else max(told, default=default)


def find_smallest(values: Iterable[float], default: float = 0.0) -> float:
    """Return the smallest, `default` for none, and NaN where one is NaN."""
    told = list(values)
    return math.nan if any(map(math.isnan, told)) else min(told, default=default)
