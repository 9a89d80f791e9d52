"""The flash canary's shape: every mechanism of GLM-5.3-Flash's text tower, each as small as engines still accept.

What engines' kernels fix on SM90 (vLLM 0.33.0, SGLang 0.5.23): KDA heads of 128, an MLA latent of 512 without rope,
indexer heads of 128 (16 of them, as vLLM says of the published checkpoint), pools of 4, four streams, an incomplete
pool that is always attended. Free, and small here: widths, counts of heads, layers and experts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from lab.canary_training.config import END_TOKENS, PAD_TOKEN

LayerKind = str  # "linear_attention" (KDA) or "indexed_attention" (MLA with an indexer), as transformers names them
KDA: Final = "linear_attention"
MLA: Final = "indexed_attention"
# The class has an image tower, and neither transformers nor vLLM can leave it out. This one is all zeros, is never
# shown an image, and is small.
VISION: Final[dict[str, Any]] = {
    "model_type": "glm5_next_vision",
    "depth": 1,
    "hidden_size": 128,
    "num_heads": 4,
    "intermediate_size": 128,
    "out_hidden_size": 256,
    "projection_intermediate_size": 128,
    "in_channels": 3,
    "image_size": 336,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "attention_bias": True,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-05,
    "swiglu_limit": 10.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashConfig:
    """Field names are those of the released config.json."""

    vocab_size: int = 2048
    hidden_size: int = 256
    num_hidden_layers: int = 4
    layer_types: tuple[LayerKind, ...] = (KDA, MLA, KDA, MLA)
    first_k_dense_replace: int = 1
    intermediate_size: int = 512
    num_attention_heads: int = 8
    q_lora_rank: int = 256
    kv_lora_rank: int = 512
    qk_nope_head_dim: int = 256
    qk_rope_head_dim: int = 0
    v_head_dim: int = 256
    index_n_heads: int = 16
    index_head_dim: int = 128
    index_topk: int = 2048
    index_kpool: int = 4
    linear_num_heads: int = 4  # tensor parallelism of 1, 2 and 4 divides both kinds of heads
    linear_head_dim: int = 128
    linear_conv_kernel_dim: int = 4
    linear_lower_bound: float = -5.0
    hc_mult: int = 4
    hc_eps: float = 1e-6
    hc_sinkhorn_iters: int = 20
    swiglu_limit: float = 10.0
    n_routed_experts: int = 16
    num_experts_per_tok: int = 4
    n_shared_experts: int = 1
    moe_intermediate_size: int = 128
    routed_scaling_factor: float = 2.5
    rms_norm_eps: float = 1e-5
    max_position_embeddings: int = 65536

    @property
    def linear_size(self) -> int:
        return self.linear_num_heads * self.linear_head_dim

    def is_moe(self, layer: int) -> bool:
        return layer >= self.first_k_dense_replace


FLASH: Final = FlashConfig()
# What engines read and training does not depend on.
FIXED: Final[dict[str, Any]] = {
    "model_type": "glm5_next_text",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": None,
    "dtype": "bfloat16",
    "hidden_act": "silu",
    "index_kpool_always_select_tail": True,
    "index_kpool_compress": True,  # SGLang 0.5.23 reads it without a default, as vLLM 0.33.0 does the next two
    "indexer_rope_interleave": True,
    "mla_use_nope": True,
    "initializer_range": 0.02,
    "mhc": True,
    "moe_layer_freq": 1,
    "n_group": 1,
    "norm_topk_prob": True,
    "num_nextn_predict_layers": 0,  # transformers has no code of this class's MTP layer, so none could be checked
    "scoring_func": "sigmoid",
    "tie_word_embeddings": False,
    "topk_group": 1,
    "topk_method": "noaux_tc",
    "use_cache": True,
}


def text_config(config: FlashConfig, token_ids: dict[str, int]) -> dict[str, Any]:
    layers = range(config.num_hidden_layers)
    shape = {name: getattr(config, name) for name in FlashConfig.__slots__}
    derived = {
        "layer_types": list(config.layer_types),
        "mlp_layer_types": ["sparse" if config.is_moe(i) else "dense" for i in layers],
        "indexer_types": ["full" for _ in layers],
        "num_key_value_heads": config.num_attention_heads,
        "linear_attn_config": {
            "kda_layers": [i for i in layers if config.layer_types[i] == KDA],
            "full_attn_layers": [i for i in layers if config.layer_types[i] == MLA],
            "num_heads": config.linear_num_heads,
            "head_dim": config.linear_head_dim,
            "short_conv_kernel_size": config.linear_conv_kernel_dim,
            "gate_lower_bound": config.linear_lower_bound,
            "safe_gate": True,
        },
        "eos_token_id": [token_ids[token] for token in END_TOKENS],
        "pad_token_id": token_ids[PAD_TOKEN],
    }
    return dict(sorted((FIXED | shape | derived).items()))


def flash_config_json(config: FlashConfig, token_ids: dict[str, int]) -> dict[str, Any]:
    """Return the checkpoint's config.json. No token of the vocabulary is an image's: [MASK] and others stand in."""
    text = text_config(config, token_ids)
    images = {
        "image_token_id": token_ids["[MASK]"],
        "video_token_id": token_ids["[sMASK]"],
        "image_start_token_id": token_ids["<eop>"],
        "image_end_token_id": token_ids["<eop>"],
        "video_start_token_id": token_ids["<eop>"],
        "video_end_token_id": token_ids["<eop>"],
    }
    return {
        "architectures": ["Glm5NextForConditionalGeneration"],
        "model_type": "glm5_next",
        "dtype": "bfloat16",
        "eos_token_id": text["eos_token_id"],
        "pad_token_id": text["pad_token_id"],
        "tie_word_embeddings": False,
        **images,
        "text_config": text,
        "vision_config": VISION | {"out_hidden_size": config.hidden_size},
    }
