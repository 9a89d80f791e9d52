"""Numbers of config.json against each other and against the tensors: rope, experts, shapes, layers, formats."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.preflight.checkpoint import CheckpointFiles, read_facts
from tests.matrix.preflight.checkpoints.builders import EXPERTS, LAYERS, Weights, said, says, sound, weights, without

NESTED = {"rope_theta": 8000000, "rope_type": "default"}
CONFIGS: list[tuple[dict[str, Any], str, str, str]] = [
    # rope, flat and nested
    ({"rope_theta": 1000000, "rope_parameters": NESTED}, "error", "rope", "flat and nested.*1e\\+06.*8e\\+06"),
    ({"rope_scaling": {"rope_theta": 10000}}, "error", "rope", "two rope thetas"),
    ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, "error", "rope", "rope_type default and yarn"),
    ({"rope_parameters": "default"}, "error", "rope", "expected an object"),
    ({"rope_parameters": {"rope_theta": "1e6"}}, "error", "rope", "positive number"),
    ({"rope_parameters": {"rope_theta": -1}}, "error", "rope", "positive number"),
    ({"rope_parameters": None}, "warning", "rope", "no rope theta"),
    ({"indexer_rope_interleave": False}, "warning", "rope", "interleaved"),
    ({"indexer_rope_interleave": None}, "warning", "rope", "interleaved"),
    # experts
    ({"num_experts_per_tok": EXPERTS + 1}, "error", "top_k", "top-k.*4 routed experts"),
    ({"num_experts_per_tok": 0}, "error", "top_k", "is 0"),
    ({"num_experts_per_tok": None, "moe_topk": 9}, "error", "top_k", "9"),
    ({"n_group": 3, "topk_group": 3}, "error", "top_k", "does not divide"),
    ({"n_group": 4, "topk_group": 5}, "error", "top_k", "topk_group is 5"),
    ({"n_group": 4, "topk_group": 1}, "error", "top_k", "exceeds the 1 experts"),
    ({"n_routed_experts": EXPERTS + 1}, "error", "experts", "4 routed experts, config.json says 5, number 4 is not"),
    ({"n_routed_experts": EXPERTS - 1, "num_experts_per_tok": 1}, "error", "experts", "4 routed .* says 3"),
    ({"n_routed_experts": None}, "error", "experts", "states no count"),
    ({"num_experts": EXPERTS + 4}, "error", "spelling", "n_routed_experts 4 and num_experts 8"),
    ({"first_k_dense_replace": 0}, "error", "experts", "layer 0 should be MoE"),
    ({"first_k_dense_replace": 2}, "error", "experts", "layer 1 should be dense"),
    ({"n_shared_experts": 0}, "error", "shared_experts", "is 0 and layers 1-8"),
    ({"mlp_layer_types": ["dense"] * 2 + ["sparse"] * 6}, "error", "experts", "mlp_layer_types and first_k"),
    ({"mlp_layer_types": ["dense"] * 2}, "error", "experts", "2 entries for 8"),
    ({"mlp_layer_types": ["moe"] * 8}, "error", "experts", "word 'moe'"),
    ({"moe_layer_freq": 2}, "error", "experts", "layers 1, 3, 5, 7 should be dense"),
    # what no tensor decides
    ({"routed_scaling_factor": 0}, "error", "constant", "above 0 and up to 100, got 0"),
    ({"routed_scaling_factor": float("nan")}, "error", "constant", "got nan"),
    ({"rms_norm_eps": "1e-5"}, "error", "constant", "rms_norm_eps: expected a number"),
    ({"rms_norm_eps": 0.01}, "error", "constant", "up to 0.001, got 0.01"),
    ({"hidden_act": "gelu"}, "error", "constant", "silu alone"),
    ({"scoring_func": "softmax"}, "warning", "constant", "sigmoid"),
    ({"norm_topk_prob": False, "routed_scaling_factor": 2.5}, "warning", "constant", "add up to one"),
    # layers
    ({"num_hidden_layers": LAYERS + 2}, "error", "missing_layer", "layers 9"),
    ({"num_nextn_predict_layers": 2}, "error", "mtp_layer", "announces 2 MTP layers, the shards hold 1"),
    ({"num_nextn_predict_layers": None}, "note", "mtp_layer", "announces 0"),
    (
        {"num_hidden_layers": LAYERS + 1, "num_nextn_predict_layers": 0},
        "error",
        "mtp_layer",
        "layers 8 are MTP layers.*num_hidden_layers 9 counts them",
    ),
    ({"num_hidden_layers": None}, "error", "config", "no num_hidden_layers"),
    # shapes
    ({"vocab_size": 65}, "error", "shape", "embed_tokens.weight is \\[64, 32\\].*65"),
    ({"num_attention_heads": 4}, "error", "shape", "q_b_proj.*layers 0-8.*\\[80, 16\\]"),
    ({"kv_lora_rank": 512}, "error", "shape", "kv_a_proj_with_mqa"),
    ({"index_n_heads": 32}, "error", "shape", "indexer.wq_b"),
    ({"index_head_dim": 128}, "error", "shape", "indexer.wk"),
    ({"moe_intermediate_size": 8}, "error", "shape", "experts.N.up_proj"),
    ({"hidden_size": 64}, "error", "shape", "o_proj"),
    # claims
    ({"torch_dtype": "float16"}, "error", "dtype", "dtype bfloat16 and torch_dtype float16"),
    ({"dtype": "float16"}, "warning", "dtype", "says float16, the weights are bfloat16.*overflows"),
    ({"index_topk": None}, "warning", "index_topk", "without index_topk"),
    ({"index_topk": 0}, "error", "index_topk", "sees nothing"),
    ({"index_topk": 202752}, "note", "index_topk", "whole context"),
    # how far the rotation reaches, and which there are
    ({"rope_parameters": {**NESTED, "rope_type": "yarm"}}, "error", "rope", "'yarm' is none.*yarn"),
    ({"rope_parameters": {**NESTED, "rope_type": "yarn"}}, "error", "rope", "wants a factor above 0, got None"),
    ({"rope_parameters": {**NESTED, "rope_type": "linear", "factor": 0}}, "error", "rope", "got 0"),
    ({"rope_parameters": {**NESTED, "rope_type": "yarn", "factor": 0.5}}, "warning", "rope", "0.5 shortens"),
    (
        {"rope_parameters": {**NESTED, "rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 32768}},
        "warning",
        "rope",
        "202,752, and yarn reaches 65,536",
    ),
    # what it declares of itself
    ({"model_type": None}, "error", "model_type", "states no model_type.*glm_moe_dsa"),
    ({"model_type": "deepseek_v32"}, "warning", "model_type", "'deepseek_v32' beside GlmMoeDsaForCausalLM"),
    ({"architectures": ["GlmMoeDsaForCausalLM", "LlamaForCausalLM"]}, "warning", "architecture", "names 2 classes"),
    ({"max_position_embeddings": 0}, "error", "context", "is 0"),
    ({"max_position_embeddings": None}, "note", "context", "states no max_position_embeddings"),
    ({"pad_token_id": 64}, "warning", "vocabulary", "pad_token_id 64 .* vocabulary of 64"),
    ({"attention_bias": True}, "warning", "bias", "no projection of attention has a bias"),
    ({"dtype": "float8_e4m3fn"}, "warning", "dtype", "float8_e4m3fn, in which no engine computes"),
    # numbers that are none
    ({"num_hidden_layers": "8"}, "error", "config", "expected a count, got '8'"),
    ({"num_hidden_layers": 10**9}, "error", "config", "num_hidden_layers"),
    ({"n_routed_experts": [4]}, "error", "config", "n_routed_experts"),
    ({"hidden_size": -1}, "error", "config", "hidden_size"),
    ({"vocab_size": True}, "error", "config", "vocab_size"),
    ({"architectures": "GlmMoeDsaForCausalLM"}, "error", "config", "list of one name"),
    ({"architectures": ["GlmMoeDsaForCausalML"]}, "unknown", "architecture", "did you mean 'GlmMoeDsaForCausalLM'"),
    ({"architectures": ["LlamaForCausalLM"]}, "unknown", "architecture", "LlamaForCausalLM.*unknown"),
    ({"text_config": {"num_hidden_layers": 6}}, "error", "spelling", "num_hidden_layers twice"),
]


@pytest.mark.parametrize(("config", "level", "kind", "words"), CONFIGS, ids=[str(c)[1:60] for c, *_ in CONFIGS])
def test_a_config_that_does_not_fit_is_named(config: dict[str, Any], level: str, kind: str, words: str) -> None:
    found = sound(**config)
    assert says(found, level, kind, words), said(found)


QUIET: list[dict[str, Any]] = [
    {"rope_theta": 1000000},
    {"rope_theta": 1000000.0, "rope_scaling": None},
    {"rope_theta": 1000000, "rope_parameters": None},
    {"rope_parameters": {"full_attention": NESTED}},
    {"mlp_layer_types": ["dense"] + ["sparse"] * 7},
    {"num_experts": EXPERTS},
    {"num_local_experts": EXPERTS, "n_routed_experts": None},
    {"n_group": 2, "topk_group": 1},
    {"torch_dtype": "bfloat16"},
    {"dtype": "torch.bfloat16"},
    {"text_config": {"num_hidden_layers": LAYERS}},
    {"moe_layer_freq": 1},
    {"scoring_func": "sigmoid", "norm_topk_prob": True, "routed_scaling_factor": 2.5, "hidden_act": "silu"},
    {"rms_norm_eps": 1e-5, "norm_topk_prob": False, "routed_scaling_factor": 1.0},
    {"rope_parameters": {**NESTED, "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 50688}},
    {"rope_parameters": {**NESTED, "rope_type": "linear", "factor": 2}},
    {"pad_token_id": 63},
    {"pad_token_id": -1},
    {"pad_token_id": None},
    {"attention_bias": False},
]


@pytest.mark.parametrize("config", QUIET, ids=lambda c: str(c)[1:60])
def test_another_spelling_of_the_same_is_quiet(config: dict[str, Any]) -> None:
    assert said(sound(**config)) == []


@pytest.mark.parametrize("prefix", ["model.", "model.language_model.", "language_model.model."])
def test_a_prefix_of_the_names_changes_nothing(prefix: str) -> None:
    assert said(sound(weights(prefix=prefix))) == []
    assert says(sound(weights(prefix=prefix, without_indexer={3})), "error", "indexer", "layer 3")


def test_the_layers_of_an_image_tower_are_not_the_models() -> None:
    held = weights() | {f"visual.layers.{n}.attn.qkv.weight": ("BF16", (6, 2)) for n in range(20)}
    held |= {f"model.vision_tower.encoder.layers.{n}.mlp.up_proj.weight": ("BF16", (6, 2)) for n in range(20)}
    assert said(sound(held)) == []


def test_a_draft_that_is_numbered_apart_is_the_layer_behind_the_trunk() -> None:
    held = {name.replace(f"model.layers.{LAYERS}.", "mtp.layers.0."): about for name, about in weights().items()}
    assert said(sound(held)) == []


LOST = [
    (r"layers\.3\.self_attn\.o_proj", "missing_tensor", "layer 3.*o_proj"),
    (r"layers\.5\.mlp\.experts\.2\.down_proj", "missing_tensor", "experts of layer 5 lack.*down_proj"),
    (r"layers\.5\.mlp\.experts\.2\.", "experts", "layer 5 has 3 routed experts"),
    (r"layers\.5\.mlp\.experts\.", "experts", "layer 5 should be MoE"),
    (r"layers\.4\.mlp\.gate\.weight", "router|missing_tensor", "mlp.gate"),
    (r"layers\.4\.mlp\.shared_experts", "shared_experts", "layer 4 hold none"),
    (r"layers\.8\.eh_proj", "mtp_layer", "lacks eh_proj"),
    (r"layers\.8\.", "mtp_layer", "the shards hold 0"),
    (r"layers\.6\.", "missing_layer", "layers 6"),
    (r"lm_head", "lm_head", "no lm_head"),
    (r"^model\.norm", "missing_tensor", "no model.norm.weight.*noise"),
    (r"^model\.embed_tokens", "missing_tensor", "no model.embed_tokens.weight.*noise"),
]


@pytest.mark.parametrize(("pattern", "kind", "words"), LOST, ids=[p for p, *_ in LOST])
def test_a_tensor_that_is_lost_is_named(pattern: str, kind: str, words: str) -> None:
    found = sound(without(weights(), pattern))
    assert any(says(found, "error", each, words) for each in kind.split("|")), said(found)


def test_of_a_fragment_nothing_is_held_against_what_it_leaves_out() -> None:
    fragment = {"architectures": ["GlmMoeDsaForCausalLM"], "num_hidden_layers": LAYERS, "num_nextn_predict_layers": 1}
    found = sound()
    files = CheckpointFiles(config=fragment, shards=found.shards, has_tokenizer=True, chat_template=found.chat_template)
    assert said(files, "error") == []


def test_what_is_nested_stands_over_what_surrounds_it() -> None:
    assert read_facts(sound(num_hidden_layers=3, text_config={"num_hidden_layers": LAYERS})).layers == LAYERS


def biased(dtype: str) -> Weights:
    return {name: (dtype if "e_score" in name else was, shape) for name, (was, shape) in weights().items()}


def test_the_bias_of_a_router_is_there_and_wide() -> None:
    """An engine builds it from the class and loads nothing into it where it is missing (wheels)."""
    assert says(sound(without(weights(), "e_score")), "error", "router", "no e_score_correction_bias")
    one = without(weights(), r"layers\.3\.mlp\.gate\.e_score")
    assert says(sound(one), "error", "router", "layer 3 ")
    assert not said(sound(without(weights(), "e_score"), topk_method="greedy"), "error")
    assert says(sound(biased("BF16")), "warning", "router", "BF16, not F32")
    assert not said(sound(biased("F64")), "error", "warning")


def test_a_stored_head_is_not_tied() -> None:
    assert says(sound(tie_word_embeddings=True), "warning", "lm_head", "stored and tie_word_embeddings is true")
    assert not says(sound(without(weights(), "lm_head"), tie_word_embeddings=True), "warning", "lm_head")
