"""Does it fit? Bytes per rank: weights, KV cache at the context asked for, draft, graphs and scratch, inside the share
of its GPU that the engine takes. One arithmetic for plans, for combinations without a plan and for lines of one's own.

MLA keeps one latent per token, so tensor parallelism does not split the KV cache: every rank holds all of it
(docs/sources/004.md: 270k tokens in 11.3 GiB on *each* of 4 ranks). Bytes per token are `matrix.planning.kv`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from matrix.planning import kv, pool
from matrix.planning.kv import GIB, Layout

if TYPE_CHECKING:
    from matrix.hardware import Rig
    from matrix.model import Checkpoint
    from matrix.planning.plan import Plan

Word = Literal["fits", "tight", "does not fit", "not known"]  # what every command says of a fit
HEADROOM_BYTES: Final = 5_000_000_000  # "~5 GB free" per rank at 0.94 static memory (docs/sources/004.md)
GRAPH_BYTES: Final = 300_000_000  # docs/sources/004.md, "CUDA graphs 0.3 GB"
DRAFT_BYTES: Final = 5_000_000_000  # "the draft worker adds ~5 GB/rank" (docs/sources/004.md)
SCRATCH_BYTES: Final = 2_000_000_000  # activations of a small prefill chunk
DEFAULT_SHARE: Final = {"vllm": 0.92, "sglang": 0.88, "trtllm": 0.9}
SHARE_FLAGS: Final = {"vllm": "--gpu-memory-utilization", "sglang": "--mem-fraction-static"}
SHARE_OF_EXPERTS: Final = 0.96  # of GLM-5 and DeepSeek V3: 720 of 744, 654 of 671 billion parameters
MARGIN: Final = 1.1  # the arithmetic leaves out what a rank shares and pads: less than this is no miss
CLEAR_MISS: Final = 1.5  # and only from here on does it certainly not fit
LEAST_SHARE: Final = 0.2  # of the canaries' recipes
MIN_CONTEXT_TOKENS: Final = 32_768  # the smallest context window any seed serves (docs/sources/001.md)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """What one rank holds. `share`: of its GPU, or with `of_free` of what weights and reserves leave."""

    vram_bytes: int
    weights_bytes: int
    row_bytes: int  # KV of one token
    share: float
    of_free: bool = False
    reserved_bytes: int = GRAPH_BYTES + SCRATCH_BYTES

    @property
    def holds_weights(self) -> bool:
        return self.weights_bytes <= self.vram_bytes * (1 if self.of_free else self.share)

    @property
    def pool_bytes(self) -> int:
        """Bytes that are left for KV; negative where the weights alone are too much."""
        if self.of_free:
            return int((self.vram_bytes - self.weights_bytes - self.reserved_bytes) * self.share)
        return int(self.vram_bytes * self.share) - self.weights_bytes - self.reserved_bytes

    @property
    def pool_tokens(self) -> int:
        return kv.pool_tokens(max(self.pool_bytes, 0), self.row_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A rank, and the context that is asked of it."""

    rank: Rank
    needed_context_tokens: int
    certain: float = CLEAR_MISS

    @property
    def largest_context_tokens(self) -> int:
        return self.rank.pool_tokens

    @property
    def ok(self) -> bool:
        """Whether it may be started: it fits, or the miss is within what the arithmetic does not know."""
        return self.largest_context_tokens * self.certain >= self.needed_context_tokens

    @property
    def word(self) -> Word:
        if not self.ok:
            return "does not fit"
        return "fits" if self.largest_context_tokens * MARGIN >= self.needed_context_tokens else "tight"

    def explain(self) -> str:
        rank = self.rank
        taken = f"{rank.share:.0%} of {'what is left in ' if rank.of_free else ''}{rank.vram_bytes / GIB:.1f} GiB"
        return (
            f"weights {rank.weights_bytes / GIB:.1f} GiB per rank + {rank.row_bytes} B of KV per token"
            f" + {rank.reserved_bytes / GIB:.1f} GiB for graphs, scratch and draft in {taken}: the largest context is"
            f" {self.largest_context_tokens:,} tokens, {self.needed_context_tokens:,} are needed"
        )


def find_reserve(*, draft: bool) -> int:
    """Bytes of a rank that are neither weights nor KV."""
    return GRAPH_BYTES + SCRATCH_BYTES + (DRAFT_BYTES if draft else 0)


def share_weights(size_bytes: int, ranks: int, replicas: int = 1) -> int:
    """Return the bytes that one of `ranks` holds; all but the experts stands `replicas` times (DP attention, PCP)."""
    experts = int(size_bytes * SHARE_OF_EXPERTS) if replicas > 1 else size_bytes
    return experts // ranks + (size_bytes - experts) * replicas // ranks


