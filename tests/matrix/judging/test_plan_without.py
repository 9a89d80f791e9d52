"""Leaving something out of a plan, and what a run without a patch says about the patch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.condition import FORMS
from matrix.errors import ConfigError
from matrix.judging.plan_without import patches_of, removal_verdict, without_patch, without_setting
from matrix.judging.status import Status
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, make_plan
from matrix.preflight.patch import PATCHES
from matrix.yaml.load import load_matrix

PATCH, REMAP = "sglang_nsa_exclusion_v2", "trtllm_config_remap"


def planned(name: str) -> Plan:
    return make_plan(load_matrix(), next(c for c in expand_matrix(load_matrix()).runnable if c.id == name))


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


def test_a_remap_of_the_checkpoint_s_files_is_left_out_whole() -> None:
    remapped = planned("sm100x8.trtllm_1_3_0rc3.glm5_nvfp4_warnold.baseline")
    assert patches_of(remapped) == (REMAP,)
    bare = without_patch(remapped, REMAP)
    assert (bare.values("config"), bare.values("tokenizer_config"), patches_of(bare)) == ({}, {}, ())
    assert bare.fingerprint != remapped.fingerprint
    assert bare.values("serve_config") == remapped.values("serve_config")


def test_a_remap_that_is_not_in_the_plan_cannot_be_left_out() -> None:
    native = planned("sm100x8.trtllm_1_3_0rc26.glm5_fp8.baseline")
    with pytest.raises(ConfigError, match="is not launched with it; it has none"):
        without_patch(native, REMAP)


def test_every_patch_folder_is_carried_by_some_launch() -> None:
    """One that no launch carries cannot be tested for being needed; version 1 is the one that version 2 replaced."""
    plans = [
        make_plan(load_matrix(), c, form)
        for c in expand_matrix(load_matrix()).runnable
        if c.engine.id in ("sglang", "trtllm")
        for form in FORMS
    ]
    carried = {name for p in plans for name in patches_of(p)}
    assert carried == {path.parent.name for path in PATCHES.glob("*/patch.yaml")}


def test_a_plan_without_a_setting_is_another_launch() -> None:
    cell = planned("cpu.llamacpp_2026_10_11549.canary_bf16.indexcache")
    bare = without_setting(cell, "config", "index_topk_pattern")
    assert bare.values("config") == {k: v for k, v in cell.values("config").items() if k != "index_topk_pattern"}
    assert bare.fingerprint != cell.fingerprint
    with pytest.raises(ConfigError, match="nothing sets index_topk_patern; did you mean 'index_topk_pattern'"):
        without_setting(cell, "config", "index_topk_patern")


@pytest.mark.parametrize(
    ("statuses", "verdict", "status"),
    [
        ([Status.CRASH, Status.CRASH], "needed", Status.PASS),
        ([Status.PASS, Status.FAIL], "needed", Status.PASS),
        ([Status.PASS, Status.MEASURED], "unneeded", Status.XPASS),
        ([Status.PASS, Status.HOST_ERROR], "unknown", Status.NOT_EVIDENCE),
        ([Status.SKIP_NO_HW], "unknown", Status.NOT_EVIDENCE),
        ([], "unknown", Status.NOT_EVIDENCE),
    ],
)
def test_what_a_run_without_the_patch_says(statuses: list[Status], verdict: str, status: Status) -> None:
    removal = removal_verdict(PATCH, statuses)
    assert (removal.verdict, removal.status) == (verdict, status)


@given(st.lists(st.sampled_from(Status)), st.sampled_from([Status.FAIL, Status.CRASH, Status.HANG]))
def test_a_patch_without_which_something_breaks_is_never_unneeded(statuses: list[Status], broken: Status) -> None:
    assert removal_verdict(PATCH, [*statuses, broken]).verdict != "unneeded"


@given(st.lists(st.sampled_from(Status)))
def test_only_tests_that_all_passed_retire_a_patch(statuses: list[Status]) -> None:
    passed = bool(statuses) and set(statuses) <= {Status.PASS, Status.MEASURED}
    assert (removal_verdict(PATCH, statuses).verdict == "unneeded") == passed
