"""Faults planted in a sound checkpoint, and sound ones that only look odd: written before the linter was asked.

Each answer was taken from what the engines' loaders, the formats and the class's config do with it. On the first run
35 of 42 were right, six faults were met with silence and one sound checkpoint was warned of.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from matrix.preflight.checkpoint import CheckpointFiles, Tokenizer, judge_checkpoint
from tests.matrix.preflight.checkpoints.builders import (
    CONFIG,
    HIDDEN,
    TEMPLATE,
    TOKENS,
    TURNS,
    Weights,
    block_fp8,
    nvfp4,
    show,
    sound,
    weights,
    with_generation,
    without,
)

BODY = (
    r"layers\.\d+\.(?:self_attn\.(?:q_a_proj|q_b_proj|kv_a_proj_with_mqa|kv_b_proj|o_proj|indexer\.(?:wk|wq_b))"
    r"|mlp\.(?:up|gate_proj|down|shared|experts))"
)
WIDE = [
    *(f"model.layers.{layer}.mlp.gate" for layer in range(1, 9)),
    *(f"model.layers.{layer}.self_attn.indexer.weights_proj" for layer in range(9)),
    "lm_head",
    "model.embed_tokens",
    "model.layers.8.eh_proj",
]
FP8: dict[str, Any] = {
    "quant_method": "fp8",
    "activation_scheme": "dynamic",
    "weight_block_size": [128, 128],
    "fmt": "e4m3",
    "modules_to_not_convert": WIDE,
}
NVFP4: dict[str, Any] = {
    "quant_method": "modelopt",
    "quant_algo": "NVFP4",
    "group_size": 16,
    "ignore": ["lm_head", "*self_attn*", "*mlp.gate", "*eh_proj*", "*layers.0.mlp*", "*shared_experts*"],
}
PACKED: dict[str, Any] = {
    "quant_method": "compressed-tensors",
    "format": "nvfp4-pack-quantized",
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 4, "type": "float", "group_size": 16, "strategy": "tensor_group"},
        }
    },
    "ignore": ["re:*lm_head", "re:.*self_attn.*"],
}
NAMES = ("architectures", "model_type")


def put(name: str, dtype: str, *shape: int) -> Weights:
    """Return the sound weights with one tensor stored otherwise, or added."""
    return {**weights(), name: (dtype, shape)}


def stored_as(was: str, dtype: str, held: Weights) -> Weights:
    return {name: (dtype if found == was else found, shape) for name, (found, shape) in held.items()}


def fp8(held: Weights | None = None, **changes: Any) -> CheckpointFiles:
    narrow = block_fp8(weights(), BODY) if held is None else held
    return sound(narrow, quantization_config={**FP8, **changes})


def packed(which: str = r"mlp\.experts\.", **changes: Any) -> CheckpointFiles:
    return sound(nvfp4(weights(), which), quantization_config={**NVFP4, **changes})


def with_template(text: str | None) -> CheckpointFiles:
    return replace(sound(), chat_template=text)


def without_a_scale() -> Weights:
    held = block_fp8(weights(), BODY)
    return {**held, "model.layers.3.mlp.experts.1.up_proj.weight_scale_inv": ("F32", (0, 1))}


def with_templates(value: object, own: str | None = None) -> CheckpointFiles:
    """Return the sound checkpoint with templates in tokenizer_config.json, and `own` as chat_template.jinja."""
    files = sound()
    return replace(
        files, chat_template=own, tokenizer_config={**(files.tokenizer_config or {}), "chat_template": value}
    )


def named(**templates: str) -> list[dict[str, str]]:
    return [{"name": name, "template": text} for name, text in templates.items()]


def fused(experts: int) -> Weights:
    """All experts of a layer in one tensor for each part, as some converters store them."""
    held = without(weights(), r"mlp\.experts\.")
    for layer in range(1, 9):
        held[f"model.layers.{layer}.mlp.experts.gate_up_proj"] = ("BF16", (experts, 32, HIDDEN))
        held[f"model.layers.{layer}.mlp.experts.down_proj"] = ("BF16", (experts, HIDDEN, 16))
    return held


def with_kv_scales(*layers: int) -> CheckpointFiles:
    scales: Weights = {
        f"model.layers.{layer}.self_attn.{part}": ("F32", (1,)) for layer in layers for part in ("k_scale", "v_scale")
    }
    cache = {"num_bits": 8, "type": "float", "strategy": "tensor"}
    return fp8({**block_fp8(weights(), BODY), **scales}, kv_cache_scheme=cache)


ALWAYS = TURNS + "{% if add_generation_prompt %}<|assistant|><think>{% endif %}"
REFUSING = "{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"

# What is made, the levels of which one must be told (none: nothing above a note), words of the remark
CASES: dict[str, tuple[Callable[[], CheckpointFiles], str, str]] = {
    "kv_b_of_one_layer": (lambda: sound(without(weights(), r"layers\.4\.self_attn\.kv_b_proj")), "error", r"kv_b_proj"),
    "joint_of_the_draft_half": (
        lambda: sound(put("model.layers.8.eh_proj.weight", "BF16", HIDDEN, HIDDEN)),
        "error",
        r"eh_proj",
    ),
    "router_of_three_rows": (lambda: sound(put("model.layers.3.mlp.gate.weight", "BF16", 3, HIDDEN)), "error", r"gate"),
    "bias_of_router_in_bf16": (
        lambda: sound(
            {name: ("BF16", shape) if "e_score" in name else (was, shape) for name, (was, shape) in weights().items()}
        ),
        "warning",
        r"e_score|bias|F32|float32",
    ),
    "bias_of_router_missing": (lambda: sound(without(weights(), "e_score")), "error", r"e_score"),
    "index_heads_of_the_config": (lambda: sound(index_n_heads=4), "error", r"index_n_heads|wq_b"),
    "two_bases_of_rope": (lambda: sound(rope_theta=10000), "warning|error", r"rope"),
    "groups_do_not_divide": (lambda: sound(n_group=3, topk_group=1), "error|warning", r"n_group"),
    "more_groups_than_there_are": (lambda: sound(n_group=2, topk_group=3), "error|warning", r"topk_group"),
    "blocks_of_another_size": (lambda: fp8(weight_block_size=[16, 16]), "error", r"block|scale"),
    "regex_of_no_regex": (
        lambda: sound(nvfp4(weights(), r"mlp\.experts\."), quantization_config=PACKED),
        "error|warning",
        r"re:\*lm_head|regular expression|pattern",
    ),
    "one_end_of_three": (lambda: with_generation(sound(), eos_token_id=50), "warning|error", r"eos|<\|user\|>|51"),
    "token_beyond_the_table": (
        lambda: replace(sound(), tokenizer=Tokenizer(71, {**TOKENS, "<|late|>": 70})),
        "error",
        r"70|vocab|embedding",
    ),
    "template_that_refuses_tools": (
        lambda: with_template(TEMPLATE.replace("{{ m.reasoning", REFUSING + "{{ m.reasoning")),
        "warning|error",
        r"tool",
    ),
    "template_not_closed": (
        lambda: with_template("[gMASK]<sop>{% for m in messages %}<|{{ m.role }}|>{{ m.content }}"),
        "error",
        r"template|endfor",
    ),
    "no_template_at_all": (lambda: with_template(None), "warning|error", r"template"),
    "tied_and_stored": (lambda: sound(tie_word_embeddings=True), "warning|error", r"tie|lm_head"),
    "head_missing": (lambda: sound(without(weights(), "lm_head")), "error", r"lm_head"),
    "half_of_another_kind": (lambda: sound(dtype="float16"), "warning|error", r"float16|F16|dtype"),
    "experts_where_dense_is_said": (lambda: sound(first_k_dense_replace=3), "error", r"first_k_dense_replace|dense"),
    "draft_is_there_and_not_said": (
        lambda: sound(num_nextn_predict_layers=0),
        "warning|error|note",
        r"MTP|nextn|layer 8|draft",
    ),
    "kind_of_indexer_misspelt": (
        lambda: sound(indexer_types=["full"] * 3 + ["ful"] + ["full"] * 4),
        "error|warning",
        r"ful",
    ),
    "excluded_and_narrow": (lambda: packed(r"mlp\.(?:experts|shared_experts)\."), "error|warning", r"shared_experts"),
    "groups_of_32_with_scales_of_16": (lambda: packed(group_size=32), "error|warning", r"32|scale"),
    "other_fp8": (
        lambda: fp8(stored_as("F8_E4M3", "F8_E5M2", block_fp8(weights(), BODY))),
        "error|warning",
        r"E5M2|e5m2",
    ),
    "scale_of_zero_rows": (lambda: fp8(without_a_scale()), "error", r"scale"),
    "q_lora_of_the_config": (lambda: sound(q_lora_rank=32), "error", r"q_lora_rank|q_a_proj"),
    "layers_one_too_many": (lambda: sound(num_hidden_layers=9), "error", r"num_hidden_layers|layer 8|layers"),
    "quantised_draft_said_wide": (
        lambda: fp8(modules_to_not_convert=["lm_head", "model.embed_tokens", "model.layers.8"]),
        "error|warning",
        r"layers.8|excluded|MTP",
    ),
    "never_stops": (lambda: with_generation(sound(eos_token_id=None), eos_token_id=None), "warning|error", r"eos"),
    "cold_sampling": (
        lambda: with_generation(sound(), temperature=0.0, do_sample=True),
        "warning|error",
        r"temperature",
    ),
    "penalty_of_zero": (lambda: with_generation(sound(), repetition_penalty=0.0), "warning|error", r"repetition"),
    "sound_nested": (
        lambda: replace(
            sound(),
            config={
                **{k: CONFIG[k] for k in NAMES},
                "text_config": {k: v for k, v in CONFIG.items() if k not in NAMES},
            },
        ),
        "",
        "",
    ),
    "sound_old_dtype_key": (lambda: sound(dtype=None, torch_dtype="bfloat16"), "", ""),
    "sound_inverse_frequencies_stored": (
        lambda: sound(put("model.layers.3.self_attn.rotary_emb.inv_freq", "F32", 4)),
        "",
        "",
    ),
    "sound_norm_with_bias": (
        lambda: sound(
            {**weights(), **{f"model.layers.{i}.self_attn.indexer.k_norm.bias": ("BF16", (16,)) for i in range(9)}}
        ),
        "",
        "",
    ),
    "sound_kv_heads_said": (lambda: sound(num_key_value_heads=2, head_dim=8, qk_head_dim=20), "", ""),
    "sound_fp8_whole": (fp8, "", ""),
    "sound_nv_whole": (packed, "", ""),
    "sound_one_more_end": (lambda: with_generation(sound(), eos_token_id=[50, 51, 52, 53]), "", ""),
    "sound_draft_of_no_weights": (
        lambda: sound(without(weights(), r"layers\.8\."), num_nextn_predict_layers=None),
        "",
        "",
    ),
    # a second round of twenty, all right on its first run; these are the kinds that the first had not
    "three_dense_layers_said_one_stored": (lambda: sound(first_k_dense_replace=3), "error", r"layers\.[12]|dense"),
    "two_shared_experts_said_one_stored": (lambda: sound(n_shared_experts=2), "error", r"shared_experts"),
    "more_heads_of_the_indexer": (lambda: sound(index_n_heads=4), "error", r"index"),
    "narrower_values": (lambda: sound(v_head_dim=12), "error", r"v_head_dim|o_proj|kv_b"),
    "half_precision_said_bf16_stored": (lambda: sound(dtype="float16"), "warning|error", r"float16|dtype"),
    "fewer_words_than_said": (lambda: sound(vocab_size=96), "error", r"vocab|embed"),
    "two_mtp_layers_said": (lambda: sound(num_nextn_predict_layers=2), "warning|error", r"layers\.9|nextn|MTP"),
    "more_groups_chosen_than_there_are": (lambda: sound(topk_group=2), "error", r"topk_group|n_group"),
    "groups_that_do_not_divide": (lambda: sound(n_group=3), "error", r"group"),
    "a_window_in_words": (lambda: sound(max_position_embeddings="202752"), "warning|error", r"max_position"),
    "choice_of_no_experts": (lambda: sound(num_experts_per_tok=0), "error", r"num_experts_per_tok"),
    "temperature_of_zero": (lambda: with_generation(sound(), temperature=0.0), "warning|error", r"temperature"),
    # a third round, of other spellings and layouts: 22 of 30 right on its first run
    "one_layer_in_f16": (
        lambda: sound({n: ("F16", s) if ".layers.5.mlp.experts" in n else (d, s) for n, (d, s) in weights().items()}),
        "warning",
        r"matrices are F16",
    ),
    "default_of_the_list_always_thinks": (
        lambda: with_templates(named(default=ALWAYS, tool_use=TEMPLATE)),
        "warning",
        r"always opens",
    ),
    "no_default_in_the_list": (
        lambda: with_templates(named(tool_use=TEMPLATE, rag=TEMPLATE)),
        "error",
        r"called default",
    ),
    "list_apart_from_the_file": (lambda: with_templates(named(default=ALWAYS), TEMPLATE), "warning", r"different"),
    "one_layer_under_another_prefix": (
        lambda: sound({n.replace("model.layers.6.", "language_model.layers.6."): v for n, v in weights().items()}),
        "error",
        r"prefix: layer.*6.*language_model",
    ),
    "scales_of_rows_in_half_the_layers": (lambda: with_kv_scales(0, 1, 2, 3), "warning", r"layers 4.*k_scale"),
    "fused_experts_of_another_count": (lambda: sound(fused(3)), "error", r"3 routed experts, config.json says 4"),
    "answers_end_after_32": (lambda: with_generation(sound(), max_new_tokens=32), "warning|error", r"max_new_tokens"),
    "sound_fused_experts": (lambda: sound(fused(4)), "", ""),
    "sound_list_of_templates": (lambda: with_templates(named(default=TEMPLATE, tool_use=TEMPLATE)), "", ""),
    "sound_scales_of_all_rows": (lambda: with_kv_scales(*range(9)), "", ""),
    "sound_old_name_of_dtype": (lambda: sound(dtype=None, torch_dtype="bfloat16"), "", ""),
    "sound_full_spelt_out": (lambda: sound(indexer_types=["full"] * 8), "", ""),
}


@pytest.mark.parametrize("name", CASES)
def test_a_planted_fault_is_told_and_a_sound_oddity_is_not(name: str) -> None:
    make, levels, words = CASES[name]
    remarks = judge_checkpoint(make())
    if not levels:
        assert [show(r) for r in remarks if r.level != "note"] == []
        return
    assert any(r.level in levels.split("|") and re.search(words, show(r), re.IGNORECASE) for r in remarks), [
        show(r) for r in remarks
    ]
