"""Does it fit? Bytes per rank: weights, KV cache at the context asked for, CUDA graphs and headroom.

MLA keeps one latent per token, so tensor parallelism does not split the KV cache: every rank holds all of it
(docs/sources/004.md: 270k tokens in 11.3 GiB on *each* of 4 ranks). Bytes per token are `matrix.planning.kv`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from matrix.model import Checkpoint, Rig
from matrix.planning import kv
from matrix.planning.kv import GIB, Layout
from matrix.planning.plan import Plan

HEADROOM_BYTES = 5_000_000_000  # "~5 GB free" per rank at 0.94 static memory (docs/sources/004.md)
CUDA_GRAPH_BYTES = 300_000_000  # docs/sources/004.md, "CUDA graphs 0.3 GB"
RESERVED_BYTES = HEADROOM_BYTES + CUDA_GRAPH_BYTES
MIN_CONTEXT_TOKENS = 32_768  # the smallest context window any seed serves (docs/sources/001.md)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Bytes per rank, and the largest context that is left room for."""

    vram_bytes: int
    weights_bytes: int
    kv_bytes_per_token: int
    needed_context_tokens: int

    @property
    def largest_context_tokens(self) -> int:
        free = self.vram_bytes - self.weights_bytes - RESERVED_BYTES
        return kv.pool_tokens(max(free, 0), self.kv_bytes_per_token)

    @property
    def ok(self) -> bool:
        return self.largest_context_tokens >= self.needed_context_tokens

    def explain(self) -> str:
        return (
            f"weights {self.weights_bytes / GIB:.1f} GiB per rank + {self.kv_bytes_per_token} B of KV per token"
            f" + {RESERVED_BYTES / GIB:.1f} GiB for graphs and headroom in {self.vram_bytes / GIB:.1f} GiB: the"
            f" largest context is {self.largest_context_tokens:,} tokens, {self.needed_context_tokens:,} are needed"
        )


def kv_bytes_per_token(checkpoint: Checkpoint, layout: Layout, indexer_layers: int | None = None) -> int:
    """KV bytes of one token over all trunk layers. `indexer_layers` run the indexer and so keep its keys."""
    shape = kv.shape_of(checkpoint)
    if indexer_layers is None and checkpoint.indexer_layers is not None:
        indexer_layers = min(checkpoint.indexer_layers, shape.layers)
    return kv.bytes_per_token(layout, shape, indexer_layers=indexer_layers)


def fit_of_plan(plan: Plan) -> Fit | None:
    """Estimate the fit of the plan's window and KV layout on its rig; None where a size or a layout is unknown."""
    settings, cell = plan.settings, plan.cell
    size = cell.checkpoint.size_bytes or cell.checkpoint.size_estimate_bytes
    layout = settings.get("kv_layout")
    if size is None or layout is None or not cell.rig.gpu.vram_bytes:
        return None
    pattern = cell.checkpoint.index_topk_pattern if "indexcache" in cell.features else None
    full = pattern[: cell.checkpoint.layers].count("F") if pattern else None
    return Fit(
        vram_bytes=cell.rig.gpu.vram_bytes,
        weights_bytes=size // cell.rig.gpus,
        kv_bytes_per_token=kv_bytes_per_token(cell.checkpoint, layout, full),
        needed_context_tokens=int(settings.get("context", MIN_CONTEXT_TOKENS)),
    )


def estimate_fit(checkpoint: Checkpoint, rig: Rig, layout: Layout = "dense_fp8") -> Fit | None:
    """Estimate most generously (smallest KV layout, least context); None where nothing can be compared."""
    size = checkpoint.size_bytes or checkpoint.size_estimate_bytes
    if size is None or not rig.gpu.vram_bytes:
        return None
    return Fit(
        vram_bytes=rig.gpu.vram_bytes,
        weights_bytes=size // rig.gpus,
        kv_bytes_per_token=kv_bytes_per_token(checkpoint, layout),
        needed_context_tokens=min(MIN_CONTEXT_TOKENS, checkpoint.context),
    )
