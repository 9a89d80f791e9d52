"""A small GLM-5.x that is sound in every respect, to be damaged one way at a time.

Eight layers, the first dense; an MTP layer; four experts, top 2; an indexer on every layer, or on those of `full` only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from matrix.preflight.checkpoint import CheckpointFiles, Shard, Tensor, Tokenizer, judge_checkpoint
from matrix.preflight.checkpoints.files import DTYPE_BITS
from matrix.preflight.verdict import Remark

LAYERS, EXPERTS, HIDDEN, VOCABULARY = 8, 4, 32, 64
TURNS = (
    "[gMASK]<sop>{% if tools %}<|system|>{{ tools | tojson }}{% endif %}{% for m in messages %}<|{{ m.role }}|>"
    "{{ m.reasoning_content }}{{ m.content or '' }}"
    "{% for c in m.tool_calls or [] %}{{ c.function }}{% endfor %}{% endfor %}"
)
TEMPLATE = (
    TURNS + "{% if add_generation_prompt %}"
    "<|assistant|>{{ '</think>' if enable_thinking is defined and not enable_thinking else '<think>' }}{% endif %}"
)
CONFIG: dict[str, Any] = {
    "architectures": ["GlmMoeDsaForCausalLM"],
    "model_type": "glm_moe_dsa",
    "dtype": "bfloat16",
    "num_hidden_layers": LAYERS,
    "num_nextn_predict_layers": 1,
    "first_k_dense_replace": 1,
    "n_routed_experts": EXPERTS,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "hidden_size": HIDDEN,
    "intermediate_size": 48,
    "moe_intermediate_size": 16,
    "num_attention_heads": 2,
    "q_lora_rank": 16,
    "kv_lora_rank": 24,
    "qk_nope_head_dim": 12,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
    "index_n_heads": 2,
    "index_head_dim": 16,
    "index_topk": 2048,
    "indexer_rope_interleave": True,
    "rope_parameters": {"rope_theta": 1000000, "rope_type": "default"},
    "max_position_embeddings": 202752,
    "tie_word_embeddings": False,
    "vocab_size": VOCABULARY,
    "eos_token_id": [50, 51, 52],
}
TOKENS = {
    token: 50 + i
    for i, token in enumerate(
        ["<|endoftext|>", "<|user|>", "<|observation|>", "<|assistant|>", "<|system|>", "[gMASK]", "<sop>", "<think>"]
    )
}
GENERATION = {"do_sample": True, "temperature": 1.0, "top_p": 0.95, "eos_token_id": [50, 51, 52]}
Weights = dict[str, tuple[str, tuple[int, ...]]]  # name -> dtype, shape
SHARED_FROM_5_2 = {3, 4, 5, 7}  # by index_topk_freq 4 and index_skip_topk_offset 3, in eight layers


def weights(*, without_indexer: Iterable[int] = (), prefix: str = "model.") -> Weights:
    """Everything in BF16 (the router's bias in F32)."""
    lacking = set(without_indexer)
    found: Weights = {
        f"{prefix}embed_tokens.weight": ("BF16", (VOCABULARY, HIDDEN)),
        f"{prefix}norm.weight": ("BF16", (HIDDEN,)),
        "lm_head.weight": ("BF16", (VOCABULARY, HIDDEN)),
    }
    for layer in range(LAYERS + 1):
        shapes = {**ATTENTION, **({} if layer in lacking else INDEXER), **(DENSE if layer == 0 else MOE)}
        shapes |= MTP if layer == LAYERS else {}
        found |= {f"{prefix}layers.{layer}.{rest}": ("BF16", shape) for rest, shape in shapes.items()}
        if layer:
            found[f"{prefix}layers.{layer}.mlp.gate.e_score_correction_bias"] = ("F32", (EXPERTS,))
    return found


ATTENTION = {
    "input_layernorm.weight": (HIDDEN,),
    "post_attention_layernorm.weight": (HIDDEN,),
    "self_attn.q_a_proj.weight": (16, HIDDEN),
    "self_attn.q_a_layernorm.weight": (16,),
    "self_attn.q_b_proj.weight": (2 * 20, 16),
    "self_attn.kv_a_proj_with_mqa.weight": (32, HIDDEN),
    "self_attn.kv_a_layernorm.weight": (24,),
    "self_attn.kv_b_proj.weight": (2 * 28, 24),
    "self_attn.o_proj.weight": (HIDDEN, 2 * 16),
}
INDEXER = {
    "self_attn.indexer.wk.weight": (16, HIDDEN),
    "self_attn.indexer.wq_b.weight": (2 * 16, 16),
    "self_attn.indexer.weights_proj.weight": (2, HIDDEN),
    "self_attn.indexer.k_norm.weight": (16,),
}
DENSE = {"mlp.up_proj.weight": (48, HIDDEN), "mlp.gate_proj.weight": (48, HIDDEN), "mlp.down_proj.weight": (HIDDEN, 48)}
ONE = {"up_proj.weight": (16, HIDDEN), "gate_proj.weight": (16, HIDDEN), "down_proj.weight": (HIDDEN, 16)}
MOE: dict[str, tuple[int, ...]] = {
    "mlp.gate.weight": (EXPERTS, HIDDEN),
    **{f"mlp.shared_experts.{part}": shape for part, shape in ONE.items()},
    **{f"mlp.experts.{e}.{part}": shape for e in range(EXPERTS) for part, shape in ONE.items()},
}
MTP = {"eh_proj.weight": (HIDDEN, 2 * HIDDEN), "enorm.weight": (HIDDEN,), "hnorm.weight": (HIDDEN,)}


def shard(held: Mapping[str, tuple[str, tuple[int, ...]]]) -> Shard:
    """Tensors laid end to end behind a header of 100 bytes."""
    found, at = {}, 0
    for name, (dtype, shape) in held.items():
        size = DTYPE_BITS[dtype]
        for each in shape:
            size *= each
        found[name] = Tensor(dtype, shape, at, at + size // 8)
        at += size // 8
    return Shard(108 + at, 100, found)


def sound(held: Weights | None = None, **config: Any) -> CheckpointFiles:
    """Return the sound checkpoint, with other weights or other keys of config.json; a key of None is left out."""
    made = shard(weights() if held is None else held)
    return CheckpointFiles(
        config={key: value for key, value in {**CONFIG, **config}.items() if value is not None},
        index={
            "metadata": {"total_size": made.data_bytes},
            "weight_map": dict.fromkeys(made.tensors, "model.safetensors"),
        },
        tokenizer_config={"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"},
        generation_config=GENERATION,
        has_tokenizer=True,
        tokenizer=Tokenizer(VOCABULARY - 4, TOKENS),
        chat_template=TEMPLATE,
        shards={"model.safetensors": made},
        whole=True,
    )


def narrowed(
    held: Weights, which: str, scales: Callable[[int, int], Weights], dtype: str, *, pack: int = 1, name: str = "weight"
) -> Weights:
    """Weights whose module matches `which`, stored as `dtype` with `scales` beside (rows, columns of the wide one)."""
    found: Weights = {}
    for full, (was, shape) in held.items():
        module = full.removesuffix(".weight")
        if len(shape) != 2 or not re.search(which, module):
            found[full] = (was, shape)
            continue
        found[f"{module}.{name}"] = (dtype, (shape[0], shape[1] // pack))
        found |= {f"{module}.{scale}": about for scale, about in scales(*shape).items()}
    return found


def nvfp4(held: Weights, which: str) -> Weights:
    """As ModelOpt writes it: two values a byte, a scale for 16."""

    def scales(rows: int, columns: int) -> Weights:
        return {
            "weight_scale": ("F8_E4M3", (rows, -(-columns // 16))),
            "weight_scale_2": ("F32", ()),
            "input_scale": ("F32", ()),
        }

    return narrowed(held, which, scales, "U8", pack=2)


def block_fp8(held: Weights, which: str) -> Weights:
    """As DeepSeek and GLM publish it: a scale for 128 x 128."""
    return narrowed(held, which, lambda r, c: {"weight_scale_inv": ("F32", (-(-r // 128), -(-c // 128)))}, "F8_E4M3")


def said(files: CheckpointFiles, *levels: str) -> list[str]:
    """`level kind: message` of every remark, or of those levels."""
    return [show(r) for r in judge_checkpoint(files) if not levels or r.level in levels]


def show(remark: Remark) -> str:
    return f"{remark.level} {remark.kind}: {remark.message}"


def says(files: CheckpointFiles, level: str, kind: str, *words: str) -> bool:
    """Whether one remark of that level and kind has all the words: alternatives are split by |."""
    return any(
        r.level == level and r.kind == kind and all(re.search(word, r.message, re.IGNORECASE) for word in words)
        for r in judge_checkpoint(files)
    )


def without(held: Weights, pattern: str) -> Weights:
    found = {name: about for name, about in held.items() if not re.search(pattern, name)}
    assert len(found) < len(held), f"{pattern} damages nothing"
    return found


def with_generation(files: CheckpointFiles, **changes: Any) -> CheckpointFiles:
    stated = {**(files.generation_config or {}), **changes}
    return replace(files, generation_config={key: value for key, value in stated.items() if value is not None})
