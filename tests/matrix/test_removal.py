"""Leaving something out of a plan, and what a run without a patch says about the patch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.errors import ConfigError
from matrix.expand import expand
from matrix.load import load
from matrix.plan import Plan, plan
from matrix.removal import removal_verdict, without, without_patch
from matrix.status import Status

PATCH = "sglang_nsa_exclusion_v2"


def planned(name: str) -> Plan:
    return plan(load(), next(c for c in expand(load()).runnable if c.id == name))


SM120 = planned("sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline")


def test_a_plan_without_its_patch_is_another_launch() -> None:
    bare = without_patch(SM120, PATCH)
    assert (SM120.patch_names, bare.patch_names) == ((PATCH,), ())
    assert bare.fingerprint != SM120.fingerprint
    assert bare.argv() == SM120.argv()


def test_a_patch_that_is_not_there_cannot_be_left_out() -> None:
    with pytest.raises(ConfigError, match="is not launched with it; did you mean 'sglang_nsa_exclusion_v2'"):
        without_patch(SM120, "sglang_nsa_exclusion_v3")
    with pytest.raises(ConfigError, match="it has none"):
        without_patch(without_patch(SM120, PATCH), PATCH)


def test_a_plan_without_a_setting_is_another_launch() -> None:
    cell = planned("cpu.llamacpp_2026_10_11549.canary_bf16.indexcache")
    bare = without(cell, "config", "index_topk_pattern")
    assert bare.values("config") == {k: v for k, v in cell.values("config").items() if k != "index_topk_pattern"}
    assert bare.fingerprint != cell.fingerprint
    with pytest.raises(ConfigError, match="nothing sets index_topk_patern; did you mean 'index_topk_pattern'"):
        without(cell, "config", "index_topk_patern")


@pytest.mark.parametrize(
    ("statuses", "answers_right", "verdict", "status"),
    [
        ([Status.CRASH, Status.CRASH], None, "needed", Status.PASS),
        ([Status.PASS, Status.FAIL], False, "needed", Status.PASS),
        ([Status.PASS, Status.FAIL], True, "unknown", Status.FAIL),
        ([Status.PASS, Status.MEASURED], None, "unneeded", Status.XPASS),
        ([Status.PASS, Status.HOST_ERROR], None, "unknown", Status.NOT_EVIDENCE),
        ([Status.SKIP_NO_HW], None, "unknown", Status.NOT_EVIDENCE),
        ([], True, "unknown", Status.NOT_EVIDENCE),
    ],
)
def test_what_a_run_without_the_patch_says(
    statuses: list[Status], answers_right: bool | None, verdict: str, status: Status
) -> None:
    removal = removal_verdict(PATCH, statuses, answers_right=answers_right)
    assert (removal.verdict, removal.status) == (verdict, status)


@given(st.lists(st.sampled_from(Status)), st.sampled_from([Status.FAIL, Status.CRASH, Status.HANG]))
def test_a_patch_without_which_something_breaks_is_never_unneeded(statuses: list[Status], broken: Status) -> None:
    assert removal_verdict(PATCH, [*statuses, broken]).verdict != "unneeded"


@given(st.lists(st.sampled_from(Status)))
def test_only_tests_that_all_passed_retire_a_patch(statuses: list[Status]) -> None:
    passed = bool(statuses) and set(statuses) <= {Status.PASS, Status.MEASURED}
    assert (removal_verdict(PATCH, statuses).verdict == "unneeded") == passed
