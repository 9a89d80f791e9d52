"""Honest small numbers: what k failures of n allow one to say, and when two runs really differ.

All exact and from the standard library. Printed with every rate, because "20 of 20" only means "fails at most
14 % of the time".
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from matrix.judging.extremes import find_largest, find_smallest

K = TypeVar("K", bound=Hashable)

CONFIDENCE = 0.95  # one-sided; TensorRT-LLM's accuracy gates use the same alpha
FLOOR_TOLERANCE = 0.05  # TensorRT-LLM post-merge fails at 5 %, SGLang's monitor at 10 %
MAD_TO_SIGMA = 1.4826  # a normal distribution's sigma per median absolute deviation
SIGMAS = 3.0
_BISECTIONS = 60  # 2**-60 is far below any bound that is printed


# A history of half a year asks for the same few counts again and again, and each bound is a search of many sums.
@lru_cache(4_096)
def upper_bound(failures: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Clopper-Pearson: the largest failure rate that would still show so few failures.

    >>> round(upper_bound(0, 60), 3)
    0.049
    """
    _require_count(failures, trials)
    if failures == trials:
        return 1.0
    return find_boundary(lambda rate: binomial_cdf(failures, trials, rate) > 1 - confidence)


@lru_cache(4_096)
def lower_bound(successes: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Compute the smallest success rate that would still show so many successes."""
    _require_count(successes, trials)
    if successes > trials // 2:
        return 1.0 - upper_bound(trials - successes, trials, confidence)
    # the same bound by the shorter sum: 1 of 180 adds one term instead of 179
    return find_boundary(lambda rate: 1.0 - binomial_cdf(successes - 1, trials, rate) < 1 - confidence)


def trials_for(bound: float, confidence: float = CONFIDENCE) -> int:
    """How many trials without a failure are needed to state `bound`: 5 % needs 59."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - bound))


def binomial_cdf(k: int, n: int, rate: float) -> float:
    """P(at most k of n) at `rate`."""
    return math.fsum(math.comb(n, i) * rate**i * (1 - rate) ** (n - i) for i in range(k + 1))


# Wald's sequential test of a sound engine against a broken one, at the usual 5 % for either error.
SOUND_RATE, BROKEN_RATE = 0.01, 0.10


def is_hopeless(failures: int, trials: int) -> bool:
    """Whether the failures so far already say `broken`: asking on would cost time and change nothing.

    Two failures in the first nineteen are enough, one never is.
    """
    _require_count(failures, trials)
    lost = failures * math.log(BROKEN_RATE / SOUND_RATE)
    held = (trials - failures) * math.log((1 - BROKEN_RATE) / (1 - SOUND_RATE))
    return lost + held >= math.log(CONFIDENCE / (1 - CONFIDENCE))


class McNemar(NamedTuple):
    """Item-level comparison with a baseline: only items on which the two runs disagree carry information."""

    lost: int  # right in the baseline, wrong now
    won: int  # wrong in the baseline, right now
    p_worse: float  # one-sided: as many losses by luck alone


def compare_mcnemar(baseline: Mapping[K, bool], now: Mapping[K, bool]) -> McNemar:
    """Exact, paired by item id; items of one run only are left out."""
    both = baseline.keys() & now.keys()
    lost = sum(baseline[i] and not now[i] for i in both)
    won = sum(now[i] and not baseline[i] for i in both)
    p = 1.0 if lost == 0 else 1.0 - binomial_cdf(lost - 1, lost + won, 0.5)
    return McNemar(lost, won, find_smallest([1.0, p]))


def correct_holm(p_values: Mapping[str, float], alpha: float = 1 - CONFIDENCE) -> frozenset[str]:
    """Names that stay significant when so many were tried (Holm's step-down over the family of cells)."""
    rejected: set[str] = set()
    for rank, name in enumerate(sorted(p_values, key=lambda n: (p_values[n], n))):
        # Step-down ends at the first that fails: later ones may be below their own bound and are not rejected.
        if p_values[name] > alpha / (len(p_values) - rank):
            break
        rejected.add(name)
    return frozenset(rejected)


def tolerance_of(samples: Sequence[float]) -> float:
    """Compute the allowed relative change against baseline launches: max(5 %, 3 sigma by MAD of the median)."""
    median = statistics.median(samples)
    mad = statistics.median(abs(s - median) for s in samples)
    return find_largest([FLOOR_TOLERANCE, SIGMAS * MAD_TO_SIGMA * mad / abs(median)])


def find_boundary(holds: Callable[[float], bool]) -> float:
    """Find the rate, 0 to 1, up to which `holds` is true."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return high


def _require_count(part: int, whole: int) -> None:
    if not 0 <= part <= whole or whole == 0:
        raise ValueError(f"{part} of {whole} is not a count of trials")
