"""Speed against an earlier release: a third of it fails on one launch, and what is no such launch judges nothing."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.planning.expand import expand_matrix
from matrix.yaml.load import load_matrix
from reports.compare.baselines import Baseline, Earlier, Launched, make_key
from reports.compare.earlier_release import compare_earlier, fit_release, name_sibling, not_slower_than_release
from reports.compare.slower import ONE_LAUNCH, WATCHED, WAVE, not_slower
from reports.evidence.finding import Finding

H200, WHERE = ("NVIDIA H200",), {"concurrency": 8}


def compare(now: float, *earlier: float, name: str = WAVE) -> Finding:
    return not_slower_than_release(name, [now], earlier, release="vllm_0_32_0", more_is_better=WATCHED[name])


def test_thirty_to_ten_tokens_a_second_fails_on_one_launch() -> None:
    found = compare(10.0, 30.0)
    assert (found.ok, found.sensitive, found.check) == (False, True, f"throughput.not_slower_than_release.{WAVE}")
    assert "30 of vllm_0_32_0 (1 launches) within a factor of 2" in found.expected
    assert found.data["release"] == "vllm_0_32_0"


@pytest.mark.parametrize(
    ("name", "now", "ok"),
    [
        (WAVE, 15.1, True),
        (WAVE, 14.9, False),
        (WAVE, 90.0, True),
        ("median_tpot_ms", 59.0, True),
        ("median_tpot_ms", 61.0, False),
        ("median_ttft_ms", 149.0, True),
        ("median_ttft_ms", 151.0, False),
        (WAVE, math.nan, False),
    ],
)
def test_one_launch_judges_by_what_two_launches_of_one_plan_differ_by(name: str, now: float, ok: bool) -> None:
    assert compare(now, 30.0, name=name).ok is ok


def test_few_launches_say_what_they_would_miss() -> None:
    assert "with 5 launches of vllm_0_32_0 less would show" in compare(29.0, 30.0).detail


def test_five_launches_judge_by_their_own_scatter() -> None:
    earlier = (30.0, 30.1, 29.9, 30.2, 29.8)
    assert not compare(27.0, *earlier).ok
    assert compare(29.5, *earlier).ok
    noisy = (30.0, 45.0, 20.0, 38.0, 24.0)
    assert not compare(20.0, *noisy).sensitive, "launches that scatter so judge nothing"


@given(earlier=st.lists(st.floats(0.1, 1e4), min_size=1, max_size=4), factor=st.floats(0.01, 100))
def test_with_few_launches_the_verdict_is_the_ratio_to_their_median(earlier: list[float], factor: float) -> None:
    found = compare(statistics.median(earlier) * factor, *earlier)
    if not math.isclose(factor, 1 / ONE_LAUNCH[WAVE], rel_tol=1e-6):
        assert found.ok is (factor > 1 / ONE_LAUNCH[WAVE])


def test_launches_of_the_cell_itself_are_compared_as_they_always_were() -> None:
    values = [100.0, 101.0, 99.0, 100.5, 99.5]
    assert compare_earlier(WAVE, [80.0], Earlier(values), more_is_better=True) == not_slower(
        WAVE, [80.0], values, more_is_better=True
    )
    assert compare_earlier(WAVE, [80.0], Earlier(values, "r"), more_is_better=True).check.startswith(
        "throughput.not_slower_than_release"
    )


def test_a_sibling_has_the_same_rig_checkpoint_and_features_and_another_release_of_the_engine() -> None:
    matrix = load_matrix()
    cell = next(c for c in expand_matrix(matrix).runnable if c.release.id == "sglang_0_5_23" and "mtp" in c.features)
    older = matrix.releases["sglang_0_5_17"]
    assert name_sibling(cell, older) == replace(cell, release=older).id
    assert name_sibling(cell, cell.release) == ""
    assert name_sibling(cell, matrix.releases["vllm_0_33_0"]) == ""


def baseline(*launches: Launched) -> Baseline:
    return Baseline({make_key("old", WAVE, WHERE): {at: [30.0] for at in launches}})


def test_launches_of_any_plan_on_the_same_hardware_are_taken_under_the_cells_own_key() -> None:
    earlier = baseline(Launched("r1", 1, "f1", H200), Launched("r2", 1, "f2", H200))
    fit = fit_release(earlier, "new", "old", H200, "")
    assert fit.baseline.list_launches("new", WAVE, WHERE) == [30.0, 30.0]
    assert fit.refused == ()


def test_other_hardware_other_cells_and_unknown_hosts_are_left_out_with_the_reason() -> None:
    earlier = baseline(Launched("r1", 1, "f1", ("NVIDIA H100",)), Launched("r2", 1, "f1"))
    fit = fit_release(earlier, "new", "old", H200, "")
    assert not fit.baseline.values
    assert any("on other hardware" in why for why in fit.refused)
    assert any("the host was not recorded" in why for why in fit.refused)
    assert not fit_release(baseline(Launched("r1", 1, "f1", H200)), "new", "other", H200, "").baseline.values
