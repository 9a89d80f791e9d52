"""What an engine differs by from itself: asks of one prompt within one cell, however they were recorded."""

from __future__ import annotations

import pytest

from reports.compare import noise_floor as repeats
from suites.checks import agreement
from tests.reports import world


def asked(cell: str, logprob: float, item: str = "long", check: str = repeats.FIRST) -> world.Json:
    made = world.signature(cell, "long", logprob)
    key = "signature" if check == repeats.FIRST else "candidates"
    return {**made, "check": check, "item": item, "data": {key: made["data"]["signature"]}}


def apart(*cells: list[world.Json]) -> float | None:
    return repeats.measure_noise(world.typed(each) for each in cells)


def test_the_largest_distance_within_a_cell_counts_and_none_between_cells() -> None:
    one = [asked("a", -1.0), asked("a", -1.25, check=repeats.AGAIN)]
    assert apart(one, [asked("b", -9.0), asked("b", -9.125)]) == pytest.approx(0.25)


def test_a_prompt_that_was_asked_once_says_nothing() -> None:
    short = asked("a", -5.0, item="short", check=repeats.AGAIN)
    assert apart([asked("a", -1.0), short], [asked("b", -2.0)], []) is None


def test_an_ask_that_shows_nothing_is_none() -> None:
    empty = {**asked("a", -1.0), "data": {"signature": []}}
    assert apart([asked("a", -1.0), empty]) is None


def test_control_tokens_are_left_out() -> None:
    """llama.cpp spells all of them alike: 14.5 lay between two asks of one launch."""
    spelled, listed = ({"a": -0.1, "b": -3.0, "": -17.5}, {"a": -0.3, "b": -3.0, "": -3.0})
    end, other = {"<|user|>": -0.1, " ": -3.0}, {"": -0.1, " ": -9.0}
    one = {**asked("a", -1.0), "data": {"signature": [spelled, end]}}
    again = {**asked("a", -1.0, check=repeats.AGAIN), "data": {"candidates": [listed, other]}}
    assert apart([one, again]) == pytest.approx(0.2)


def test_the_second_ask_is_the_one_that_a_reference_is_held_against() -> None:
    assert repeats.AGAIN == agreement.CHECK
