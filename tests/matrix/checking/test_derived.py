"""What checks.yaml says that SGLang chooses by itself, against what the deciding functions of each release come to."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.checking.rules import derive_facts, read_book
from matrix.facts.evaluate import releases_of
from matrix.preflight.snapshot import Snapshot
from tests.matrix.checking.test_lines import judge_line

GLM = "GlmMoeDsaForCausalLM"
ASKED = [(sm, kv) for sm in (90, 100, 120) for kv in ("auto", "bfloat16", "fp8_e4m3")]
# The KV dtype of this one depends on the quantisation and on data parallelism, which the table does not ask.
PRERELEASE = "0.5.10rc0"
RELEASES = [s for s in releases_of("sglang") if s.version != PRERELEASE]


def by_hand(snapshot: Snapshot, sm: int, kv: str) -> str:
    facts: dict[str, Any] = {
        "engine": "sglang",
        "version": snapshot.version,
        "architecture": GLM,
        "sparse": True,
        "dsa_class": True,
        "dsa": True,
        "sm": sm,
        "sm_family": sm // 10,
        "kv_given": kv,
        "dsa_prefill_given": None,
        "dsa_decode_given": None,
        "fork": False,
    }
    derive_facts(facts, read_book().derived)
    return f"{facts.get('dsa_prefill')}, {facts.get('dsa_decode')}"


@pytest.mark.parametrize("snapshot", RELEASES, ids=lambda s: s.release)
def test_what_is_written_by_hand_is_what_the_release_comes_to(snapshot: Snapshot) -> None:
    told = {key: snapshot.chosen[f"{GLM} sm{key[0]} {key[1]}"].partition(" (")[0] for key in ASKED}
    assert {key: by_hand(snapshot, *key) for key in ASKED} == told


CHOSEN = [
    (
        "sglang==0.5.10.post1",
        "sm100x8",
        "nvidia/GLM-5-NVFP4",
        {"moe": "flashinfer_trtllm", "fp4_gemm_chosen": "flashinfer_cutlass"},
    ),
    ("sglang==0.5.11", "sm100x8", "zai-org/GLM-5", {"moe": "auto", "moe_layer": "triton"}),
    ("sglang==0.5.12", "sm100x8", "zai-org/GLM-5", {"moe": "flashinfer_trtllm"}),
    ("sglang==0.5.14", "sm90x8", "nvidia/GLM-5-NVFP4", {"moe_layer": "marlin", "fp4_gemm_chosen": "marlin"}),
    ("sglang==0.5.12", "sm120x8", "lukealonso/GLM-5.1-NVFP4", {"fp4_gemm_chosen": "flashinfer_cudnn"}),
    (
        "sglang==0.5.13",
        "sm120x8",
        "lukealonso/GLM-5.1-NVFP4",
        {"fp4_gemm_chosen": "flashinfer_cutlass", "moe_layer": "cutlass"},
    ),
    ("sglang==0.5.23", "sm90x8", "zai-org/GLM-5-FP8", {"fp8_gemm_chosen": "deep_gemm", "kv": "bfloat16"}),
    (
        "vllm==0.33.0",
        "sm120x8",
        "lukealonso/GLM-5.1-NVFP4",
        {"moe": "FLASHINFER_CUTLASS", "attention": "FLASHINFER_MLA_SPARSE_SM120"},
    ),
    ("vllm==0.28.0", "sm90x8", "nvidia/GLM-5-NVFP4", {"moe": "MARLIN"}),
    ("vllm==0.28.0", "sm90x8", "zai-org/GLM-5-FP8", {"moe": "TRITON"}),
]


@pytest.mark.parametrize(("release", "rig", "model", "chosen"), CHOSEN)
def test_what_a_line_leaves_open_is_told_with_what_decides_it(
    release: str, rig: str, model: str, chosen: dict[str, str]
) -> None:
    entry = "sglang serve --model-path" if release.startswith("sglang") else "vllm serve"
    judged = judge_line({"line": f"{entry} {model}", "release": release, "rig": rig})
    assert {name: judged.derived.get(name) for name in chosen} == chosen
    assert all(judged.why[name] for name in chosen)


def test_a_named_quantisation_may_change_the_runner() -> None:
    line = "sglang serve --model-path lukealonso/GLM-5.1-NVFP4 --quantization modelopt_fp4"
    judged = judge_line({"line": line, "release": "sglang==0.5.17", "rig": "sm120x8"})
    assert judged.derived["moe"] == "flashinfer_cutlass"


def test_a_named_backend_is_not_told_as_the_engines_choice() -> None:
    line = "vllm serve zai-org/GLM-5-FP8 -tp 8 --moe-backend triton --attention-backend FLASHMLA_SPARSE"
    judged = judge_line({"line": line, "release": "vllm==0.33.0", "rig": "sm90x8"})
    assert not {"moe", "attention"} & judged.derived.keys()
