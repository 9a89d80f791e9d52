"""Bounds against published values and against brute force."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.judging import statistics as s


@pytest.mark.parametrize(
    ("failures", "trials", "bound"),
    [(0, 20, 0.1391), (0, 50, 0.0582), (0, 60, 0.0487), (0, 100, 0.0295), (0, 200, 0.0149), (1, 20, 0.2161)],
)
def test_upper_bound_is_clopper_pearson(failures: int, trials: int, bound: float) -> None:
    assert s.upper_bound(failures, trials) == pytest.approx(bound, abs=1e-4)


def test_nothing_can_be_said_when_all_fail() -> None:
    assert s.upper_bound(3, 3) == 1.0


@pytest.mark.parametrize(("part", "whole"), [(1, 0), (-1, 3), (4, 3), (0, 0)])
def test_counts_that_are_no_trials_are_refused(part: int, whole: int) -> None:
    with pytest.raises(ValueError, match="not a count"):
        s.upper_bound(part, whole)


counts = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_the_observed_rate_lies_between_the_bounds(count: tuple[int, int]) -> None:
    k, n = count
    assert s.lower_bound(k, n) <= k / n + 1e-12 <= s.upper_bound(k, n) + 2e-12


@given(counts)
def test_at_the_bound_so_few_failures_are_just_unlikely(count: tuple[int, int]) -> None:
    k, n = count
    if k < n:
        assert s.binomial_cdf(k, n, s.upper_bound(k, n)) == pytest.approx(0.05, abs=1e-6)


@given(st.integers(1, 100))
def test_more_trials_without_failure_say_more(n: int) -> None:
    assert s.upper_bound(0, n + 1) < s.upper_bound(0, n)


def test_five_percent_needs_59_trials() -> None:
    assert s.trials_for(0.05) == 59
    assert s.upper_bound(0, 59) <= 0.05 < s.upper_bound(0, 58)


def _runs(lost: int, won: int, same: int = 50) -> tuple[dict[str, bool], dict[str, bool]]:
    base = {f"l{i}": True for i in range(lost)} | {f"w{i}": False for i in range(won)}
    now = {f"l{i}": False for i in range(lost)} | {f"w{i}": True for i in range(won)}
    both = {f"s{i}": True for i in range(same)}
    return base | both, now | both


def test_five_losses_and_no_win_are_significant() -> None:
    lost, won, p = s.compare_mcnemar(*_runs(5, 0))
    assert (lost, won) == (5, 0)
    assert p == pytest.approx(1 / 32)


def test_four_losses_are_not() -> None:
    assert s.compare_mcnemar(*_runs(4, 0)).p_worse > 0.05


def test_agreement_says_nothing() -> None:
    assert s.compare_mcnemar(*_runs(0, 0)).p_worse == 1.0


def test_items_of_one_run_only_are_left_out() -> None:
    assert s.compare_mcnemar({"a": True, "b": True}, {"b": True, "c": False}) == (0, 0, 1.0)


@given(st.integers(0, 30), st.integers(0, 30))
def test_more_losses_are_never_less_significant(lost: int, won: int) -> None:
    assert s.compare_mcnemar(*_runs(lost + 1, won)).p_worse <= s.compare_mcnemar(*_runs(lost, won)).p_worse + 1e-12


def test_holm_is_stricter_than_each_alone() -> None:
    assert s.correct_holm({"a": 0.01, "b": 0.04, "c": 0.03}) == {"a"}
    assert s.correct_holm({"a": 0.01, "b": 0.02, "c": 0.03}) == {"a", "b", "c"}


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 1), max_size=8))
def test_holm_rejects_at_least_what_bonferroni_does(p_values: dict[str, float]) -> None:
    bonferroni = {n for n, p in p_values.items() if p <= 0.05 / len(p_values)}
    alone = {n for n, p in p_values.items() if p <= 0.05}
    assert bonferroni - _boundary(p_values) <= s.correct_holm(p_values) <= alone | _boundary(p_values)


def _boundary(p_values: dict[str, float]) -> set[str]:
    """Values so close to a threshold that rounding decides."""
    return {n for n, p in p_values.items() if any(abs(p - 0.05 / k) < 1e-9 for k in range(1, 10))}


def test_tolerance_is_five_percent_on_quiet_launches_and_more_on_noisy_ones() -> None:
    assert s.tolerance_of([100, 100.5, 99.5, 100, 100.2]) == 0.05
    assert s.tolerance_of([100, 90, 110, 95, 105]) == pytest.approx(3 * 1.4826 * 0.05)


def test_two_early_losses_are_hopeless_and_one_never_is() -> None:
    assert not any(s.is_hopeless(1, n) for n in range(1, 100))
    assert all(s.is_hopeless(2, n) for n in range(2, 20))
    assert not s.is_hopeless(2, 20)
    assert not s.is_hopeless(0, 1000)


@given(trials=st.integers(1, 300), failures=st.integers(0, 300))
def test_one_more_loss_never_gives_hope(trials: int, failures: int) -> None:
    lost = min(failures, trials)
    assert not s.is_hopeless(lost, trials) or s.is_hopeless(lost + 1, trials + 1)


def test_a_probability_at_its_bound_is_rejected() -> None:
    """Holm rejects what does not exceed alpha over the number of tests that are left."""
    assert s.correct_holm({"a": 0.025, "b": 0.05}, alpha=0.05) == {"a", "b"}
    assert s.correct_holm({"a": 0.0251, "b": 0.05}, alpha=0.05) == set()
