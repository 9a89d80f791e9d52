"""The rest of a run, from launches with known times."""

from __future__ import annotations

import pytest

from reports.evidence.time_left import LaunchClock, estimate_rest


def clock(start_s: float, rest_s: float, answered: int, began: float | None = None) -> LaunchClock:
    return LaunchClock(start_s=start_s, rest_s=rest_s, answered=answered, began=began)


DONE = clock(100, 60, 30)  # 100 s to start, 2 s a test


@pytest.mark.parametrize(
    ("clocks", "owed", "at_once", "rest_s"),
    [
        ({"a": DONE}, {"b": 30}, 1, 160),
        ({"a": DONE}, {"b": 30, "c": 30}, 2, 160),
        ({"a": DONE}, {"b": 30, "c": 30, "d": 30}, 2, 240),
        ({"a": DONE}, {"b": 10}, 8, 120),  # one that is left gains nothing by free places
        ({"a": DONE, "b": clock(100, 20, 10)}, {"b": 20}, 1, 40),  # it has started
        ({"a": DONE, "b": clock(0, 0, 0, began=150)}, {"b": 30}, 1, 110),  # 50 s of its start are over
        ({"a": DONE, "b": clock(0, 0, 0, began=-200)}, {"b": 30, "c": 30}, 2, 310),  # (100 + 400) / 2 + 60
        ({}, {"b": 3}, 1, 0),  # nothing is known
    ],
)
def test_the_rest_counts_starts_tests_and_places(
    clocks: dict[str, LaunchClock], owed: dict[str, int], at_once: int, rest_s: float
) -> None:
    assert estimate_rest(clocks, owed, at_once=at_once, now=200) == pytest.approx(rest_s)


def test_the_longest_setup_is_the_start_and_all_else_is_the_tests() -> None:
    one = LaunchClock()
    one.begin_test(5.0)
    for when, seconds in (("setup", 1.0), ("call", 2.0), ("setup", 90.0), ("teardown", 3.0), ("setup", 0.5)):
        one.add_phase(when, seconds)
    assert (one.start_s, one.rest_s, one.is_running, one.elapsed(9.0)) == (90.0, 6.5, True, 4.0)
    one.end_test(is_last=True)
    assert (one.is_running, one.answered, one.elapsed(9.0)) == (False, 1, 0.0)
