"""Tests whether a number is slower than those of earlier launches. pytest and the gate share these statistics. Pure.

The rule and its reason: docs/decisions/0012.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Final

from matrix.judging.statistics import tolerance_of
from reports.evidence.finding import Finding

BASELINE_LAUNCHES: Final = 5  # repeats on one server do not see launch-to-launch noise
BLUNT: Final = 0.20  # a tolerance beyond a fifth shows no loss that anybody would call one
WAVE: Final = "wave_output_throughput"  # the median of the waves: neither the ramp nor the drain
WATCHED: Final[Mapping[str, bool]] = {WAVE: True, "median_ttft_ms": False, "median_tpot_ms": False}  # more is better
# The largest ratio between two launches of one plan on two H100 hosts was 1.83 (WAVE), 1.86 (TPOT) and 4.5 (TTFT) in
# docs/evidence/sm90-h100, 20 pairs each at depth quick.
ONE_LAUNCH: Final[Mapping[str, float]] = {WAVE: 2.0, "median_tpot_ms": 2.0, "median_ttft_ms": 5.0}


def not_slower(name: str, now: Sequence[float], baseline: Sequence[float], *, more_is_better: bool) -> Finding:
    """Compare the median of this launch's waves with the medians of >= 5 earlier launches; tolerance max(5 %, 3 MAD).

    Launches that scatter so much that even a loss of a fifth would not show (`BLUNT`) are too noisy for a baseline:
    the finding reports the smallest detectable slowdown and is marked insensitive.
    """
    median, base = statistics.median(now), statistics.median(baseline)
    if not base:  # a time per token is 0 where all tokens came at once
        return Finding(
            check=f"throughput.not_slower.{name}",
            ok=True,
            expected="0",
            got=f"{median:.3g}",
            detail="the launches before measured 0, and nothing is a multiple of that",
            sensitive=False,
        )
    allowed = tolerance_of(baseline)
    ratio = median / base
    slower = not (ratio >= 1 - allowed if more_is_better else ratio <= 1 + allowed)  # NaN is no speed to be green by
    enough, blunt = len(baseline) >= BASELINE_LAUNCHES, allowed > BLUNT
    return Finding(
        check=f"throughput.not_slower.{name}",
        ok=not (slower and enough),
        expected=f"{base:.3g} within {allowed:.1%} ({len(baseline)} launches)",
        got=f"{median:.3g} ({ratio:.3f} of the baseline)",
        detail=f"the launches before scatter so much that nothing under {allowed:.0%} would show" if blunt else "",
        sensitive=enough and not blunt,
        data={"ratio": ratio, "allowed": allowed},
    )
