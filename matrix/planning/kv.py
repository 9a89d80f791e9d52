"""KV cache arithmetic: bytes per token by layout, the largest context that fits, and the layout behind a log line.

    layout           latent   indexer keys   per layer   seen in
    dense_fp8           576              -         576   SGLang, exclusion patch (270,060 tokens, docs/sources/004.md)
    dense_bf16         1152              -        1152
    dsa_fp8_packed      656            132         788   fp8_ds_mla / flashmla_kv (3152 B on 4 layers, one H200)
    dsa_fp8_trtllm      576            132         708   SGLang trtllm backends
    dsa_bf16           1152            132        1284   vLLM and SGLang bf16 (64.49 GiB, docs/sources/001.md)

Indexer keys are kept only by layers that run the indexer, so IndexCache shrinks a token: 4 layers FSFS measured
4872 B instead of 5136 B (vLLM 0.26.0). An MTP layer is one more full layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from matrix.model import Checkpoint

Layout = Literal["dense_fp8", "dense_bf16", "dsa_fp8_packed", "dsa_fp8_trtllm", "dsa_bf16"]

KV_LORA_RANK, ROPE_DIMS = 512, 64  # kv_lora_rank, qk_rope_head_dim of DeepSeek-V3.2 and of GLM-5 to 5.3
INDEX_HEAD_DIMS = 128  # index_head_dim
FP32_BYTES, BF16_BYTES, FP8_BYTES = 4, 2, 1
QUANT_TILE = 128  # latent values that share one fp32 scale in the packed row (memory_pool.py, NSATokenToKVPool)
GIB = 2**30
# Engine logs print two decimals of a GiB and pools end in whole pages: the worst of our nine H200 logs is off by 7e-5.
LOG_TOLERANCE = 0.002


KEEPS_EVERY_INDEXER = {"sglang": SpecifierSet("<0.5.23", prereleases=True)}  # buffers of sharing layers, too


@dataclass(frozen=True, kw_only=True)
class KvShape:
    """What of a checkpoint the KV cache depends on. Defaults are those of the first family on the axes."""

    layers: int = 78  # that keep a latent row per token; layers of linear attention keep none
    kv_lora_rank: int = KV_LORA_RANK
    rope_dims: int = ROPE_DIMS
    index_head_dims: int = INDEX_HEAD_DIMS
    index_pool: int = 1  # tokens that share one indexer key


DEFAULT = KvShape()


def shape_of(checkpoint: Checkpoint) -> KvShape:
    """Take what counts here out of a checkpoint."""
    return KvShape(
        layers=checkpoint.latent_layers or checkpoint.layers,
        kv_lora_rank=checkpoint.kv_lora_rank,
        rope_dims=checkpoint.rope_dims,
        index_head_dims=checkpoint.index_head_dims,
        index_pool=checkpoint.index_pool,
    )


def latent_bytes(layout: Layout, shape: KvShape = DEFAULT) -> int:
    """Bytes of one token's latent row in one layer."""
    values = shape.kv_lora_rank + shape.rope_dims
    match layout:
        case "dense_fp8" | "dsa_fp8_trtllm":
            return values * FP8_BYTES
        case "dense_bf16" | "dsa_bf16":
            return values * BF16_BYTES
        case "dsa_fp8_packed":
            # The rotary part stays in 16 bits and has no scale.
            scales = shape.kv_lora_rank // QUANT_TILE * FP32_BYTES
            return shape.kv_lora_rank * FP8_BYTES + scales + shape.rope_dims * BF16_BYTES


def indexer_key_bytes(shape: KvShape = DEFAULT) -> int:
    """Bytes of one token's indexer key in one layer: fp8 values and one fp32 scale."""
    return shape.index_head_dims * FP8_BYTES + shape.index_head_dims // QUANT_TILE * FP32_BYTES


def bytes_per_token(
    layout: Layout, shape: KvShape = DEFAULT, *, indexer_layers: int | None = None, mtp_layers: int = 0
) -> int:
    """KV bytes of one token over all layers, on one rank: MLA's latent is not split by tensor parallelism.

    `indexer_layers` counts the trunk layers that run the indexer (`lint_pattern(...).full`); None = all of them.
    """
    latent = latent_bytes(layout, shape) * (shape.layers + mtp_layers)
    if not layout.startswith("dsa"):
        return latent
    indexed = shape.layers if indexer_layers is None else indexer_layers
    # Rounded up: where several tokens share a key, an engine allocates whole ones.
    return latent + -(-indexer_key_bytes(shape) * (indexed + mtp_layers) // shape.index_pool)


def keeps_every_indexer(engine: str, version: Version | str) -> bool:
    """Whether a release keeps indexer keys for sharing layers, too (read in 0.5.17; 0.5.23 keeps none)."""
    try:
        return engine in KEEPS_EVERY_INDEXER and version in KEEPS_EVERY_INDEXER[engine]
    except InvalidVersion:  # a line whose release nobody knows
        return False


def pool_tokens(pool_bytes: int, token_bytes: int, *, page_tokens: int = 1) -> int:
    """Tokens that a pool holds, in whole pages."""
    return pool_bytes // (token_bytes * page_tokens) * page_tokens


def largest_context(
    *,
    vram_bytes: int,
    weights_bytes: int,
    token_bytes: int,
    reserved_bytes: int,
    model_context: int,
    page_tokens: int = 1,
    requests: int = 1,
) -> int:
    """Tokens each of `requests` can hold on one rank; 0 when the weights alone do not fit.

    `weights_bytes` are per rank; `reserved_bytes` are CUDA graphs, activations and what stays free.
    """
    free = vram_bytes - weights_bytes - reserved_bytes
    held = pool_tokens(max(free, 0), token_bytes, page_tokens=page_tokens) // requests
    return min(model_context, held // page_tokens * page_tokens)


@dataclass(frozen=True)
class KvReading:
    """One explanation of a measured size."""

    layout: Layout
    indexer_layers: int
    mtp_layers: int
    token_bytes: int


def explain_pool(pool_bytes: float, tokens: int, shape: KvShape = DEFAULT) -> list[KvReading]:
    """Layouts whose size agrees with a log line, closest first: what the engine really allocated."""
    measured = pool_bytes / tokens
    found = [
        KvReading(layout, indexed, mtp, size)
        for layout in get_args(Layout)
        for mtp in (0, 1)
        for indexed in (range(1, shape.layers + 1) if layout.startswith("dsa") else (0,))
        if abs((size := bytes_per_token(layout, shape, indexer_layers=indexed, mtp_layers=mtp)) / measured - 1)
        <= LOG_TOLERANCE
    ]
    return sorted(found, key=lambda reading: (abs(reading.token_bytes - measured), reading.mtp_layers))
