"""Does the line fit in the GPUs' memory? Weights, KV rows, draft and engine reserves of one rank.

The arithmetic, its reserves and its margins are those that judge plans (matrix/planning/fit.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.main_memory import judge_pinned
from matrix.checking.model_config import Model
from matrix.checking.rigs import Host
from matrix.checking.rules import Level
from matrix.checking.settings import Settings
from matrix.planning import kv
from matrix.planning.fit import CLEAR_MISS, DEFAULT_SHARE, MARGIN, Rank, find_reserve, share_weights
from matrix.planning.kv import GIB, Layout

# Of two bytes a value; scales and the layers that stay wide are within the margin.
ONLINE: Final = {"fp8": 0.55, "fp8_per_tensor": 0.55, "fp8_per_block": 0.55, "fp8_per_channel": 0.55, "mxfp8": 0.55}
WIDE: Final = frozenset({"bfloat16", "bf16", "float16", "auto"})


def judge_memory(
    facts: Mapping[str, Any], model: Model, host: Host | None, settings: Settings, *, limit: int = 0
) -> Iterator[CheckFinding]:
    """Compare what one rank holds with its GPU; silent where a size is not known. `limit`: main memory, in bytes."""
    tp, pp = facts["tp"], facts["pp"]
    if host is None or not host.vram_bytes or not isinstance(tp, int) or not isinstance(pp, int) or tp * pp < 1:
        yield from judge_pinned(facts, settings, host, row=None, pool=None, limit=limit)
        return
    share = _share(facts)
    kept = _kept_of_wide_weights(facts)
    if kept is None:
        return
    weights = int(_weights_of_a_rank(facts, model, tp * pp) * kept)
    sizes = {
        "size_gib": f"{model.size_bytes / GIB:.0f}",
        "weight_ranks": tp * pp,
        "weights_gib": f"{weights / GIB:.1f}",
        "vram_gib": f"{host.vram_bytes / GIB:.1f}",
        "share": f"{share:.2f}",
        "size_source": model.source,
    }
    row = _bytes_per_token(facts, model)
    rank = Rank(
        vram_bytes=host.vram_bytes,
        weights_bytes=weights,
        # 1 of a row that is not known: the weights can still be judged, and the window below is not
        row_bytes=row or 1,
        share=share,
        # TensorRT-LLM's fraction is of what is free after the weights, the others' of the whole GPU
        of_free=facts["engine"] == "trtllm",
        reserved_bytes=find_reserve(draft=facts.get("draft") is True),
    )
    if not rank.holds_weights:
        yield make_finding("weights_do_not_fit", {**facts, **sizes}, settings.written("tp"), line=settings.line("tp"))
    elif weights and row is not None:
        yield from _window(facts, settings, rank.pool_tokens, row, sizes)
    known = bool(rank.holds_weights and weights and row is not None)
    yield from judge_pinned(facts, settings, host, row=row, pool=rank.pool_tokens if known else None, limit=limit)


def _kept_of_wide_weights(facts: Mapping[str, Any]) -> float | None:
    """Return what is kept of 16-bit weights that are quantised while they load; None where the peak is not known.

    vLLM puts such parameters on the meta device and quantises each as it comes (online/fp8.py of 0.26.0 and 0.33.0,
    fp8.py:597 of 0.16.0), so that the wide ones are never there together.
    """
    asked = facts.get("quantization")
    if facts.get("format") != "bf16" or not isinstance(asked, str):
        return 1.0
    return ONLINE.get(asked) if facts["engine"] == "vllm" else None


def _weights_of_a_rank(facts: Mapping[str, Any], model: Model, ranks: int) -> int:
    """Bytes of one rank. vLLM spreads experts over the ranks of data and of prefill context parallelism, too.

    It does so with expert parallelism and without it (FusedMoEParallelConfig.flatten_tp_across_dp_and_pcp).
    """
    replicas = 1
    for name in ("dp", "pcp") if facts["engine"] == "vllm" else ():
        replicas *= facts[name] if isinstance(facts[name], int) and facts[name] > 1 else 1
    return share_weights(model.size_bytes, ranks * replicas, replicas)


def _share(facts: Mapping[str, Any]) -> float:
    share = facts["memory_share"]
    if isinstance(share, float) and 0 < share <= 1:
        return share
    return DEFAULT_SHARE.get(str(facts["engine"]), 0.9)


def _window(
    facts: Mapping[str, Any], settings: Settings, pool: int, row: int, sizes: Mapping[str, Any]
) -> Iterator[CheckFinding]:
    context = facts["context"]
    if not isinstance(context, int) or pool * MARGIN >= context:
        return
    # vLLM refuses to start where the pool does not hold one request of the full window; the others start all the same
    given, refuses = facts["context_given"] is not None, facts["engine"] == "vllm"
    # a window that nobody gave is the config's whole context, so only a clear miss is worth a warning
    level: Level = "risky" if given or (refuses and pool * 2 < context) else "note"
    if given and refuses and pool * CLEAR_MISS < context:
        level = "wrong"
    subject, line = settings.written("context_given"), settings.line("context_given")
    yield make_finding("window_does_not_fit", {**facts, **sizes}, subject, level=level, line=line, pool=pool, row=row)


def _bytes_per_token(facts: Mapping[str, Any], model: Model) -> int | None:
    """KV bytes of one token on one rank; stages hold their own layers, decode context parallelism splits tokens."""
    layout, shape = _choose_layout(facts), _read_shape(facts, model)
    if layout is None or shape is None:
        return None
    indexed = facts["indexer_layers"] if isinstance(facts["indexer_layers"], int) else None
    if kv.keeps_every_indexer(str(facts["engine"]), str(facts.get("version") or "")):
        # None: every layer keeps an indexer's keys, also those that share
        indexed = None
    drafts = 1 if facts.get("draft_kind") == "mtp" else 0
    whole = kv.bytes_per_token(layout, shape, indexer_layers=indexed, mtp_layers=drafts)
    dcp = facts["dcp"] if isinstance(facts["dcp"], int) and facts["dcp"] > 0 else 1
    return max(int(whole // (facts["pp"] * dcp)), 1)


def _read_shape(facts: Mapping[str, Any], model: Model) -> kv.KvShape | None:
    rank, rope, index = (model.config.get(key) for key in ("kv_lora_rank", "qk_rope_head_dim", "index_head_dim"))
    if not (isinstance(rank, int) and isinstance(rope, int) and isinstance(index, int)):
        return None
    # a config.json of somebody's own may hold anything; rows are packed in tiles, and others have no such layout
    if rank <= 0 or rope <= 0 or index <= 0 or rank % kv.QUANT_TILE or index % kv.QUANT_TILE:
        return None
    layers = facts["layers"]
    if not isinstance(layers, int) or layers < 1:
        return None
    return kv.KvShape(layers=layers, kv_lora_rank=rank, rope_dims=rope, index_head_dims=index)


def _choose_layout(facts: Mapping[str, Any]) -> Layout | None:
    stored = facts.get("kv")
    if not isinstance(stored, str) or facts["sparse"] not in (True, False):
        return None
    if facts["sparse"] is False and not facts["dsa_class"]:  # the pool is by the class: under a dense backend, too
        return "dense_bf16" if stored in WIDE else "dense_fp8"
    if stored in WIDE:
        return "dsa_bf16"
    return "dsa_fp8_trtllm" if facts["sm_family"] == 10 and stored != "fp8_ds_mla" else "dsa_fp8_packed"
