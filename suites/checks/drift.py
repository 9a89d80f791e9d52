"""Checks that what is measured again and again within one launch does not drift: latency, acceptance, cache, memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

from matrix.judging.statistics import upper_bound
from matrix.judging.trend import ALPHA, FEWEST, measure_trend
from reports.evidence.finding import Finding, as_json_number

# Shares of the median over the whole soak. A shared host's latencies wander; what users report is three times.
ALLOWED: Final = {"latency": 0.5, "long_latency": 0.5, "pace": 0.5, "acceptance": 0.2, "cached": 0.2, "memory": 0.2}
# Seconds (latency: a token, pace: between two chunks) that a busy host adds by itself: no drift below it is told. An
# answer of ours takes longer.
FLOORS: Final = {"latency": 0.00025, "long_latency": 0.025, "pace": 0.005}
KEPT: Final = 200  # samples that are compared, each with each, and kept in the evidence

Worse = Literal["up", "down"]
Samples = Sequence[tuple[float, float]]  # seconds since the start, value


def check_drift(name: str, samples: Samples, *, worse: Worse) -> Finding:
    """Check one series: it fails where a trend to the worse is beyond luck and over what is allowed."""
    samples = thin_out(samples)
    if len(samples) < FEWEST:
        got, wrong, change, p = f"{len(samples)} samples: not told, or too few", "", 0.0, 1.0
    else:
        change, p, amount = measure_trend(samples)
        got = f"{change:+.0%} over {samples[-1][0] - samples[0][0]:.0f} s in {len(samples)} samples (p = {p:.2g})"
        away = change if worse == "up" else -change
        sound = p > ALPHA or away <= ALLOWED[name] or abs(amount) <= FLOORS.get(name, 0.0)
        # NaN is no sound series: something that is measured all the time computed no number.
        wrong = "" if not math.isnan(change) and sound else f"{name} drifts {worse}"
    return Finding(
        check=f"soak.{name}",
        ok=not wrong,
        expected=f"no trend {worse} by more than {ALLOWED[name]:.0%} (Mann-Kendall, p > {ALPHA:g})",
        got=got,
        detail=wrong,
        sensitive=len(samples) >= FEWEST,
        data={
            "change": as_json_number(change),
            "p": as_json_number(p),
            "samples": [[round(at, 3), as_json_number(value)] for at, value in samples],
        },
    )


def thin_out(samples: Samples) -> Samples:
    """Return at most KEPT samples, evenly spread, the last one included: a day's soak has a hundred thousand."""
    step = -(-len(samples) // KEPT)
    # From the end backwards: the last sample is the one that a drift shows in.
    return samples if step <= 1 else samples[(len(samples) - 1) % step :: step]


def check_answers(rounds: Sequence[Sequence[Finding]]) -> Finding:
    """Check that every answer of every round was right; the first wrong one is told with its round."""
    told = [(number, f) for number, each in enumerate(rounds, start=1) for f in each]
    bad = [(number, f) for number, f in told if not f.ok]
    first = "".join(f"round {number} of {len(rounds)}: {f.explain()}" for number, f in bad[:1])
    return Finding(
        check="soak.right",
        ok=not bad,
        expected="every answer right, in every round",
        got=f"{len(bad)} of {len(told)} wrong; at most {upper_bound(len(bad), max(1, len(told))):.1%} are (95%)",
        detail=first,
        sensitive=bool(told),
        data={"rounds": len(rounds), "wrong": len(bad), "wrong_rounds": sorted({number for number, _ in bad})[:KEPT]},
    )
