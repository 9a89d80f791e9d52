"""The smallest failing set is found although each boot may lie, and nothing is reduced to what gave no answer."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.bisecting.delta import find_smallest
from matrix.bisecting.flake_model import FlakeModel
from matrix.bisecting.posterior import Answer

FLAKY = FlakeModel(fails=0.8, alarm=0.01)


@settings(max_examples=40)
@given(st.integers(1, 9), st.data())
def test_exactly_what_is_needed_stays(count: int, data: st.DataObject) -> None:
    needed = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    found = find_smallest(
        range(count), lambda units: "bad" if needed <= set(units) else "good", model=FLAKY, boots=10_000
    )
    assert (set(found.units), found.minimal, found.fails) == (needed, True, True)
    assert list(found.units) == sorted(found.units)


@pytest.mark.parametrize(
    ("model", "fails", "seeds"),
    [(FLAKY, 0.8, 40), (FlakeModel(0.2, 0.01), 0.2, 10)],
    ids=["passes 20 %", "fails only 20 %"],
)
def test_planted_pairs_are_found_at_the_stated_confidence(model: FlakeModel, fails: float, seeds: int) -> None:
    right = 0
    for seed in range(seeds):
        random, needed = Random(seed), {seed % 5, 5 + seed % 3}

        def ask(units: Sequence[int], random: Random = random, needed: set[int] = needed) -> Answer:
            return "bad" if random.random() < (fails if needed <= set(units) else 0.01) else "good"

        right += set(find_smallest(range(8), ask, model=model, boots=100_000).units) == needed
    assert right / seeds >= 0.95


def test_a_launch_that_fails_without_any_unit_is_told() -> None:
    found = find_smallest("ab", lambda _: "bad", model=FLAKY, boots=50)
    assert (found.units, found.baseline_fails, found.fails) == ((), True, True)


@pytest.mark.parametrize("answer", ["good", "none"])
def test_a_launch_that_does_not_fail_is_told(answer: Answer) -> None:
    assert not find_smallest("ab", lambda _: answer, model=FLAKY, boots=50).fails


def test_no_answer_is_never_reduced_to() -> None:
    def ask(units: Sequence[str]) -> Answer:
        return "bad" if {"a", "b"} <= set(units) else "none" if units else "good"

    assert find_smallest("abcd", ask, model=FLAKY, boots=500).units == ("a", "b")


@settings(max_examples=40)
@given(st.integers(0, 30))
def test_spent_boots_leave_a_failing_set_that_is_not_called_minimal(boots: int) -> None:
    asked = []

    def ask(units: Sequence[int]) -> Answer:
        asked.append(units)
        return "bad" if {1, 6} <= set(units) else "good"

    found = find_smallest(range(8), ask, model=FLAKY, boots=boots)
    assert len(asked) == found.boots <= boots
    assert {1, 6} <= set(found.units) and not found.minimal


def test_a_set_that_fails_on_the_good_release_too_is_no_regression() -> None:
    """The test looks for the feature: without its setting it fails everywhere."""
    asked = []

    def ask(units: Sequence[str]) -> Answer:
        asked.append(units)
        return "bad"

    found = find_smallest(
        ("pattern",),
        ask,
        control=lambda units: "good" if units else "bad",
        model=FLAKY,
        boots=50,
        whole_fails=True,
    )
    assert (found.units, found.minimal, found.baseline_fails) == (("pattern",), True, False)
    assert ("pattern",) not in asked


def test_a_control_that_gives_no_answer_excuses_nothing() -> None:
    found = find_smallest("ab", lambda _: "bad", control=lambda _: "none", model=FLAKY, boots=50)
    assert found.baseline_fails
