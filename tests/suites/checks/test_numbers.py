"""NaN is the worst of all numbers, wherever it stands."""

from __future__ import annotations

import math

import pytest

from suites.checks.numbers import find_largest, find_smallest


@pytest.mark.parametrize("values", [[0.1, math.nan], [math.nan, 0.1], [math.nan]])
def test_nan_is_never_passed_over(values: list[float]) -> None:
    assert math.isnan(find_largest(values)) and math.isnan(find_smallest(values))


def test_numbers_are_compared_as_always() -> None:
    assert (find_largest([1.0, 3.0, 2.0]), find_smallest([1.0, 3.0, 2.0])) == (3.0, 1.0)
    assert (find_largest([]), find_smallest([], default=math.inf)) == (0.0, math.inf)
