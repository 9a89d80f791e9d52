"""Requested against effective, on recorded logs and on planted differences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from matrix.judging.kv_bytes import predict_token_bytes
from matrix.judging.observation import Observation, Rung
from reports.evidence.finding import Finding
from suites.checks.effective import check_fallbacks, check_settings, list_engine_choices
from tests.matrix.judging.proof.world import LLAMACPP, SGLANG, VLLM, pool
from tests.matrix.judging.proof.world import see as show
from tests.matrix.judging.test_observation import ENGINES, read

FACTS: dict[str, Any] = {"sm": 120, "version": "0.5.23"}


def found(wanted: Any, log: str) -> dict[str, Finding]:
    return {f.check.removeprefix("effective."): f for f in check_settings(wanted, read(log))}


def see(name: str, value: str, **also: str) -> Observation:
    return Observation(name=name, value=value, rung=Rung.LOG, where="log line 1", also=also)


ASKED = [
    ("vllm_0_26_0_bf16_kv", replace(VLLM, context=16384)),
    ("vllm_0_26_0_canary_mtp", replace(VLLM, context=32768, features=frozenset({"mtp"}))),
    ("sglang_0_5_17_bf16_kv", replace(SGLANG, context=16384, kv_dtype="bfloat16")),
    ("sglang_0_5_17_fp8_kv", replace(SGLANG, context=16384, layout="dsa_fp8_packed")),
    ("llamacpp_ffss_mtp", replace(LLAMACPP, chunk_tokens=512, weights="bf16")),
]


@pytest.mark.parametrize(("log", "wanted"), ASKED, ids=[a[0] for a in ASKED])
def test_a_launch_as_planned_shows_no_difference(log: str, wanted: Any) -> None:
    seen = found(wanted, log)
    assert seen and all(f.ok for f in seen.values())
    assert {"kv_layout", "chunk_tokens"} <= seen.keys()


@pytest.mark.parametrize(
    ("fact", "other"),
    [
        ("context", {"context": 202_752}),
        ("chunk_tokens", {"chunk_tokens": 8192}),
        ("page_tokens", {"page_tokens": 128}),  # forced to 64 whatever was asked for
        ("kv_layout", {"layout": "dsa_fp8_packed"}),
        ("attention_backend", {"attention_backend": "flashinfer"}),
        ("moe_backend", {"moe_backend": "cutlass"}),
    ],
)
def test_each_difference_is_found_and_names_both_sides(fact: str, other: dict[str, Any]) -> None:
    wrong = found(replace(SGLANG, **{"context": 16384, **other}), "sglang_0_5_17_bf16_kv")[fact]
    assert not wrong.ok
    assert str(next(iter(other.values()))) in wrong.expected and "log line" in wrong.got


def test_a_dtype_is_compared_by_name_only_where_no_size_is_shown() -> None:
    wanted = replace(SGLANG, kv_dtype="fp8_e4m3")
    named = [see("kv_dtype", "torch.bfloat16")]
    assert [(f.check, f.ok) for f in check_settings(wanted, named)] == [("effective.kv_dtype", False)]
    same = [see("kv_dtype", "torch.float8_e4m3fn")]
    assert [f.ok for f in check_settings(wanted, same)] == [True]


def test_weights_that_were_widened_are_found() -> None:
    wanted = replace(LLAMACPP, weights="nvfp4")
    widened = [see("weights_type", "f32", tensors="42"), see("weights_type", "bf16", tensors="75")]
    (wrong,) = check_settings(wanted, widened)
    assert (wrong.ok, wrong.got) == (False, "42 x f32, 75 x bf16")
    kept = [*widened, see("weights_type", "nvfp4", tensors="12")]
    assert [f.ok for f in check_settings(wanted, kept)] == [True]


def test_what_was_left_open_is_reported_as_chosen() -> None:
    seen = read("vllm_0_26_0_bf16_kv")
    assert list_engine_choices(VLLM, seen)["attention_backend"] == "FLASH_ATTN_MLA_SPARSE"
    assert "attention_backend" not in list_engine_choices(replace(VLLM, attention_backend="X"), seen)


@pytest.mark.parametrize(
    ("engine", "line", "facts", "ok"),
    [
        ("sglang", "Use marlin as MoE runner backend on SM80-SM90 for GlmMoeDsa modelopt_fp4", {"sm": 90}, True),
        ("sglang", "Use marlin as MoE runner backend on SM80-SM90 for GlmMoeDsa modelopt_fp4", {"sm": 120}, False),
        ("vllm", "Your GPU does not have native support for FP4 computation but", {"sm": 100}, False),
        ("sglang", "Attention backend not specified. Use triton backend by default.", {"sm": 100}, False),
        ("sglang", "Attention backend not specified. Use triton backend by default.", {"sm": 120}, True),
        ("llamacpp", "resolve_fused_ops: Flash Attention disabled", {"sm": 0}, False),
    ],
)
def test_silent_fallbacks_are_findings_except_where_the_matrix_expects_them(
    engine: str, line: str, facts: dict[str, Any], ok: bool
) -> None:
    from packaging.version import Version

    from matrix.judging.observation import Sources, read_observations

    dialect = ENGINES[engine].observe
    seen = read_observations(dialect, Sources(log=line))
    (finding,) = check_fallbacks(dialect, seen, {"version": Version("0.5.10.post1"), **facts})
    assert (finding.ok, finding.sensitive) == (ok, True)
    assert finding.check.startswith("fallback.") and finding.detail


@pytest.mark.parametrize("log", ["vllm_0_26_0_bf16_kv", "sglang_0_5_17_fp8_kv", "llamacpp_ffss_mtp"])
def test_a_healthy_launch_falls_back_nowhere(log: str) -> None:
    dialect = ENGINES[log.partition("_")[0]].observe
    assert list(check_fallbacks(dialect, read(log), FACTS)) == []


FALLBACK: dict[str, dict[str, Any]] = {
    "slow_path": {"log": "slow", "fallback": "the slow path is taken", "expected_when": {"sm": 120}}
}


@pytest.mark.parametrize(("sm", "expected"), [(120, "known and accepted on this GPU"), (90, "no fallback")])
def test_a_fallback_is_told_with_its_line_and_what_was_expected(sm: int, expected: str) -> None:
    (told,) = check_fallbacks(FALLBACK, [see("slow_path", "slow")], {"sm": sm})
    assert (told.ok, told.expected) == (sm == 120, expected)
    assert (told.got, told.detail) == ("slow (log line 1)", "the slow path is taken")


def test_what_the_plan_names_is_no_choice_of_the_engine_s() -> None:
    wanted = replace(VLLM, moe_backend="cutlass")
    assert list_engine_choices(wanted, [see("moe_backend", "marlin")]) == {}


def test_a_dtype_that_was_left_open_is_no_difference() -> None:
    assert list(check_settings(replace(VLLM, layout=None), [see("kv_dtype", "torch.bfloat16")])) == []


@pytest.mark.parametrize(("shown", "ok"), [("int8", True), ("nvfp4", False), ("fp8", False)])
def test_names_of_dtypes_that_nobody_listed_are_compared_as_they_stand(shown: str, ok: bool) -> None:
    (told,) = check_settings(replace(VLLM, kv_dtype="int8"), [see("kv_dtype", shown)])
    assert (told.ok, told.expected, told.got) == (ok, "int8", f"{shown} (log line 1)")
    assert told.detail == ("" if ok else "the engine runs with something else than the plan says")


def test_a_size_that_is_no_layout_s_leaves_the_verdict_to_the_name() -> None:
    seen = [*pool(17), see("kv_dtype", "torch.bfloat16")]
    assert [(f.check, f.ok) for f in check_settings(replace(VLLM, kv_dtype="bf16"), seen)] == [
        ("effective.kv_dtype", True)
    ]


def test_a_pool_may_hold_one_page_more_than_it_says() -> None:
    """SGLang allocates a page beyond the tokens that it names: here 64 of 1,024."""
    exact = predict_token_bytes(VLLM, "dsa_bf16", 4)
    seen = [show("kv_bytes", exact * (1024 + 64), unit="bytes"), show("kv_tokens", 1024, unit="tokens")]
    (told,) = check_settings(replace(VLLM, layout="dsa_bf16"), seen)
    assert (told.check, told.ok) == ("effective.kv_layout", True)


@pytest.mark.parametrize(
    ("asked", "shown", "ok"),
    [
        ("flash_attn-mla", "FLASH_ATTN_MLA", True),
        ("FlashInfer", "flashinfer", True),
        ("triton", "FLASH_ATTN_MLA", False),
    ],
)
def test_backends_are_the_same_in_any_case_and_with_any_dashes(asked: str, shown: str, ok: bool) -> None:
    (told,) = check_settings(replace(VLLM, attention_backend=asked), [see("attention_backend", shown)])
    assert told.ok is ok
    assert (told.expected, told.got) == (asked, f"{shown} (log line 1)")


def test_a_size_is_shown_as_a_whole_number() -> None:
    seen = [replace(see("context", "16384.0"), value=16384.0, unit="tokens")]
    (told,) = check_settings(replace(VLLM, context=16384), seen)
    assert (told.ok, told.got) == (True, "16384 (log line 1)")


def test_weights_are_judged_where_both_sides_name_a_type() -> None:
    one = [see("weights_type", "nvfp4", tensors="1")]
    (told,) = check_settings(replace(LLAMACPP, weights="nvfp4"), one)
    assert (told.check, told.ok, told.expected) == ("effective.weights", True, "nvfp4")
    assert list(check_settings(replace(LLAMACPP, weights="nvfp4"), [])) == []
    assert list(check_settings(replace(LLAMACPP, weights="unheard_of"), one)) == []
    (uncounted,) = check_settings(replace(LLAMACPP, weights="nvfp4"), [see("weights_type", "nvfp4")])
    assert not uncounted.ok, "a type of which no tensor was counted is not there"
