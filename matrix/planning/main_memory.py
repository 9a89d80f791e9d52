"""Main memory that a launch pins by its own numbers, before any request: read-outs and host tiers of the KV cache.

    --enable-return-indexer-topk    tokens x layers x index_topk x 4 bytes, in each rank's scheduler
    --enable-return-routed-experts  tokens x layers x experts of a token x 4 bytes, likewise
    --enable-hierarchical-cache     --hicache-ratio x tokens x bytes of a token, or --hicache-size GB, in each rank
    --kv-offloading-size            GiB of all ranks together (vLLM)
    --cpu-offload-gb                GiB in each rank
    kv_cache_config.host_cache_size bytes in each rank (TensorRT-LLM's YAML)

Sources: SGLang's state_capturer/base.py:64-75, configs/model_config.py:548 (every layer has a slot) and
mem_cache/pool_host of 0.5.23; vLLM's config/cache.py and config/offload.py of 0.33.0; each rank of
TensorRT-LLM makes hostCacheSize / bytes of its own token of blocks (kvCacheManager.cpp, its secondary pool). Two
read-outs of 64 GiB each were killed by the kernel of an H200's host with 125 GiB (2026-11-30).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from matrix.planning.fit import fit_of_plan
from matrix.planning.kv import GIB
from matrix.planning.pool import STATED_TOKENS, row_of_plan

if TYPE_CHECKING:
    from matrix.planning.plan import Plan

INDEX_BYTES: Final = 4  # int32
SELECTED: Final = "--enable-return-indexer-topk"
ROUTED: Final = "--enable-return-routed-experts"
HOST_TIER: Final = "--enable-hierarchical-cache"
DEFAULT_RATIO: Final = 2.0  # SGLang's hicache_ratio
HOST_CACHE: Final = "kv_cache_config.host_cache_size"
GB: Final = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedMemory:
    """What one flag pins on one host. `each_bytes` in each of `ranks` processes."""

    flag: str
    each_bytes: int
    ranks: int
    how: str

    @property
    def total_bytes(self) -> int:
        return self.each_bytes * self.ranks

    def explain(self) -> str:
        many = f" in each of {self.ranks} ranks" if self.ranks > 1 else ""
        return f"{self.flag} pins {self.each_bytes / GIB:.1f} GiB of main memory{many} ({self.how})"


def pin_capture(flag: str, *, tokens: int, layers: int, each: int, ranks: int) -> PinnedMemory:
    """Compute the buffer of a read-out: a row for every token of the pool, whether it is asked for or not."""
    how = f"{tokens:,} tokens x {layers} layers x {each:,} x {INDEX_BYTES} bytes"
    return PinnedMemory(flag=flag, each_bytes=tokens * layers * each * INDEX_BYTES, ranks=ranks, how=how)


def pin_host_tier(
    *, size_gb: float, ratio: float, tokens: int | None, row: int | None, ranks: int
) -> PinnedMemory | None:
    """Compute SGLang's host tier; None where it is a share of a pool that is not known."""
    if size_gb:
        how = f"--hicache-size {size_gb:g}"
        return PinnedMemory(flag=HOST_TIER, each_bytes=int(size_gb * GB), ranks=ranks, how=how)
    if tokens is None or row is None:
        return None
    how = f"{ratio:g} x {tokens:,} tokens x {row} bytes"
    return PinnedMemory(flag=HOST_TIER, each_bytes=int(ratio * tokens * row), ranks=ranks, how=how)


def pin_stated(flag: str, gib: float, ranks: int) -> PinnedMemory:
    """Return what a flag states outright."""
    return PinnedMemory(flag=flag, each_bytes=int(gib * GIB), ranks=ranks, how=f"{gib:g} GiB, as stated")


def pin_host_cache(size_bytes: int, ranks: int) -> PinnedMemory:
    """Return TensorRT-LLM's secondary pool of blocks."""
    return PinnedMemory(flag=HOST_CACHE, each_bytes=size_bytes, ranks=ranks, how=f"{size_bytes:,} bytes, as stated")


def list_pinned(plan: Plan) -> tuple[PinnedMemory, ...]:
    """List what the plan pins; a read-out whose pool is not known is left out."""
    return tuple(_iterate_pinned(plan, plan.values("args")))


def _iterate_pinned(plan: Plan, args: dict[str, Any]) -> Iterator[PinnedMemory]:
    checkpoint, ranks, tokens = plan.cell.checkpoint, plan.ranks.gpus, _count_tokens(plan, args)
    layers = checkpoint.layers
    if args.get(SELECTED) and tokens is not None:
        yield pin_capture(SELECTED, tokens=tokens, layers=layers, each=checkpoint.index_topk, ranks=ranks)
    if args.get(ROUTED) and tokens is not None:
        yield pin_capture(ROUTED, tokens=tokens, layers=layers, each=checkpoint.experts_per_token, ranks=ranks)
    if args.get(HOST_TIER):
        layout = plan.settings.get("kv_layout")
        row = row_of_plan(plan, layout) if layout else None
        size, ratio = float(args.get("--hicache-size") or 0), float(args.get("--hicache-ratio") or DEFAULT_RATIO)
        tier = pin_host_tier(size_gb=size, ratio=ratio, tokens=tokens, row=row, ranks=ranks)
        yield from (tier,) if tier else ()
    if stated := args.get("--kv-offloading-size"):
        yield pin_stated("--kv-offloading-size", float(stated), 1)
    if stated := args.get("--cpu-offload-gb"):
        yield pin_stated("--cpu-offload-gb", float(stated), ranks)
    cache = plan.values("serve_config").get("kv_cache_config")
    if isinstance(cache, dict) and cache.get("host_cache_size"):
        yield pin_host_cache(int(cache["host_cache_size"]), ranks)


def _count_tokens(plan: Plan, args: dict[str, Any]) -> int | None:
    """Count the tokens of one rank's pool: those stated, else what the weights leave of the GPU."""
    found = fit_of_plan(plan)
    left = found.rank.pool_tokens if found else None
    stated = args.get(STATED_TOKENS)
    return min(int(stated), left or int(stated)) if stated else left
