"""Does a series drift? Mann-Kendall for whether, Theil and Sen for how much: neither asks for a distribution.

One outlier moves neither, a step and a slope both show, and what scatters without a direction is no trend.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import Final, NamedTuple

FEWEST: Final = 10  # samples: with fewer the normal approximation of Mann and Kendall does not hold
ALPHA: Final = 0.01  # one-sided, for each series: a soak watches a handful of them


class Trend(NamedTuple):
    """`change`: of the whole series, by its slope, as a share of its median, and in its own unit as `amount`. `p`:
    one-sided, that so much rises (or falls, by the sign of `change`) by luck."""

    change: float
    p: float
    amount: float = math.nan


def measure_trend(samples: Sequence[tuple[float, float]]) -> Trend:
    """Measure the trend of (time, value) pairs, in any unit. NaN anywhere makes both NaN.

    Raises:
        ValueError: fewer than FEWEST samples.
    """
    if len(samples) < FEWEST:
        raise ValueError(f"{len(samples)} samples, at least {FEWEST} are needed")
    if any(math.isnan(number) for sample in samples for number in sample):
        return Trend(math.nan, math.nan)
    pairs = [(late[0] - early[0], late[1] - early[1]) for early, late in itertools.combinations(samples, 2)]
    # Two samples of one moment say nothing of a slope.
    slope = statistics.median(rise / run for run, rise in pairs if run > 0)
    score = sum((rise > 0) - (rise < 0) for _, rise in pairs)
    middle = statistics.median(value for _, value in samples)
    whole = slope * (samples[-1][0] - samples[0][0])
    # A share of a median of 0 is endless, and its direction is still told.
    endless = math.copysign(math.inf, whole) if whole else 0.0
    return Trend(whole / abs(middle) if middle else endless, _p_value(score, samples), whole)


def _p_value(score: int, samples: Sequence[tuple[float, float]]) -> float:
    """One-sided, by the normal approximation with its correction for ties."""
    n = len(samples)
    ties = [sum(1 for _ in group) for _, group in itertools.groupby(sorted(value for _, value in samples))]
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    if variance <= 0 or score == 0:
        return 1.0
    # - 1: the score is discrete, and the normal distribution that stands for it is not (continuity correction).
    return 0.5 * math.erfc((abs(score) - 1) / math.sqrt(2 * variance))
