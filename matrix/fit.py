"""Does it fit? Bytes per rank: weights, KV cache at the context asked for, CUDA graphs and headroom.

MLA keeps one latent per token, so tensor parallelism does not split the KV cache: every rank holds all of it
(seeds/004: 270k tokens in 11.3 GiB on *each* of 4 ranks).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from matrix.model import Checkpoint, Rig

Layout = Literal["dense_fp8", "dense_bf16", "dsa_fp8_packed", "dsa_fp8_trtllm", "dsa_bf16"]

# Bytes per token and layer; recipes_audit section 3.6, from the engines' own pools. 1284 and 576 were also found
# in the published numbers: 64.49 GiB / 691,392 tokens / 78 layers (seeds/001) and 11.3 GiB / 270k / 78 (seeds/004).
INDEXER_KEY_BYTES = 132  # 128 fp8 values + one fp32 scale
LATENT_BYTES: dict[Layout, int] = {
    "dense_fp8": 576,  # 512 latent + 64 rope, one byte each
    "dense_bf16": 1152,
    "dsa_fp8_packed": 656,  # 512 fp8 + 4 fp32 scales + 64 bf16 rope
    "dsa_fp8_trtllm": 576,
    "dsa_bf16": 1152,
}
HEADROOM_BYTES = 5_000_000_000  # "~5 GB free" per rank at 0.94 static memory (seeds/004)
CUDA_GRAPH_BYTES = 300_000_000  # seeds/004, "CUDA graphs 0.3 GB"
MIN_CONTEXT_TOKENS = 32_768  # the smallest context window any seed serves (seeds/001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Bytes per rank, and the largest context that is left room for. `ok` is about MIN_CONTEXT_TOKENS."""

    vram_bytes: int
    weights_bytes: int
    kv_bytes_per_token: int
    needed_context_tokens: int

    @property
    def largest_context_tokens(self) -> int:
        free = self.vram_bytes - self.weights_bytes - HEADROOM_BYTES - CUDA_GRAPH_BYTES
        return max(0, free // self.kv_bytes_per_token)

    @property
    def ok(self) -> bool:
        return self.largest_context_tokens >= self.needed_context_tokens

    def explain(self) -> str:
        gib = 2**30
        return (
            f"weights {self.weights_bytes / gib:.1f} GiB per rank + {self.kv_bytes_per_token} B of KV per token"
            f" + {(HEADROOM_BYTES + CUDA_GRAPH_BYTES) / gib:.1f} GiB for graphs and headroom"
            f" in {self.vram_bytes / gib:.1f} GiB: the largest context is {self.largest_context_tokens:,} tokens,"
            f" {self.needed_context_tokens:,} are needed"
        )


def kv_bytes_per_token(checkpoint: Checkpoint, layout: Layout, indexer_layers: int | None = None) -> int:
    """KV bytes of one token over all layers. `indexer_layers` run the indexer and so keep its keys."""
    latent = LATENT_BYTES[layout] * checkpoint.layers
    if layout.startswith("dense"):
        return latent
    return latent + INDEXER_KEY_BYTES * (checkpoint.layers if indexer_layers is None else indexer_layers)


def fit(checkpoint: Checkpoint, rig: Rig, layout: Layout = "dense_fp8") -> Fit | None:
    """The most generous judgement (smallest KV layout, least context); None where there is nothing to compare."""
    size = checkpoint.size_bytes or checkpoint.size_estimate_bytes
    if size is None or not rig.gpu.vram_bytes:
        return None
    return Fit(
        vram_bytes=rig.gpu.vram_bytes,
        weights_bytes=size // rig.gpus,
        kv_bytes_per_token=kv_bytes_per_token(checkpoint, layout),
        needed_context_tokens=min(MIN_CONTEXT_TOKENS, checkpoint.context),
    )
