"""The KV cache of a launch by its layout: what one rank stores of a token, and the tokens that all ranks hold. Expected
from arithmetic, before anything runs; a rank's pool is `bytes / bytes of a token on that rank`.

    pipeline stages        a rank stores its stage's layers; the stage with the largest row decides
    context parallelism    a rank stores one of dcp tokens, so that the ranks of a group hold dcp times as many
    DP attention           each rank has a pool of its own for its own requests: dp pools
    tensor parallelism     the latent is not split: every rank stores whole rows, the same ones
"""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from matrix.planning import kv
from matrix.planning.kv import Layout
from matrix.planning.ranks import list_stages, read_pattern

if TYPE_CHECKING:
    from matrix.planning.plan import Plan

STATED_BYTES: Final = "--kv-cache-memory-bytes"  # vLLM: of one rank
STATED_TOKENS: Final = "--max-total-tokens"  # SGLang: of one rank


def row_of_plan(plan: Plan, layout: Layout) -> int:
    """Compute the bytes of a token on the rank that stores most, rounded up."""
    cell, ranks = plan.cell, plan.ranks
    shape, pattern = kv.shape_of(cell.checkpoint), _list_indexers(plan)
    mtp = int("mtp" in cell.features)
    if ranks.pp == 1:
        return -(-kv.bytes_per_token(layout, shape, indexer_layers=pattern.count("F"), mtp_layers=mtp) // ranks.dcp)
    sizes = list_stages(shape.layers, ranks.pp, cell.engine.dialect)
    ends = list(accumulate(sizes))
    rows = [
        kv.bytes_per_token(
            layout,
            replace(shape, layers=size),
            indexer_layers=pattern[end - size : end].count("F"),
            mtp_layers=mtp if end == ends[-1] else 0,  # a draft runs behind the last stage
        )
        for size, end in zip(sizes, ends, strict=True)
    ]
    # The largest: all stages get pools of one length, which the fullest of them bounds.
    return -(-max(rows) // ranks.dcp)


def _list_indexers(plan: Plan) -> str:
    """List the layers that store a latent, F for each that keeps indexer keys."""
    cell, layers = plan.cell, kv.shape_of(plan.cell.checkpoint).layers
    if kv.keeps_every_indexer(cell.engine.id, cell.release.parsed_version):
        return "F" * layers
    # Only where every layer keeps a latent: of a hybrid model the pattern counts layers that have no row.
    if layers == cell.checkpoint.layers and (pattern := read_pattern(cell)).count("S"):
        return pattern[:layers]
    own = cell.checkpoint.indexer_layers
    return "F" * layers if own is None else ("F" * min(own, layers)).ljust(layers, "S")


def expect_pool_tokens(plan: Plan) -> int | None:
    """Compute the tokens that all ranks hold; None where the plan does not state the size of a rank's pool."""
    args: dict[str, Any] = plan.values("args")
    layout = plan.settings.get("kv_layout")
    if layout is None:
        return None
    if stated := args.get(STATED_TOKENS):  # whether they are of one rank or of a group's was not read
        return int(stated) * plan.ranks.dp if plan.ranks.dcp == 1 else None
    if stated := args.get(STATED_BYTES):
        # A page spans the group: each of its ranks holds a share of every page.
        page = int(plan.settings.get("page_tokens", 1)) * plan.ranks.dcp
        return kv.pool_tokens(int(stated), row_of_plan(plan, layout), page_tokens=page) * plan.ranks.dp
    return None


def tell_pool(plan: Plan) -> str:
    """Say what pool to expect and by which derivation; empty where the layout is a plain one, or nothing is stated."""
    tokens, ranks = expect_pool_tokens(plan), plan.ranks
    if tokens is None or ranks.pp == ranks.dp == ranks.dcp == 1:
        return ""
    parts = [
        f"{ranks.pp} stages store their own layers" if ranks.pp > 1 else "",
        f"{ranks.dcp} ranks store a share of each sequence" if ranks.dcp > 1 else "",
        f"{ranks.dp} attention ranks have a pool each" if ranks.dp > 1 else "",
    ]
    row = row_of_plan(plan, plan.settings["kv_layout"])
    return f"; expected pool {tokens:,} tokens, {row} B of each on a rank: {', '.join(filter(None, parts))}"
