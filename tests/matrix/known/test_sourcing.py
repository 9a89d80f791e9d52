"""Planted rules and known failures whose sources are about something else; each was taken without a word before."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.known.sourcing import Entry, find_source_problems, parse_release, speaks_of
from matrix.model import Rule
from matrix.recorded import Fails, KnownFailure
from matrix.source import Source
from matrix.yaml.load import NEVER, load_matrix
from matrix.yaml.loaded import Loaded

MATRIX = load_matrix()
SHOWN = Fails(at="before_ready", how="exit", signature="x1y2z3")


def entry(when: dict[str, Any], **source: Any) -> Loaded[KnownFailure]:
    value = KnownFailure(
        id="planted",
        when=when,
        fails=SHOWN,
        expect="intermittent",
        symptom="s",
        issue="https://example.org/1",
        source=Source(**{"kind": "report", **source}),
        owner="me",
        added=date(2026, 1, 1),
        review_by=date(2027, 1, 1),
    )
    return Loaded(value=value, file="k.yaml", line=7, lines={("source", "sm"): 9}, condition=NEVER)


def rule(when: dict[str, Any], status: Any = "INVALID_ENGINE", **source: Any) -> Loaded[Rule]:
    value = Rule(id="planted", when=when, status=status, reason="r", source=Source(**{"kind": "report", **source}))
    return Loaded(value=value, file="rules.yaml", line=3, lines={}, condition=NEVER)


def said(item: Any) -> str:
    return "\n".join(map(str, find_source_problems(MATRIX, item)))


SGLANG_120 = {"engine": "sglang", "sm": 120, "version": ">=0.5.17"}
H200 = {"release": "sglang==0.5.17", "gpu": "H200", "sm": (90,)}


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (rule({"release": "sglang_0_5_17", "sm": 120}, **H200), "the entry is about sm120, the source about sm90"),
        (entry(SGLANG_120, **H200), "the entry is about sm120, the source about sm90"),
        (entry(SGLANG_120, **H200, expected="Blackwell is like Hopper"), "is about sm120, the source about sm90"),
        (entry({**SGLANG_120, "sm": [100, 120]}, release="sglang==0.5.17", sm=(100,)), "is about sm120"),
        (entry({"rig": "sm120x4"}, release="sglang==0.5.17", sm=(90,)), "is about sm120"),
        (entry({"gpu": "rtx_5090_32gb"}, release="sglang==0.5.17", sm=(90,)), "is about sm120"),
        (entry({"interconnect": "pcie"}, release="sglang==0.5.17", sm=(90,)), "is about sm120"),
        (entry({"release": "sglang_fork_003"}, release="sglang==0.5.10+fork.20260430", sm=(90,)), "is about sm120"),
        (entry(SGLANG_120, release="sglang==0.5.17"), "the source says of no GPU that it was read or run for it"),
        (rule({"engine": "sglang", "sm": 120}, release="sglang==0.5.17", gpu="RTX PRO 6000"), "says of no GPU"),
        (entry(SGLANG_120, release="sglang==0.5.17", sm=(121,)), "say in `expected` why a GPU of its family stands in"),
        (rule({"release": "vllm_0_26_0", "sm": 120}, kind="choice"), "is no choice of ours"),
        (entry({"engine": "vllm"}, kind="choice"), "a known failure is nobody's choice"),
        (entry({"engine": "trtllm"}, release="sglang==0.5.14"), "speaks of sglang, the entry of trtllm"),  # K25
        (entry({"release": "trtllm_1_3_0rc26"}, release="sglang==0.5.14"), "speaks of sglang, the entry of trtllm"),
        (
            entry({"engine": "vllm", "version": ">=0.33,<0.34"}, release="vllm==0.23.1rc1"),  # K14
            "0.23.1rc1 lies outside of the entry's own range '>=0.33,<0.34'",
        ),
        (entry({"release": "vllm_0_33_0"}, release="vllm==0.26.0"), "0.26.0 is none of the entry's releases (0.33.0)"),
        (
            entry({"engine": "vllm", "version": ">=0.33"}, release="flashinfer-python==0.6.18"),  # K4
            "'flashinfer-python' is no engine, and no library of this entry's `pins`",
        ),
        (
            entry({"pins": {"flashinfer_python": ">=0.7"}}, release="flashinfer-python==0.6.18"),
            "0.6.18 of flashinfer-python lies outside of the entry's own range '>=0.7'",
        ),
        (entry({"engine": "vllm"}), "expected name==version, like 'sglang==0.5.17', got ''"),
        (entry({"engine": "vllm"}, release="not stated"), "expected name==version"),
        (entry({"engine": "vllm"}, release="vllm==mid-2026"), "names no version of PEP 440"),
        (entry({"engine": "vlm"}, release="vlm==0.26.0"), "'vlm' is no engine"),
        (
            entry({"engine": "vllm", "format": "nvfp4"}, release="vllm==0.26.0", form="fp8, bf16 KV"),
            "the entry is about nvfp4 weights, the source about fp8",
        ),
        (entry({"engine": "vllm", "format": "nvfp4"}, release="vllm==0.26.0"), "the source says of no format"),
        (entry({"checkpoint": "canary_w4a16"}, release="vllm==0.26.0", form="nvfp4"), "about w4a16 weights"),
    ],
)
def test_a_source_about_something_else_is_refused_by_name(item: Any, message: str) -> None:
    assert message in said(item)


@pytest.mark.parametrize(
    "item",
    [
        entry(SGLANG_120, release="sglang==0.5.23", sm=(120,)),
        entry(SGLANG_120, release="sglang==0.5.23", sm=(90, 120)),
        entry(SGLANG_120, release="sglang==0.5.17", sm=(121,), expected="one kernel for the family 12"),
        entry({"engine": "vllm"}, release="vllm==0.26.0", sm=(90,)),
        entry({"pins": {"FlashInfer-Python": ">=0.6.18.dev0,<0.7"}}, release="flashinfer-python==0.6.18.dev20260819"),
        entry({"checkpoint": "canary_w4a16", "gpus": 2}, release="vllm==0.26.0", form="w4a16"),
        rule({"gpu": "cpu"}, "INVALID_HW", kind="choice", where="sizes"),
        rule({"canary": True, "feature_count": 2}, "INVALID_COMBO", kind="choice"),
        rule({"release": "sglang_fork_003", "sm": 120}, release="sglang==0.5.10+fork.20260430", sm=(120,)),
    ],
)
def test_a_source_about_the_same_thing_is_taken(item: Any) -> None:
    assert said(item) == ""


def test_the_problem_points_at_the_key_of_the_source() -> None:
    assert said(entry(SGLANG_120, **H200)).startswith("k.yaml:9 planted.source.sm: ")


def test_every_rule_and_every_known_failure_of_ours_has_a_source_about_itself() -> None:
    entries: tuple[Entry, ...] = (*MATRIX.rules, *MATRIX.known_failures)
    assert [str(p) for e in entries for p in find_source_problems(MATRIX, e)] == []


@pytest.mark.parametrize("known", MATRIX.known_failures, ids=lambda k: k.value.id)
def test_moving_the_source_of_an_sm120_entry_to_hopper_is_refused(known: Loaded[KnownFailure]) -> None:
    if 120 in speaks_of(MATRIX, known.value.when):
        moved = replace(known, value=replace(known.value, source=replace(known.value.source, sm=(90,))))
        assert "about sm120" in said(moved) or "sm100 and sm120" in said(moved)


@given(st.sampled_from([90, 100, 120]), st.sets(st.sampled_from([0, 90, 100, 103, 120, 121])), st.booleans())
def test_only_the_gpu_itself_or_an_explained_relative_will_do(sm: int, sms: set[int], explained: bool) -> None:
    item = entry({"sm": sm}, release="vllm==0.26.0", sm=tuple(sorted(sms)), expected="alike" if explained else "")
    assert (said(item) == "") is (sm in sms or (explained and any(sm // 10 == other // 10 for other in sms - {0})))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_the_reported_version_lies_in_the_range_or_is_told(low: int, high: int, reported: int) -> None:
    item = entry({"engine": "vllm", "version": f">=0.{low},<0.{high}"}, release=f"vllm==0.{reported}")
    assert (said(item) == "") is (low <= reported < high)


@pytest.mark.parametrize("text", ["", "==1", "vllm", "vllm==", "vllm>=0.26", "vllm==latest"])
def test_a_release_is_name_and_version(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected name==version|names no version"):
        parse_release(text)


def test_a_citation_says_what_it_is_worth() -> None:
    assert MATRIX.rules[0].value.source.cite() == "sizes in axes/checkpoints (this project's choice)"
    cited = Source(kind="wheel", where="a.py:1", release="vllm==0.26.0", sm=(120,), expected="so").cite()
    assert cited == "a.py:1 (read in vllm==0.26.0 for sm120, not run here; expected: so)"
    cited = Source(kind="run", where="a log", release="vllm==0.33.0", gpu="H200", sm=(90,)).cite()
    assert cited == "a log (run with vllm==0.33.0 on H200)"
