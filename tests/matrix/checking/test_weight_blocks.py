"""Widths that ranks cut through a block of scales; lines.yaml holds the lines."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.checking.model_config import describe_model
from matrix.checking.settings import UNKNOWN
from matrix.checking.weight_blocks import add_block_facts, read_block

FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
WIDTHS = {"moe_intermediate_size": 2048, "intermediate_size": 12288}


@pytest.mark.parametrize(
    ("name", "config", "block"),
    [
        ("zai-org/GLM-5.1-FP8", None, 128),
        ("nvidia/GLM-5.2-NVFP4", None, 0),
        ("/w", {"quantization_config": FP8}, 128),
        ("zai-org/GLM-5.1-FP8", {"quantization_config": {"quant_method": "fp8"}}, 0),
        ("/w", {"quantization_config": {"quant_method": "fp8", "weight_block_size": "128"}}, 0),
        ("/w", {}, 0),
    ],
)
def test_the_config_says_how_large_a_block_is(name: str, config: dict[str, Any] | None, block: int) -> None:
    model = describe_model(name, config)
    assert read_block(model, model.config) == block


@pytest.mark.parametrize(
    ("more", "cut"),
    [
        ({"engine": "vllm", "tp": 16}, None),
        ({"engine": "vllm", "tp": 32}, "a routed expert of 2,048 columns over 32 ranks, 64 each"),
        ({"engine": "vllm", "tp": 8, "dp": 4}, "a routed expert of 2,048 columns over 32 ranks, 64 each"),
        ({"engine": "vllm", "tp": 32, "expert_parallel": True}, "the shared expert of 2,048 columns over 32 ranks"),
        ({"engine": "vllm", "tp": 8, "dp": 4, "expert_parallel": True}, None),
        ({"engine": "vllm", "tp": 32, "expert_parallel": UNKNOWN}, None),
        ({"engine": "vllm", "tp": UNKNOWN}, None),
        ({"engine": "sglang", "tp": 32}, "a routed expert"),
        ({"engine": "sglang", "tp": 32, "ep": 2}, None),
        ({"engine": "sglang", "tp": 32, "a2a": "deepep"}, None),
        ({"engine": "trtllm", "tp": 32}, None),
    ],
)
def test_ranks_share_a_layer(more: dict[str, Any], cut: str | None) -> None:
    model = describe_model("/w", {"architectures": ["GlmMoeDsaForCausalLM"], "quantization_config": FP8, **WIDTHS})
    facts = {"tp": 1, "dp": 1, "ep": 1, "moe_dp": 1, "a2a": None, "expert_parallel": None, **more}
    add_block_facts(facts, model, model.config)
    assert (facts["cut_blocks"] or "").startswith(cut or "") and bool(facts["cut_blocks"]) == bool(cut)
