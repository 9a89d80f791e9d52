"""A trend is a direction beyond luck; scatter, one outlier and few samples are none."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest

from matrix.judging.trend import ALPHA, measure_trend

FLAT = [(float(t), 1.0) for t in range(20)]
DICE = random.Random("trend")
NOISE = [(float(t), 1.0 + 0.1 * DICE.gauss(0, 1)) for t in range(40)]


@pytest.mark.parametrize(
    ("samples", "change", "is_trend"),
    [
        (FLAT, 0.0, False),
        ([(t, 1 + t / 19) for t, _ in FLAT], 0.67, True),
        ([(t, 2 - t / 19) for t, _ in FLAT], -0.67, True),
        ([(t, v + 0.02 * t) for t, v in NOISE], 0.56, True),
        ([(t, 9.0 if t == 19 else v) for t, v in FLAT], 0.0, False),  # one outlier
        ([(t, 1.0 if t < 10 else 3.0) for t, _ in FLAT], 1.12, True),  # a step
    ],
)
def test_direction_and_size(samples: list[tuple[float, float]], change: float, is_trend: bool) -> None:
    found = measure_trend(samples)
    assert found.change == pytest.approx(change, abs=0.08) and (found.p < ALPHA) == is_trend


def test_scatter_is_rarely_a_trend() -> None:
    dice = random.Random("scatter")
    alarms = sum(measure_trend([(t, dice.random()) for t in range(12)]).p < ALPHA for _ in range(300))
    assert alarms < 15  # two-sided 2 % of 300 are 6


def test_nan_is_no_trend_to_be_green_by() -> None:
    found = measure_trend([*FLAT[:-1], (19.0, math.nan)])
    assert math.isnan(found.change) and math.isnan(found.p)


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 10"):
        measure_trend(FLAT[:9])
    assert measure_trend(FLAT[:10]).change == 0


@pytest.mark.parametrize(
    ("values", "score", "variance"),
    [
        (range(10), 45, 125),  # n (n - 1) (2 n + 5) / 18
        (range(10, 0, -1), 45, 125),
        ([0, 0, 1, 1, 2, 2, 3, 3, 4, 4], 40, 120),  # less 5 groups of 2 (2 - 1) (2 * 2 + 5) / 18
        ([0, 1, 0, 1, 2, 3, 2, 3, 4, 4], 36, 120),  # the same ties, of samples that do not follow one another
    ],
)
def test_the_probability_is_mann_and_kendalls(values: Sequence[int], score: int, variance: int) -> None:
    """One-sided, with the corrections for ties and for the step of a discrete score."""
    z = (score - 1) / math.sqrt(variance)
    found = measure_trend([(float(t), float(v)) for t, v in enumerate(values)])
    assert found.p == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)), rel=1e-12)


def test_no_direction_has_no_probability() -> None:
    assert measure_trend([(float(t), float(t % 2)) for t in range(9)] + [(9.0, -0.5)]).p <= 1
    assert measure_trend([(float(t), v) for t, v in enumerate([1.0, 2.0, 2.0, 1.0] * 3)]).p == 1.0


def test_time_has_any_unit_and_values_any_sign() -> None:
    rising = measure_trend([(t / 100, 1 + t / 19) for t, _ in FLAT])
    assert rising.change == pytest.approx(0.67, abs=0.08) and rising.amount == pytest.approx(1.0)
    below = measure_trend([(t, -2 + t / 19) for t, _ in FLAT])
    assert below.change == pytest.approx(0.67, abs=0.08), "a rise is a rise below zero, too"
    for sign in (1, -1):
        endless = measure_trend([(t, sign * (t - 9.5)) for t, _ in FLAT])
        assert endless.change == sign * math.inf and endless.p < ALPHA


def test_one_series_in_a_hundred_is_called_a_trend_by_luck() -> None:
    assert ALPHA == 0.01
