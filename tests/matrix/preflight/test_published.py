"""The seeds' own command lines on the pinned releases: the audit's accept/reject table, flag by flag."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from matrix.preflight.snapshot import snapshot_for
from matrix.preflight.verdict import PreflightReport, preflight_launch

PUBLISHED = json.loads((Path(__file__).parent / "published.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Glm5:
    architecture: str = "GlmMoeDsaForCausalLM"


def report(name: str, release: str) -> PreflightReport:
    case = PUBLISHED[name]
    return preflight_launch(case["argv"], case["env"], snapshot_for(release), Glm5(), release=release)


def errors(found: PreflightReport, where: str = "argv") -> dict[str, str]:
    return {r.subject: r.kind for r in found.remarks if r.level == "error" and r.where == where}


FORK_003_ON_0_5_10 = {
    "--enable-pcie-oneshot-allreduce": "unknown_flag",
    "--nsa-prefill-backend": "invalid_choice",
    "--nsa-decode-backend": "invalid_choice",
    "--moe-runner-backend": "invalid_choice",
    "--fp4-gemm-backend": "invalid_choice",
}
FORK_003_ON_0_5_23 = {
    **FORK_003_ON_0_5_10,
    "--disable-piecewise-cuda-graph": "unknown_flag",
    "--nsa-prefill-backend": "unknown_flag",
    "--nsa-decode-backend": "unknown_flag",
    "--cuda-graph-max-bs": "ambiguous",
}
ONLY_CUDA_GRAPH = {"--cuda-graph-max-bs": "ambiguous"}
TABLE = [
    ("002 sglang", "sglang_0_5_10_post1", {}),
    ("002 sglang", "sglang_0_5_17", {}),
    ("002 sglang", "sglang_0_5_23", {}),
    ("003 sglang", "sglang_0_5_10_post1", FORK_003_ON_0_5_10),
    ("003 sglang", "sglang_0_5_23", FORK_003_ON_0_5_23),
    ("004 sglang", "sglang_0_5_10_post1", {}),
    ("004 sglang", "sglang_0_5_17", {}),
    ("004 sglang", "sglang_0_5_23", ONLY_CUDA_GRAPH),
    ("004 sglang mtp", "sglang_0_5_10_post1", {}),
    ("004 sglang mtp", "sglang_0_5_23", ONLY_CUDA_GRAPH),
    ("004 mtp arguments alone", "sglang_0_5_23", {}),
    ("001 vllm serve", "vllm_0_16_0", {}),
    ("001 vllm serve", "vllm_0_26_0", {}),
    ("001 vllm serve", "vllm_0_33_0", {}),
    ("001 docker", "vllm_0_16_0", {}),
]


@pytest.mark.parametrize(("name", "release", "expected"), TABLE, ids=[f"{n}-on-{r}" for n, r, _ in TABLE])
def test_the_parser_refuses_exactly_the_flags_that_the_audit_found(
    name: str, release: str, expected: dict[str, str]
) -> None:
    found = report(name, release)
    assert errors(found) == expected, str(found)
    assert found.parser_verdict == ("reject" if expected else "accept")


def test_seed_003_for_vllm_needs_the_fork_on_every_upstream_release() -> None:
    old, new = report("003 vllm", "vllm_0_16_0"), report("003 vllm", "vllm_0_33_0")
    assert errors(old)["--attention-backend"] == "refused_later"
    assert errors(old)["--moe-backend"] == "unknown_flag"
    assert errors(new) == {"--attention-backend": "refused_later", "--speculative-config": "invalid_choice"}
    spec = [r.message for r in old.remarks if r.kind == "unknown_key"]
    assert len(spec) == 3, "rejection_sample_method, moe_backend and use_local_argmax_reduction are unknown to 0.16.0"


@pytest.mark.parametrize("release", ["sglang_fork_003", "vllm_fork_003"])
def test_a_fork_image_is_unknown_and_never_accepted_or_rejected(release: str) -> None:
    found = report("003 sglang" if release.startswith("sglang") else "003 vllm", release)
    assert found.verdict == "unknown"
    assert "fork_only" in found.kinds("unknown")


def test_tensorrt_llm_takes_the_line_of_the_seed_and_not_the_class_that_the_seed_renames() -> None:
    found = report("000 trtllm", "trtllm_1_3_0rc3")
    assert (found.parser_verdict, found.kinds("error")) == ("accept", ("architecture",))


def test_a_release_of_tensorrt_llm_that_was_not_read_is_unknown_although_its_documents_know_every_flag() -> None:
    found = report("000 trtllm", "trtllm_1_3_0rc26")
    assert (found.verdict, found.kinds("unknown")) == ("unknown", ("unread_release",))


def test_vllm_0_16_accepts_seed_001_and_cannot_load_its_model() -> None:
    found = report("001 vllm serve", "vllm_0_16_0")
    assert (found.parser_verdict, found.verdict) == ("accept", "reject")
    assert errors(found, "dependency") == {"transformers": "pin"}
    assert report("001 vllm serve", "vllm_0_26_0").verdict == "accept"


def test_an_overlay_with_transformers_5_2_lifts_the_pin_of_vllm_0_16() -> None:
    argv = PUBLISHED["001 vllm serve"]["argv"]
    snapshot = snapshot_for("vllm_0_16_0")
    assert preflight_launch(argv, {}, snapshot, Glm5(), installed={"transformers": "5.2.0"}).verdict == "accept"
    assert preflight_launch(argv, {}, snapshot, Glm5(), installed={"transformers": "5.1.0"}).verdict == "reject"


def test_the_two_deep_gemm_switches_of_seed_004_are_read_by_nothing() -> None:
    for release in ("sglang_0_5_10_post1", "sglang_0_5_17", "sglang_0_5_23"):
        unread = {r.subject for r in report("004 sglang", release).remarks if r.kind == "env_unread"}
        assert {"SGLANG_ENABLE_DEEP_GEMM", "SGLANG_DISABLE_DEEP_GEMM"} <= unread
        assert ("SGLANG_ENABLE_SPEC_V2" in unread) == (release == "sglang_0_5_23")
        assert not {"SGLANG_ENABLE_JIT_DEEPGEMM", "SGLANG_SET_CPU_AFFINITY"} & unread


def test_five_variables_of_seed_003_exist_in_no_upstream_vllm() -> None:
    unread = {r.subject for r in report("003 vllm", "vllm_0_33_0").remarks if r.kind == "env_unread"}
    assert unread == {
        "VLLM_ENABLE_PCIE_ALLREDUCE",
        "VLLM_USE_B12X_SPARSE_INDEXER",
        "VLLM_MTP_RETURN_NORMALIZED_HIDDEN",
        "VLLM_B12X_MLA_SPEC_SERIAL_DECODE",
        "VLLM_CACHE_DIR",
    }


def test_tp_is_an_abbreviation_and_nvidia_visible_devices_a_misunderstanding() -> None:
    assert "abbreviation" in report("002 sglang", "sglang_0_5_10_post1").kinds("warning")
    assert "env_misleading" in report("003 sglang", "sglang_0_5_10_post1").kinds("warning")


def test_trust_remote_code_is_said_to_be_ignored() -> None:
    assert "remote_code_ignored" in report("001 vllm serve", "vllm_0_33_0").kinds("note")
