"""What a token costs in the KV cache, by config.json alone: sharing layers keep no indexer keys.

    GLM-5.2, fp8_ds_mla    78 x 656 + 21 x 132 = 53,940 bytes; with its MTP layer 54,728
    GLM-5.1                78 x 656 + 78 x 132 = 61,464

SGLang 0.5.17 keeps indexer buffers for all layers in either case (`keeps_every_indexer`), 0.5.23 none for sharing ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matrix.errors import ConfigError, Problem
from matrix.planning.kv import KvShape, Layout, bytes_per_token
from matrix.preflight.checkpoints.architectures import ARCHITECTURES
from matrix.preflight.checkpoints.geometry import merge_nested, read_geometry
from matrix.preflight.checkpoints.sharing import count_full_layers

NEEDED = {
    "layers": "num_hidden_layers",
    "kv_lora": "kv_lora_rank",
    "rope": "qk_rope_head_dim",
    "index_dim": "index_head_dim",
}


@dataclass(frozen=True, kw_only=True)
class KvCache:
    """Of one rank: MLA's latent is not split by tensor parallelism."""

    layout: Layout
    full_layers: int  # trunk layers that keep indexer keys because they select
    shared_layers: int
    bytes_per_token: int
    bytes_per_token_with_mtp: int


def read_kv_cache(config: Mapping[str, Any], layout: Layout, *, keeps_every_indexer: bool = False) -> KvCache:
    """Count layers and bytes of a config.json, flat or nested.

    Raises:
        ConfigError: a number that the cache depends on is missing or none, or the class keeps another cache.
    """
    merged = merge_nested(config)
    named = config.get("architectures")
    known = ARCHITECTURES.get(named[0]) if isinstance(named, list) and named and isinstance(named[0], str) else None
    if known is not None and known.partly:
        raise ConfigError([Problem("config.json", 0, "architectures", f"the KV cache is not known: {known.partly}")])
    counts = read_geometry(merged)
    stated = {field: getattr(counts, field) for field in NEEDED}
    if layout.startswith("dense"):
        # a dense layout keeps no indexer keys, so a config without an indexer is complete for it
        stated["index_dim"] = stated["index_dim"] or 0
    lacking = [key for field, key in NEEDED.items() if stated[field] is None]
    if lacking:
        raise ConfigError(
            [Problem("config.json", 0, key, "expected a count; the KV cache depends on it") for key in lacking]
        )
    layers, latent, rope, index = (stated[field] or 0 for field in NEEDED)
    full = count_full_layers(merged, layers)
    shape = KvShape(layers=layers, kv_lora_rank=latent, rope_dims=rope, index_head_dims=index)
    indexed = layers if keeps_every_indexer else full
    trunk, draft = (bytes_per_token(layout, shape, indexer_layers=indexed, mtp_layers=n) for n in (0, counts.mtp or 0))
    return KvCache(
        layout=layout,
        full_layers=full,
        shared_layers=layers - full,
        bytes_per_token=trunk,
        bytes_per_token_with_mtp=draft,
    )
