"""Classes as they are published stay quiet: GLM-5.2, GLM-5.3-Flash with images, DeepSeek-V3.2; others are told."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from matrix.preflight.checkpoint import judge_checkpoint
from tests.matrix.preflight.checkpoints.builders import (
    CONFIG,
    LAYERS,
    SHARED_FROM_5_2,
    TEMPLATE,
    Weights,
    block_fp8,
    nvfp4,
    said,
    says,
    shard,
    sound,
    weights,
    without,
)

NVFP4 = {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16}
LINEAR = {1, 2, 4, 5}  # layers of GLM-5.3-Flash's kind with linear attention


def glm_5_2() -> dict[str, Any]:
    types = ["shared" if layer in SHARED_FROM_5_2 else "full" for layer in range(LAYERS)]
    rope = {"rope_theta": 8000000, "rope_type": "default"}
    return {
        "index_topk_freq": 4,
        "index_skip_topk_offset": 3,
        "indexer_types": types,
        "rope_parameters": rope,
        "max_position_embeddings": 1048576,
    }


def flash() -> tuple[Weights, dict[str, Any]]:
    """Make a nested config: names behind `model.language_model.`, linear layers, no rope, an image tower."""
    held: Weights = {}
    for name, about in weights(prefix="model.language_model.", without_indexer=LINEAR).items():
        layer = re.search(r"layers\.(\d+)\.self_attn\.", name)
        if layer is None or int(layer[1]) not in LINEAR:
            held[name] = about
    for layer_number in LINEAR:
        start = f"model.language_model.layers.{layer_number}.linear_attn."
        held |= {f"{start}A_log": ("F32", (2,)), f"{start}q_proj.weight": ("BF16", (32, 32))}
        held |= {f"{start}o_proj.weight": ("BF16", (32, 32)), f"{start}q_conv1d.weight": ("BF16", (32, 4))}
    held |= {f"model.visual.blocks.{n}.attn.qkv.weight": ("BF16", (6, 4)) for n in range(3)}
    held |= {f"model.visual.layers.{n}.mlp.up_proj.weight": ("BF16", (6, 4)) for n in range(30)}
    inner = {k: v for k, v in CONFIG.items() if k not in ("architectures", "rope_parameters", "eos_token_id")}
    config: dict[str, Any] = {"text_config": {**inner, "qk_rope_head_dim": 0}, "eos_token_id": [50, 51, 52]}
    config |= dict.fromkeys(inner)
    return held, {
        **config,
        "architectures": ["Glm5NextForConditionalGeneration"],
        "model_type": "glm5_next",
        "rope_parameters": None,
    }


def test_glm_5_2_is_quiet_in_bf16_fp8_and_nvfp4() -> None:
    held = weights(without_indexer=SHARED_FROM_5_2)
    assert said(sound(held, **glm_5_2())) == []
    linear = r"self_attn\.(?:q_|kv_|o_)|indexer\.w[kq](?!eights)|mlp\.(?:up|gate_|down)|experts"
    fp8 = {"quant_method": "fp8", "weight_block_size": [128, 128], "modules_to_not_convert": ["lm_head"]}
    assert said(sound(block_fp8(held, linear), **glm_5_2(), quantization_config=fp8)) == []
    alone = ["*self_attn*", "*shared_experts*", "*layers.0.mlp*", f"*layers.{LAYERS}*"]
    narrow = sound(
        nvfp4(held, r"layers\.[1-7]\.mlp\.experts"), **glm_5_2(), quantization_config={**NVFP4, "ignore": alone}
    )
    assert said(narrow, "error", "warning") == []


def test_glm_5_2_weights_under_the_config_of_5_1_are_an_error() -> None:
    found = said(sound(weights(without_indexer=SHARED_FROM_5_2)), "error")
    assert len(found) == 1
    assert "GLM-5.2" in found[0]


def test_glm_5_3_flash_is_told_to_be_known_in_part_and_nothing_else() -> None:
    held, config = flash()
    found = sound(held, **config)
    assert said(found, "error", "warning", "unknown") == []
    assert says(found, "note", "architecture", "pooled indexer")


def test_faults_of_glm_5_3_flash_are_found_behind_its_prefixes() -> None:
    held, config = flash()
    lost = without(held, r"layers\.6\.mlp\.experts\.3\.up_proj")
    assert says(sound(lost, **config), "error", "missing_tensor", "layer 6")
    nested = {**config["text_config"], "num_experts_per_tok": 9}
    assert says(sound(held, **{**config, "text_config": nested}), "error", "top_k", "is 9")
    alone = ["*self_attn*", "*linear_attn*", "*shared_experts*", "*layers.0.mlp*"]
    narrow = nvfp4(held, r"layers\.[1-7]\.mlp\.experts")
    about = {**NVFP4, "ignore": alone}
    assert says(sound(narrow, **config, quantization_config=about), "error", "wide_not_excluded", "layers.8")
    inner = {**config["text_config"], "quantization_config": about}
    assert says(sound(narrow, **{**config, "text_config": inner}), "error", "wide_not_excluded", "layers.8")


def test_deepseek_v3_2_as_published_is_quiet() -> None:
    linear = r"self_attn\.(?:q_|kv_|o_)|indexer\.w[kq](?!eights)|mlp\.(?:up|gate_|down)|experts"
    config = {
        "architectures": ["DeepseekV32ForCausalLM"],
        "model_type": "deepseek_v32",
        "indexer_rope_interleave": None,
        "rope_parameters": None,
        "rope_theta": 10000,
        "rope_scaling": {"type": "yarn", "factor": 40},
        "n_group": 2,
        "topk_group": 1,
        "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]},
    }
    held = weights() | {
        f"model.layers.{LAYERS}.embed_tokens.weight": ("BF16", (64, 32)),
        f"model.layers.{LAYERS}.shared_head.head.weight": ("BF16", (64, 32)),
        f"model.layers.{LAYERS}.shared_head.norm.weight": ("BF16", (32,)),
    }
    thinks = TEMPLATE.replace("enable_thinking", "thinking")
    assert said(replace(sound(block_fp8(held, linear), **config), chat_template=thinks)) == []


@pytest.mark.parametrize("name", ["LlamaForCausalLM", "Glm6ForCausalLM", "GlmMoeDsaForCausalLm"])
def test_an_unknown_class_is_told_and_never_an_error_by_itself(name: str) -> None:
    held = {f"model.layers.{n}.mixer.weight": ("BF16", (4, 4)) for n in range(LAYERS)}
    held |= {
        f"model.layers.{n}.block_sparse_moe.experts.{e}.w1.weight": ("BF16", (4, 4)) for n in (1, 3) for e in (0, 1)
    }
    config = {"architectures": [name], "num_hidden_layers": LAYERS, "hidden_size": 4, "num_local_experts": 2}
    files = replace(sound(), config={**config, "eos_token_id": [50, 51, 52]}, index=None)
    files = replace(files, shards={"model.safetensors": shard(held)})
    levels = [r.level for r in judge_checkpoint(files) if r.kind not in ("mtp_layer",)]
    assert levels == ["unknown"], said(files)
