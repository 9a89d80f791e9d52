"""What the bytes of one KV token prove: the KV layout, sparse attention (DSA) and IndexCache."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from matrix.judging.kv_bytes import LayoutMatch, TokenBytes, key_bytes, keys_everywhere
from matrix.judging.observation import Observation, Rung, Seen, find_first
from matrix.judging.proof.outcome import FeatureProof, Outcome, make_unproven
from matrix.judging.requested import Requested

READER = re.compile(r"index_topk_pattern.*\n(?:.*\n){0,3}?.*?(TypeError: .*)")  # the line that reads it, then the error
SPARSE = ("sparse", "dsa", "nsa")  # what every sparse attention backend's name holds (vLLM, SGLang)


def prove_kv_layout(wanted: Requested, size: TokenBytes | None, found: Sequence[LayoutMatch]) -> Iterator[FeatureProof]:
    """Prove the KV layout: only the planned layouts have this size."""
    if wanted.layout is None:
        return
    if size is None or not found:
        yield make_unproven("kv_layout", _explain_no_size(size), Rung.LOG if size is None else Rung.COUNTER)
        return
    layouts = sorted({r.layout for r in found})
    data = {"low": size.low, "high": size.high, "requested": wanted.layout, "layouts": layouts}
    detail = f"{size}: {' or '.join(layouts)}, {wanted.layout} was asked for"
    outcome: Outcome = "proven" if layouts == [wanted.layout] else "unproven"
    if wanted.layout not in layouts:
        outcome = "refuted"
    yield FeatureProof(feature="kv_layout", outcome=outcome, rung=Rung.COUNTER, detail=detail, data=data)


def _explain_no_size(size: TokenBytes | None) -> str:
    return f"{size}: no layout has this size" if size else "the engine shows no KV cache size"


def prove_dsa(
    wanted: Requested, seen: Seen, size: TokenBytes | None, found: Sequence[LayoutMatch]
) -> Iterator[FeatureProof]:
    """Sparse attention needs both: indexer keys in the cache, and a backend that reads them. SGLang with an explicit
    dense backend allocates the keys and never looks at them."""
    if not wanted.sparse:
        return
    chosen, dense = find_first(seen, "dsa_selected"), _dense_backend(seen)
    keys = f"{size}: {_describe_layers(found, wanted)}" if found else _explain_no_size(size)
    if dense is not None:
        detail = f"attention runs on {dense.value} ({dense.where}), which is dense; {keys}"
        yield FeatureProof(feature="dsa", outcome="refuted", rung=dense.rung, detail=detail)
    # All layers is right as well: engines that do not save keys on shared layers keep them everywhere.
    elif found and not any(r.full_layers in (wanted.full_layers, wanted.shape.layers) for r in found):
        detail = f"{size}: {_describe_layers(found, wanted)}, so not every indexer that was asked for can run"
        yield FeatureProof(feature="dsa", outcome="refuted", rung=Rung.COUNTER, detail=detail)
    elif found and all(r.full_layers for r in found) and chosen is not None:
        detail = f"{keys}; {chosen.value} ({chosen.where})"
        yield FeatureProof(feature="dsa", outcome="proven", rung=Rung.COUNTER, detail=detail)
    else:
        missing = "" if chosen else "; nothing shows that a sparse backend reads indexer keys"
        yield make_unproven("dsa", keys + missing, Rung.COUNTER if found else Rung.LOG)


def _dense_backend(seen: Seen) -> Observation | None:
    named = find_first(seen, "attention_backend")
    return None if named is None or _is_sparse(str(named.value)) else named


def _is_sparse(backend: str) -> bool:
    return any(word in backend.lower() for word in SPARSE)


def _describe_layers(found: Sequence[LayoutMatch], wanted: Requested) -> str:
    """Describe what the size shows about indexer keys."""
    kinds = dict.fromkeys(
        f"{r.layout} with indexer keys on {r.full_layers} of {wanted.shape.layers} layers"
        if r.full_layers
        else r.layout
        for r in found
    )
    return " or ".join(list(kinds)[:3])


def prove_indexcache(
    wanted: Requested, seen: Seen, size: TokenBytes | None, found: Sequence[LayoutMatch]
) -> FeatureProof:
    """Shared layers keep no indexer keys: counted where the engine says how many do, else read off the size."""
    layers, counted = wanted.shape.layers, find_first(seen, "indexer_layers")
    if wanted.full_layers == layers:
        return make_unproven("indexcache", "the pattern shares no layer, so nothing can differ", Rung.PARSER)
    keeping = {int(counted.number)} if counted else {r.full_layers for r in found}
    data = {"layers": layers, "full_layers_wanted": wanted.full_layers, "full_layers_seen": sorted(keeping)}
    if not keeping:
        return make_unproven("indexcache", _explain_no_size(size), Rung.COUNTER if size else Rung.LOG)
    what = f"{counted.where}: {counted.number:.0f}" if counted else f"{size}: {_join_numbers(sorted(keeping))}"
    detail = f"{what} of {layers} layers keep indexer keys, the pattern leaves {wanted.full_layers}"
    if keys_everywhere(wanted.dialect) and keeping == {layers}:
        return make_unproven("indexcache", f"{detail}, but this engine keeps room for all of them anyway", Rung.COUNTER)
    if keeping == {wanted.full_layers}:
        return FeatureProof(feature="indexcache", outcome="proven", rung=Rung.COUNTER, detail=detail, data=data)
    if wanted.full_layers in keeping:
        return make_unproven("indexcache", f"{detail}: the log is too coarse", Rung.COUNTER)
    inert = ": IndexCache is inert" if keeping <= {0, layers} else ""
    return FeatureProof(feature="indexcache", outcome="refuted", rung=Rung.COUNTER, detail=detail + inert, data=data)


def _join_numbers(numbers: Sequence[int]) -> str:
    return " or ".join(map(str, numbers))


def prove_by_ablation(wanted: Requested, size: TokenBytes | None, without: TokenBytes | None) -> Iterator[FeatureProof]:
    """Prove IndexCache by ablation: without it, the same cell stores exactly the shared layers' keys in addition."""
    if size is None or without is None or keys_everywhere(wanted.dialect):
        return
    saved = key_bytes(wanted.dialect, wanted.shape) * (wanted.shape.layers - wanted.full_layers)
    yield prove_fewer_bytes("indexcache", saved, size, without)


