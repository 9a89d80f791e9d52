"""Pools by layout, against what one GPU was seen to hold: 1,699,648 tokens in 8.13 GiB (vLLM 0.33.0, one H200)."""

from __future__ import annotations

import pytest

from matrix.planning.expand import find_cell
from matrix.planning.fit import tell_fit
from matrix.planning.plan import Plan, make_plan
from matrix.planning.pool import expect_pool_tokens, row_of_plan
from matrix.yaml.load import load_matrix

VLLM = "vllm_0_33_0.canary_bf16"


def plan_of(cell_id: str) -> Plan:
    cell = find_cell(load_matrix(), cell_id)
    assert cell is not None, cell_id
    return make_plan(load_matrix(), cell)


@pytest.mark.parametrize(
    ("cell_id", "row", "tokens"),
    [
        (f"sm90x1.{VLLM}.baseline", 5136, 1_699_648),  # seen
        (f"sm90x2.{VLLM}.baseline", 5136, 1_699_648),  # tensor parallelism splits no latent
        (f"sm90x2.{VLLM}.pipeline_parallel", 2568, 3_399_360),
        (f"sm90x2.{VLLM}.dp_attention", 5136, 2 * 1_699_648),
        (f"sm90x2.{VLLM}.decode_context_parallel", 1576, 5_539_072),
        (f"sm90x2.{VLLM}.decode_context_parallel_mtp", 1970, 4_431_232),
        ("sm90x4.vllm_0_33_0.canary_wide.decode_context_parallel_4", 788, 11_077_888),
        ("sm90x2.sglang_0_5_23.canary_bf16.dp_attention", 5136, 2 * 2_097_152),
        ("sm90x2.sglang_0_5_23.canary_bf16.indexcache_pipeline_parallel", 2568, 2_097_152),
        ("sm90x8.vllm_0_33_0.glm5_fp8.pipeline_parallel", 39 * 1284, None),
    ],
)
def test_a_pool_is_what_the_layout_leaves_of_a_row(cell_id: str, row: int, tokens: int | None) -> None:
    plan = plan_of(cell_id)
    assert row_of_plan(plan, plan.settings["kv_layout"]) == row
    found = expect_pool_tokens(plan)
    assert found == tokens or (tokens and found and abs(found / tokens - 1) < 1e-4)


def test_the_derivation_is_told() -> None:
    told = tell_fit(plan_of(f"sm90x2.{VLLM}.decode_context_parallel"))
    assert "expected pool 5,53" in told and "2 ranks store a share of each sequence" in told
    assert "expected pool" not in tell_fit(plan_of(f"sm90x1.{VLLM}.baseline"))


def test_context_parallelism_holds_a_longer_context() -> None:
    """8x B300, GLM-5.2 NVFP4, DCP 4: a quarter of the row on a rank."""
    base = "sm103x8.vllm_0_33_0.glm52_nvfp4_nvidia"
    whole, spread = (plan_of(f"{base}.{f}") for f in ("baseline", "decode_context_parallel_4"))
    layout = whole.settings["kv_layout"]
    assert row_of_plan(spread, layout) == -(-row_of_plan(whole, layout) // 4)
