"""A toy of `Glm5NextForConditionalGeneration`: a small config, and weights that numpy draws alike on every machine.

Its sizes are for a test and not for kernels. Each mechanism matters to its logits: the clamp is low enough to cut,
only four of eleven pools are chosen, and no bias, scale or norm is at the value that does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lab.references.glm5_next import TOWER

SEED: Final = 17
TOKENS: Final = 47  # eleven pools and a tail of three
CONFIG: Final[Mapping[str, Any]] = {
    "model_type": "glm5_next_text",
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "layer_types": ["linear_attention", "indexed_attention", "linear_attention", "indexed_attention"],
    "mlp_layer_types": ["dense", "sparse", "sparse", "sparse"],
    "indexer_types": ["full"] * 4,
    "intermediate_size": 48,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 12,
    "qk_rope_head_dim": 0,
    "v_head_dim": 10,
    "index_n_heads": 16,  # of few heads all can be silent on two pools, and a tie is broken by chance
    "index_head_dim": 8,
    "index_topk": 16,
    "index_kpool": 4,
    "index_kpool_always_select_tail": True,
    "linear_num_heads": 2,
    "linear_head_dim": 8,
    "linear_conv_kernel_dim": 4,
    "linear_lower_bound": -5.0,
    "hc_mult": 4,
    "hc_eps": 1e-6,
    "hc_sinkhorn_iters": 20,
    "swiglu_limit": 0.5,
    "n_routed_experts": 6,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "moe_intermediate_size": 16,
    "routed_scaling_factor": 2.5,
    "rms_norm_eps": 1e-5,
    "norm_topk_prob": True,
    "n_group": 1,
    "topk_group": 1,
    "pad_token_id": 0,
}


def list_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the tensors of the text tower by their stored names."""
    c = config
    shapes = {"embed_tokens.weight": (c["vocab_size"], c["hidden_size"]), "norm.weight": (c["hidden_size"],)}
    for i, kind in enumerate(c["layer_types"]):
        mixer = _delta_shapes(c) if kind == "linear_attention" else _latent_shapes(c)
        inner = _experts_shapes(c) if c["mlp_layer_types"][i] == "sparse" else _dense_shapes(c, c["intermediate_size"])
        parts = {f"self_attn.{name}": shape for name, shape in mixer.items()}
        parts |= {f"mlp.{name}": shape for name, shape in inner.items()} | _streams_shapes(c)
        parts |= {f"{place}_layernorm.weight": (c["hidden_size"],) for place in ("input", "post_attention")}
        shapes |= {f"layers.{i}.{name}": shape for name, shape in parts.items()}
    tower = {f"{TOWER}{name}": shape for name, shape in shapes.items()}
    return tower | {"lm_head.weight": (c["vocab_size"], c["hidden_size"])}


def draw_weights(config: Mapping[str, Any], seed: int = SEED) -> dict[str, npt.NDArray[np.float32]]:
    """Return random weights by name, each drawn in the order of the names."""
    dice = np.random.default_rng(seed)
    return {name: _draw_tensor(dice, name, shape) for name, shape in sorted(list_shapes(config).items())}


def draw_ids(config: Mapping[str, Any], seed: int = SEED) -> list[int]:
    return [int(i) for i in np.random.default_rng(seed).integers(1, config["vocab_size"], TOKENS)]


def _draw_tensor(dice: np.random.Generator, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    around = 1.0 if "norm.weight" in name or name.endswith("_scale") else 0.0
    width = 0.3 if len(shape) == 1 else 1.5 * float(np.prod(shape[1:])) ** -0.5
    return (around + width * dice.standard_normal(shape)).astype(np.float32)


def _streams_shapes(c: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    n, mixes = c["hc_mult"], (2 + c["hc_mult"]) * c["hc_mult"]
    one = {"fn": (mixes, n * c["hidden_size"]), "base": (mixes,), "scale": (3,)}
    return {f"hc_{part}_{name}": shape for part in ("attn", "ffn") for name, shape in one.items()}


def _delta_shapes(c: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, head, size = c["hidden_size"], c["linear_head_dim"], c["linear_num_heads"] * c["linear_head_dim"]
    return {
        **{f"{letter}_proj.weight": (size, hidden) for letter in "qkv"},
        **{f"{letter}_conv1d.weight": (size, 1, c["linear_conv_kernel_dim"]) for letter in "qkv"},
        **{f"{letter}_a_proj.weight": (head, hidden) for letter in "fg"},
        **{f"{letter}_b_proj.weight": (size, head) for letter in "fg"},
        "b_proj.weight": (c["linear_num_heads"], hidden),
        "dt_bias": (size,),
        "A_log": (c["linear_num_heads"],),
        "o_norm.weight": (head,),
        "o_proj.weight": (hidden, size),
    }


def _latent_shapes(c: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, heads, size = c["hidden_size"], c["num_attention_heads"], c["index_head_dim"]
    return {
        "q_a_proj.weight": (c["q_lora_rank"], hidden),
        "q_a_layernorm.weight": (c["q_lora_rank"],),
        "q_b_proj.weight": (heads * c["qk_nope_head_dim"], c["q_lora_rank"]),
        "kv_a_proj_with_mqa.weight": (c["kv_lora_rank"], hidden),
        "kv_a_layernorm.weight": (c["kv_lora_rank"],),
        "kv_b_proj.weight": (heads * (c["qk_nope_head_dim"] + c["v_head_dim"]), c["kv_lora_rank"]),
        "o_proj.weight": (hidden, heads * c["v_head_dim"]),
        "indexer.wq_b.weight": (c["index_n_heads"] * size, c["q_lora_rank"]),
        "indexer.wk.weight": (size, hidden),
        "indexer.k_norm.weight": (size,),
        "indexer.k_norm.bias": (size,),
        "indexer.weights_proj.weight": (c["index_n_heads"], hidden),
        "indexer.index_kpool_compress_ape": (c["index_kpool"], size),
        "indexer.index_kpool_compress_gate": (size, hidden),
    }


def _dense_shapes(c: Mapping[str, Any], inner: int) -> dict[str, tuple[int, ...]]:
    across = {f"{name}_proj.weight": (inner, c["hidden_size"]) for name in ("gate", "up")}
    return across | {"down_proj.weight": (c["hidden_size"], inner)}


def _experts_shapes(c: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    one = _dense_shapes(c, c["moe_intermediate_size"])
    routed = {f"experts.{i}.{name}": shape for i in range(c["n_routed_experts"]) for name, shape in one.items()}
    shared = _dense_shapes(c, c["moe_intermediate_size"] * c["n_shared_experts"])
    return {
        **routed,
        **{f"shared_experts.{name}": shape for name, shape in shared.items()},
        "gate.weight": (c["n_routed_experts"], c["hidden_size"]),
        "gate.e_score_correction_bias": (c["n_routed_experts"],),
    }
