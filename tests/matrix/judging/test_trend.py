"""A trend is a direction beyond luck; scatter, one outlier and few samples are none."""

from __future__ import annotations

import math
import random

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
