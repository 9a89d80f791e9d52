"""Every formula of ours against scipy's, which shares no line with it: bounds, tests, tolerance.

scipy is a development dependency only: at run time four formulae are not worth its 35 MB.
"""

from __future__ import annotations

import itertools

import numpy
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import beta, binom, binomtest, false_discovery_control, median_abs_deviation, norm

from matrix.judging import statistics as ours

CLOSE = 1e-9

counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
confidences = st.floats(0.5, 0.999)
rates = st.floats(0.0, 1.0)


@given(count=counts, confidence=confidences)
def test_the_upper_bound_is_that_of_clopper_and_pearson(count: tuple[int, int], confidence: float) -> None:
    failures, trials = count
    interval = binomtest(failures, trials, alternative="less").proportion_ci(confidence, method="exact")
    assert ours.upper_bound(failures, trials, confidence) == pytest.approx(interval.high, abs=CLOSE)


@given(count=counts, confidence=confidences)
def test_the_lower_bound_is_that_of_clopper_and_pearson(count: tuple[int, int], confidence: float) -> None:
    successes, trials = count
    interval = binomtest(successes, trials, alternative="greater").proportion_ci(confidence, method="exact")
    assert ours.lower_bound(successes, trials, confidence) == pytest.approx(interval.low, abs=CLOSE)


@given(bound=st.floats(0.001, 0.9), confidence=confidences)
def test_so_many_trials_state_the_bound_and_one_fewer_does_not(bound: float, confidence: float) -> None:
    trials = ours.trials_for(bound, confidence)
    stated = [float(beta.ppf(confidence, 1, n)) for n in (trials, trials - 1) if n]  # no failure among n
    assume(all(abs(s - bound) > CLOSE for s in stated))  # at the edge rounding decides
    assert [s < bound for s in stated] == [True, False][: len(stated)]


@given(count=counts, rate=rates)
def test_the_cumulative_probability_is_the_binomial_one(count: tuple[int, int], rate: float) -> None:
    k, n = count
    assert ours.binomial_cdf(k, n, rate) == pytest.approx(float(binom.cdf(k, n, rate)), abs=CLOSE)


@given(lost=st.integers(0, 80), won=st.integers(0, 80))
def test_the_comparison_with_a_baseline_is_an_exact_sign_test(lost: int, won: int) -> None:
    """McNemar's exact test is binomial: of the items that changed, as many got lost as a fair coin would lose."""
    assume(lost + won)
    before = {f"lost {i}": True for i in range(lost)} | {f"won {i}": False for i in range(won)}
    now = {item: not right for item, right in before.items()}
    expected = binomtest(lost, lost + won, 0.5, alternative="greater").pvalue
    found = ours.compare_mcnemar(before, now)
    assert (found.lost, found.won) == (lost, won)
    assert found.p_worse == pytest.approx(expected, abs=CLOSE)


p_values = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 0.2), min_size=1)


@given(p_values)
def test_what_holm_rejects_is_rejected_at_the_same_false_discovery_rate(values: dict[str, float]) -> None:
    """scipy has no Holm, but Benjamini and Hochberg's procedure, which rejects whatever Holm's does."""
    adjusted = dict(zip(values, false_discovery_control(list(values.values())), strict=True))
    assume(all(abs(a - 0.05) > CLOSE for a in adjusted.values()))
    assert ours.correct_holm(values, 0.05) <= {name for name, a in adjusted.items() if a <= 0.05}


@given(p_values)
def test_holm_rejects_what_bonferroni_rejects_in_every_family(values: dict[str, float]) -> None:
    """Closed testing, from which Holm's procedure is derived, by trying every family of names."""
    families = [f for size in range(1, len(values) + 1) for f in itertools.combinations(values, size)]
    scaled = {family: len(family) * min(values[name] for name in family) for family in families}
    assume(all(abs(s - 0.05) > CLOSE for s in scaled.values()))
    assert ours.correct_holm(values, 0.05) == {
        name for name in values if all(s <= 0.05 for family, s in scaled.items() if name in family)
    }


@given(samples=st.lists(st.floats(1.0, 1e4), min_size=1, max_size=12))
def test_the_tolerance_is_three_sigma_by_the_median_deviation(samples: list[float]) -> None:
    sigma = median_abs_deviation(samples, scale="normal")
    assert ours.tolerance_of(samples) == pytest.approx(max(0.05, 3 * sigma / numpy.median(samples)), rel=1e-4)


def test_a_median_deviation_becomes_sigma_as_a_normal_distribution_says() -> None:
    assert pytest.approx(1 / norm.ppf(0.75), abs=5e-5) == ours.MAD_TO_SIGMA


@given(count=counts)
def test_hopeless_is_walds_likelihood_ratio(count: tuple[int, int]) -> None:
    failures, trials = count
    ratio = binom.logpmf(failures, trials, ours.BROKEN_RATE) - binom.logpmf(failures, trials, ours.SOUND_RATE)
    limit = 2.9444389791664403  # ln(0.95 / 0.05)
    assume(abs(ratio - limit) > CLOSE)
    assert ours.is_hopeless(failures, trials) == (ratio > limit)
