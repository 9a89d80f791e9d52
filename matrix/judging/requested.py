"""What a plan asks of its engine, in terms that can be observed. What is left to the engine is None."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from matrix.model import Cell
from matrix.planning.kv import DEFAULT, KvShape, Layout, shape_of
from matrix.planning.plan import Plan
from matrix.planning.ranks import ONE, Ranks, list_stages, read_pattern
from matrix.preflight import pattern

# Flags by which a recipe names a backend; what is left to the engine is only reported.
ATTENTION = ("--attention-backend",)
DSA_BACKENDS = ("--dsa-prefill-backend", "--nsa-prefill-backend"), ("--dsa-decode-backend", "--nsa-decode-backend")
MOE = ("--moe-runner-backend", "--moe-backend")
KV_DTYPE = ("--kv-cache-dtype", "--cache-type")


@dataclass(frozen=True, kw_only=True)
class Requested:
    """Counts are layers or tokens. `full_layers` shall run the indexer: without IndexCache those that have one."""

    dialect: str
    features: frozenset[str] = frozenset()
    shape: KvShape = DEFAULT
    layout: Layout | None = None
    full_layers: int = 0
    context: int | None = None
    chunk_tokens: int | None = None
    page_tokens: int = 1
    index_topk: int | None = None
    weights: str = ""  # the checkpoint's weight format
    kv_dtype: str | None = None
    attention_backend: str | None = None
    dsa_backends: tuple[str | None, str | None] = (None, None)  # prefill, decode
    moe_backend: str | None = None
    ranks: Ranks = ONE
    experts: int = 0
    whole: KvShape | None = None  # of all stages, where `shape` and `full_layers` are those of the first one alone

    @property
    def sparse(self) -> bool:
        return self.layout is not None and self.layout.startswith("dsa")


def read_requested(plan: Plan) -> Requested:
    """Read what the plan requests; `settings` hold what its recipe expects where no flag does."""
    checkpoint, args, settings = plan.cell.checkpoint, plan.values("args"), plan.settings
    shared = "indexcache" in plan.cell.features
    asked = pattern.lint_pattern(checkpoint.index_topk_pattern, checkpoint.layers).full if shared else None
    whole = shape_of(checkpoint)
    wanted = Requested(
        dialect=plan.cell.engine.dialect,
        features=plan.cell.features,
        shape=whole,
        layout=cast(Layout | None, settings.get("kv_layout")),
        full_layers=checkpoint.own_indexers if asked is None else asked,
        context=settings.get("context"),
        chunk_tokens=settings.get("chunk_tokens"),
        page_tokens=int(settings.get("page_tokens", 1)),
        index_topk=settings.get("index_topk", checkpoint.index_topk),
        weights=checkpoint.format,
        kv_dtype=_flag_value(args, KV_DTYPE),
        attention_backend=_flag_value(args, ATTENTION),
        dsa_backends=(_flag_value(args, DSA_BACKENDS[0]), _flag_value(args, DSA_BACKENDS[1])),
        moe_backend=_flag_value(args, MOE) or plan.values("serve_config").get("moe_config", {}).get("backend"),
        ranks=plan.ranks,
        experts=checkpoint.experts,
    )
    return wanted if plan.ranks.pp == 1 else _take_first_stage(wanted, plan.cell)


def _take_first_stage(wanted: Requested, cell: Cell) -> Requested:
    """Leave the layers of the first stage: an engine tells the cache of a rank, and the first rank's first."""
    first = list_stages(cell.checkpoint.layers, wanted.ranks.pp, wanted.dialect)[0]
    full = read_pattern(cell)[:first].count("F")
    return replace(wanted, shape=replace(wanted.shape, layers=first), full_layers=full, whole=wanted.shape)


def _flag_value(args: dict[str, Any], flags: tuple[str, ...]) -> str | None:
    """Return the value of a flag; None for `auto`."""
    value = next((args[f] for f in flags if f in args), None)
    return None if value in (None, "auto") else str(value)