def prove_fewer_bytes(feature: str, saved: int, size: TokenBytes, without: TokenBytes) -> FeatureProof:
    """Compare the predicted saving per token with the one measured against the same cell without the feature."""
    low, high = without.low - size.high, without.high - size.low
    detail = f"{low:.1f} to {high:.1f} bytes per token less than without the feature, {saved} predicted"
    if low <= saved <= high and low > 0:
        return FeatureProof(feature=feature, outcome="proven", rung=Rung.ABLATION, detail=detail)
    # Only an interval that holds 0 and not the saving refutes: one that holds both is too coarse.
    if low <= 0 <= high and not low <= saved <= high:
        return FeatureProof(feature=feature, outcome="refuted", rung=Rung.ABLATION, detail=detail)
    return make_unproven(feature, detail, Rung.ABLATION)


def prove_by_wrong_type(came_up: bool, log: str) -> FeatureProof:
    """Prove IndexCache by a launch with `index_topk_pattern: 0`. A reader of the pattern fails while the model is
    built; an engine that starts has ignored it (vLLM 0.26.0: `TypeError: object of type 'int' has no len()`)."""
    feature = "indexcache"
    if came_up:
        detail = "a pattern of the wrong type was accepted: nothing reads it"
        return FeatureProof(feature=feature, outcome="refuted", rung=Rung.ABLATION, detail=detail)
    broke = READER.search(log)
    if broke is None:
        return make_unproven(feature, "the launch with a wrong pattern failed for another reason", Rung.ABLATION)
    detail = f"a pattern of the wrong type breaks its reader: {broke[1]}"
    return FeatureProof(feature=feature, outcome="proven", rung=Rung.ABLATION, detail=detail)
