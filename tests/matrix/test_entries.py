"""Known failures and claims: each names its source, and speaks about cells that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from matrix.planning.expand import expand_matrix
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
WORLD = expand_matrix(MATRIX)


# Of the thirty threads that were listed in November 2026, those whose entry was retired, with the reason.
RETIRED = {
    2: "our launches do not fuse the shared expert (overlay sglang_shared_expert_fusion)",
    6: "as 2",
    8: "not run: 0.5.10.post1 loads NVFP4 on SM100 and SM120 only",
    9: "our launches stay below the model's context (overlay sglang_recommended_bind)",
    10: "our launches name cuDNN on SM120 (overlay sglang_native_sm120_fp4)",
    11: "FlashInfer 0.6.5, which no release of an engine pins: SGLang 0.5.9 has 0.6.3, 0.5.10 has 0.6.7.post3",
    12: "older than any release that reads GLM-5, and a fallback is red by its own name (fallback.marlin_fallback)",
    16: "needs fp8 KV of a big checkpoint on Hopper and 32,768 batched tokens; our launches have bf16 and 8,192",
    17: "our launches say fp8 and not fp8_e4m3",
    18: "not run: rule vllm_0_16_0_transformers_pin; one draft token below 0.33",
    19: "about GLM-5.3, of which there is no checkpoint here",
    22: "near 200k tokens, where no item of the test is; our context is 131,072",
    24: "tools with more than 5.5k tokens, where no tool item is",
    25: "its environment is SGLang's, so it says nothing of TensorRT-LLM",
    26: "our launches switch block reuse off (overlay seed000_no_block_reuse)",
    27: "no failure at all: the guide names B200 only, and users ran 1.3.0rc16 on H200",
    28: "not run: rule vllm_0_16_0_transformers_pin",
    29: "an image that is not on the axes",
    30: "a fault of somebody's harness; thinking is off in every launch here",
}


def test_every_known_issue_of_the_audit_has_an_entry_or_was_retired() -> None:
    numbers = {int(m[1]) for k in MATRIX.known_failures if (m := re.match(r"K(\d+)_", k.value.id))}
    assert numbers | RETIRED.keys() == set(range(1, 31))
    assert not numbers & RETIRED.keys()


def test_known_failures_link_to_their_issue_and_are_reviewed_in_time() -> None:
    for entry in MATRIX.known_failures:
        k = entry.value
        assert k.issue.startswith("https://github.com/") or k.id.startswith("planted_")
        assert k.added < k.review_by
        assert k.review_by > date(2026, 11, 21)


UNENDED = (
    *("call", "no_call", "missing_tool", "tool_result", "named_choice", "required_choice", "stream"),
    *("company", "long_stream"),
)


def test_only_failures_that_were_seen_here_are_strict_on_a_cell_that_runs() -> None:
    """The planted one, and what a CPU, an H100 (docs/evidence/sm90-h100) or an H200 showed of the canary."""
    strict = [k for k in MATRIX.known_failures if k.value.expect == "always"]
    on_cells = {(k.value.id, c.checkpoint.canary) for k in strict for c in WORLD.runnable if k.condition(c.facts)}
    seen = (
        "planted_fsfs",
        "llamacpp_streamed_stop_prefix_lost",
        "llamacpp_streams_number_no_drafts",
        "llamacpp_500_for_malformed_tools",
        "llamacpp_500_for_half_a_call",
        "vllm_required_never_ends",
        "vllm_marlin_w13_scales",
        "sglang_gptq_experts_in_bf16",
        "vllm_0_33_pattern_over_indexer_weights",
        "vllm_0_33_gptq_mtp_g_idx",
        "vllm_glm47_references_as_text",
        "vllm_no_logit_bias_with_drafts",
        "vllm_no_named_bias_with_drafts",
        *(f"sglang_unended_thought_{what}" for what in UNENDED),
    )
    assert on_cells == {(name, True) for name in seen}


def claims() -> Iterator[Any]:
    return (c.value for c in MATRIX.claims)


def test_every_claim_speaks_about_a_cell_and_names_its_seed_or_its_address() -> None:
    cells = (*WORLD.runnable, *WORLD.excluded)
    assert all(any(c.condition(cell.facts) for cell in cells) for c in MATRIX.claims)
    assert all(c.source.startswith("docs/sources/00" if c.id.startswith("seed") else "https://") for c in claims())


def test_the_concurrency_table_obeys_littles_law() -> None:
    table = next(c for c in claims() if c.id == "seed001_concurrency")
    rows: dict[int, dict[str, float]] = {}
    for m in table.measurements:
        rows.setdefault(m.conditions["concurrency"], {})[m.metric] = m.value
    assert sorted(rows) == [1, 8, 16, 32, 64, 128, 256, 512, 1024]
    for concurrency, row in rows.items():
        request_s = (row["mean_ttft"] + 511 * row["mean_tpot"]) / 1000
        tolerance = 0.02 if concurrency <= 256 else 0.10
        assert concurrency * 512 / request_s == pytest.approx(row["output_throughput"], rel=tolerance)


def test_the_warm_time_of_seed_004_is_no_prefill_time() -> None:
    prefill = next(c for c in claims() if c.id == "seed004_prefill")
    cold = next(m.value for m in prefill.measurements if m.metric == "prefill_throughput_cold")
    warm = next(m.value for m in prefill.measurements if m.conditions["prompt_tokens"] == 128_025)
    assert prefill.disputed
    assert 128_025 / cold > 20 * warm