def kv_bytes_per_token(checkpoint: Checkpoint, layout: Layout, indexer_layers: int | None = None) -> int:
    """KV bytes of one token over all trunk layers. `indexer_layers` run the indexer and so keep its keys; by default
    those that have one."""
    return row_bytes(checkpoint, layout, indexer_layers)


def row_bytes(checkpoint: Checkpoint, layout: Layout, indexer_layers: int | None = None, mtp_layers: int = 0) -> int:
    """Return the same, with the layers of a draft."""
    shape = kv.shape_of(checkpoint)
    if indexer_layers is None and checkpoint.indexer_layers is not None:
        indexer_layers = min(checkpoint.indexer_layers, shape.layers)
    return kv.bytes_per_token(layout, shape, indexer_layers=indexer_layers, mtp_layers=mtp_layers)


def fit_of_plan(plan: Plan) -> Fit | None:
    """Estimate the fit of the plan's window, KV layout and share; None where a size or a layout is unknown."""
    settings, cell = plan.settings, plan.cell
    size = cell.checkpoint.size_bytes or cell.checkpoint.size_estimate_bytes
    layout = settings.get("kv_layout")
    if size is None or layout is None or not cell.rig.gpu.vram_bytes:
        return None
    draft = "mtp" in cell.features or bool(settings.get("draft"))
    row = pool.row_of_plan(plan, layout)
    rank = Rank(
        vram_bytes=cell.rig.gpu.vram_bytes,
        weights_bytes=size
        // cell.rig.gpus,  # what DP attention and PCP hold more than once is left out: a miss must be certain
        row_bytes=row,
        share=_share_of_plan(plan),
        of_free=cell.engine.dialect == "trtllm",
        reserved_bytes=find_reserve(draft=draft and not cell.checkpoint.canary),
    )
    return Fit(rank=rank, needed_context_tokens=int(settings.get("context", MIN_CONTEXT_TOKENS)))


def word_of_plan(plan: Plan) -> Word:
    """Return the one word for a plan's fit, in every command and every JSON."""
    found = fit_of_plan(plan)
    return found.word if found is not None else "not known"


def tell_fit(plan: Plan) -> str:
    """Return the word with its arithmetic."""
    found = fit_of_plan(plan)
    if found is None:
        return "not known: the checkpoint's size, the KV layout or the rig's memory is not stated"
    return f"{found.word}: {found.explain()}{pool.tell_pool(plan)}"


def _share_of_plan(plan: Plan) -> float:
    """Return the share that the plan states, else its engine's own."""
    dialect = plan.cell.engine.dialect
    stated: Any = plan.values("args").get(SHARE_FLAGS.get(dialect, ""))
    if dialect == "trtllm":
        # TensorRT-LLM's is a share of what weights leave, the others' one of the whole GPU (`of_free`).
        stated = plan.values("serve_config").get("kv_cache_config", {}).get("free_gpu_memory_fraction")
    return float(stated) if stated is not None else DEFAULT_SHARE.get(dialect, 1.0)


def surely_fits(checkpoint: Checkpoint, rig: Rig) -> bool:
    """Whether every plan fits, whatever its window, layout and features: most combinations need none to know it."""
    size = checkpoint.size_bytes or checkpoint.size_estimate_bytes
    if size is None or not rig.gpu.vram_bytes:
        return True  # nothing can be compared
    rank = Rank(
        vram_bytes=rig.gpu.vram_bytes,
        weights_bytes=size // rig.gpus,
        # The largest layout with keys on every layer and a draft: whatever a plan asks for is less.
        row_bytes=row_bytes(checkpoint, "dsa_bf16", kv.shape_of(checkpoint).layers, mtp_layers=1),
        share=LEAST_SHARE,
        reserved_bytes=find_reserve(draft=True),
    )
    return rank.pool_tokens * MARGIN >= checkpoint.context


def estimate_fit(checkpoint: Checkpoint, rig: Rig, layout: Layout = "dense_fp8") -> Fit | None:
    """Estimate most generously (smallest KV layout, least context); None where nothing can be compared."""
    size = checkpoint.size_bytes or checkpoint.size_estimate_bytes
    if size is None or not rig.gpu.vram_bytes:
        return None
    rank = Rank(
        vram_bytes=rig.gpu.vram_bytes,
        weights_bytes=size // rig.gpus,
        row_bytes=kv_bytes_per_token(checkpoint, layout),
        share=1.0,
        reserved_bytes=HEADROOM_BYTES + GRAPH_BYTES,
    )
    # certain=1.0: this estimate is generous already, so what exceeds it does not fit by any reckoning.
    return Fit(rank=rank, needed_context_tokens=min(MIN_CONTEXT_TOKENS, checkpoint.context), certain=1.0)
