"""What the size of a running engine's KV cache says: which layout, how many layers keep indexer keys, an MTP layer.

An engine that only repeats its flags cannot get this number right by accident: it allocated it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from matrix.judging.observation import Seen, find_first
from matrix.judging.requested import Requested
from matrix.planning.kv import KvShape, Layout, indexer_key_bytes, latent_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLayout:
    """How an engine lays out its cache. `mtp_layers`: how many an MTP launch adds to the pool that its log tells of."""

    key_bytes: int | None = None  # of one token's indexer key; None: fp8 values with an fp32 scale
    mtp_layers: tuple[int, ...] = (0, 1)
    keys_everywhere: bool = False  # layers that share a selection have room for keys, too: no size shows IndexCache


POOLS = {
    "llamacpp": PoolLayout(
        key_bytes=256, mtp_layers=(0,)
    ),  # 128 values in f16; the draft context has a cache of its own
    "vllm": PoolLayout(mtp_layers=(1,)),  # 6420 bytes a token for 4 + 1 layers (0.26.0, one H200)
    # 5136 bytes a token with FFSS and with FSFS, whose lost needles show that the pattern is read (0.5.17, one H100)
    "sglang": PoolLayout(keys_everywhere=True),
}
UNKNOWN = PoolLayout()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBytes:
    """Bytes of one token over all layers on one rank: an interval, for logs round and pools end in whole pages."""

    low: float
    high: float
    where: str

    def holds(self, size: float) -> bool:
        return self.low <= size <= self.high

    def __str__(self) -> str:
        middle, spread = (self.low + self.high) / 2, (self.high - self.low) / 2
        return f"{middle:.1f} +- {max(spread, 0.05):.1f} bytes per KV token ({self.where})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutMatch:
    """One layout that has exactly the observed size. `full_layers` keep indexer keys; 0 when the layout is dense."""

    layout: Layout
    full_layers: int
    mtp_layers: int
    token_bytes: int


def measure_token_bytes(seen: Seen, page_tokens: int = 1) -> TokenBytes | None:
    """Cache bytes over cache tokens, as the engine logged them; None when it logged no such thing.

    vLLM logs the memory that it may use and SGLang a pool with one more page: either way up to a page of tokens more
    than it says fits in.
    """
    pool, tokens, keys = find_first(seen, "kv_bytes"), find_first(seen, "kv_tokens"), find_first(seen, "indexer_bytes")
    if pool is None or tokens is None or tokens.number <= 0:
        return None
    low, high = (pool.low, pool.high) if keys is None else (pool.low + keys.low, pool.high + keys.high)
    # a dict keeps the order and drops the same line named twice
    places = dict.fromkeys(o.where for o in (pool, tokens, keys) if o is not None)
    return TokenBytes(low=low / (tokens.number + page_tokens), high=high / tokens.number, where=", ".join(places))


def predict_token_bytes(wanted: Requested, layout: Layout, full_layers: int, mtp_layers: int = 0) -> int:
    """Bytes per token; indexer keys only on layers that run the indexer. An MTP layer is a whole one."""
    layers = wanted.shape.layers + mtp_layers
    keys = full_layers + mtp_layers if layout.startswith("dsa") else 0
    # Rounded up: where several tokens share a key, an engine allocates whole ones.
    pooled = -(-key_bytes(wanted.dialect, wanted.shape) * keys // wanted.shape.index_pool)
    return latent_bytes(layout, wanted.shape) * layers + pooled


def key_bytes(dialect: str, shape: KvShape) -> int:
    """Bytes of one token's indexer key in one layer, as this engine stores it."""
    return POOLS.get(dialect, UNKNOWN).key_bytes or indexer_key_bytes(shape)


def keys_everywhere(dialect: str) -> bool:
    """Whether this engine's pool is as large with IndexCache as without."""
    return POOLS.get(dialect, UNKNOWN).keys_everywhere


def mtp_layers(wanted: Requested) -> tuple[int, ...]:
    """How many MTP layers the pool may hold if everything is as asked."""
    return POOLS.get(wanted.dialect, UNKNOWN).mtp_layers if "mtp" in wanted.features else (0,)


def match_layouts(size: TokenBytes, wanted: Requested) -> tuple[LayoutMatch, ...]:
    """Every layout that has this size, those the plan asks for first.

    With decode context parallelism a rank holds its share of each sequence, and the engine tells the tokens of all
    ranks: the bytes of a token are divided by their number.
    """
    found = sorted(
        _iterate_matches(size, wanted), key=lambda r: (r.layout != wanted.layout, r.full_layers, r.mtp_layers)
    )
    return tuple(found)


def _iterate_matches(size: TokenBytes, wanted: Requested) -> Iterator[LayoutMatch]:
    # 0 as well: a pool without the layer that was asked for has to be recognised to be refuted.
    options = sorted({0, *mtp_layers(wanted)})
    for layout in get_args(Layout):
        for full in range(1, wanted.shape.layers + 1) if layout.startswith("dsa") else (0,):
            for mtp in options:
                exact = predict_token_bytes(wanted, layout, full, mtp)
                if size.holds(exact / wanted.ranks.dcp):
                    yield LayoutMatch(layout=layout, full_layers=full, mtp_layers=mtp, token_bytes=exact)
