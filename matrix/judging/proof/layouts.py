"""Layouts, caches and graphs: what shows that a launch is laid out as it was asked, whatever its answers are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from matrix.judging.extremes import find_largest
from matrix.judging.kv_bytes import LayoutMatch, TokenBytes, match_layouts
from matrix.judging.observation import Rung, Seen, count_since, find_all, find_first, find_last
from matrix.judging.proof.outcome import FeatureProof, Outcome, make_unproven
from matrix.judging.requested import Requested
from matrix.planning.ranks import Ranks


@dataclass(frozen=True, slots=True, kw_only=True)
class ReuseProbe:
    """A prompt that was asked before, and what was seen just before and after it was asked again."""

    prompt_tokens: int
    cached_tokens: int | None  # as the reply's usage tells them; None: it does not
    before: Seen
    after: Seen
    pushed_tokens: int = 0  # of other prompts that were asked in between


def prove_layouts(
    wanted: Requested, seen: Seen, size: TokenBytes | None, reuse: ReuseProbe | None
) -> Iterator[FeatureProof]:
    """Yield one proof for each feature that varies the launch."""
    for feature in sorted(wanted.features & PROVERS.keys()):
        yield PROVERS[feature](feature, wanted, seen, size)
    if "no_prefix_cache" in wanted.features:
        yield _prove_no_reuse(reuse)
    if "host_kv_tier" in wanted.features:
        yield _prove_loading_back(seen, reuse)


def _prove_share(feature: str, wanted: Requested, seen: Seen, size: TokenBytes | None) -> FeatureProof:
    """Prove that a rank holds its stage's layers, or its share of each sequence: a size that a whole row has not."""
    if size is None:
        return make_unproven(feature, "the engine shows no KV cache size", Rung.LOG)
    shared = _list_wanted(match_layouts(size, wanted), wanted)
    undivided = replace(wanted, shape=wanted.whole or wanted.shape, ranks=Ranks(gpus=wanted.ranks.gpus))
    whole = [m for m in match_layouts(size, undivided) if m.layout == wanted.layout]
    detail = f"{size}, of {_describe_share(wanted)}"
    # Both sizes can coincide (a stage with half the layers and twice the bytes): then the size proves nothing.
    if shared and not whole:
        return _decide(feature, "proven", detail)
    if whole and not shared:
        return _decide(feature, "refuted", f"{size}: a whole token, not {_describe_share(wanted)}")
    return make_unproven(
        feature, f"{detail}: {'both are as large' if shared else 'no layout has this size'}", Rung.COUNTER
    )


def _list_wanted(found: tuple[LayoutMatch, ...], wanted: Requested) -> list[LayoutMatch]:
    return [m for m in found if m.layout == wanted.layout]


def _describe_share(wanted: Requested) -> str:
    if wanted.ranks.dcp > 1:
        return f"one {wanted.ranks.dcp}th of each sequence on a rank"
    return f"{wanted.shape.layers} of {(wanted.whole or wanted.shape).layers} layers on a rank"


def _prove_experts(feature: str, wanted: Requested, seen: Seen, size: TokenBytes | None) -> FeatureProof:
    """Compare how many experts a layer of one rank holds, which the engine tells, with its share."""
    held = find_first(seen, "local_experts")
    if held is None:
        return _prove_expert_echo(feature, wanted, seen)
    share = wanted.experts // wanted.ranks.ep
    detail = (
        f"{held.number:.0f} of {held.also.get('all', wanted.experts)} experts on a rank ({held.where}), {share} wanted"
    )
    if held.number == share:
        return _decide(feature, "proven", detail)
    # A kernel's weights may hold a fused shared expert besides: of their shape only one that holds all experts refutes.
    if "all" in held.also or held.number >= wanted.experts:
        return _decide(feature, "refuted", detail)
    return make_unproven(feature, detail, Rung.LOG)


def _prove_expert_echo(feature: str, wanted: Requested, seen: Seen) -> FeatureProof:
    echo = find_first(seen, "expert_ranks")
    if echo is not None and str(echo.value) != str(wanted.ranks.ep):
        detail = f"the engine itself says {echo.value} expert ranks ({echo.where}), {wanted.ranks.ep} were asked for"
        return FeatureProof(feature=feature, outcome="refuted", rung=Rung.ECHO, detail=detail)
    return make_unproven(feature, "nothing that the engine shows tells where an expert lies", Rung.ECHO)


def _prove_dp(feature: str, wanted: Requested, seen: Seen, size: TokenBytes | None) -> FeatureProof:
    """Every attention rank computes prompts of its own."""
    sightings = find_all(seen, "computing_ranks")
    # A rank's counter exists from the start on: only one above 0 has computed.
    labelled = {str(o.also.get("engine", o.value)) for o in sightings if not o.also or o.number > 0}
    detail = f"prompts were computed by {len(labelled)} of {wanted.ranks.dp} attention ranks"
    if len(labelled) >= wanted.ranks.dp:
        return _decide(feature, "proven", f"{detail} ({sightings[0].where})")
    shown = len({str(o.also.get("engine", o.value)) for o in sightings})
    if sightings and sightings[0].also and shown < wanted.ranks.dp:
        return _decide(
            feature, "refuted", f"the engine counts {shown} of {wanted.ranks.dp} ranks ({sightings[0].where})"
        )
    return make_unproven(feature, detail if sightings else "no rank says what it computed", Rung.LOG)


def _prove_graphs(feature: str, wanted: Requested, seen: Seen, size: TokenBytes | None) -> FeatureProof:
    """Read which graphs were captured, or which batches ran as graphs; a launch that captured others is refuted."""
    modes, captured = GRAPHS[feature], find_all(seen, "graphs")
    own = [o for o in captured if o.also.get("mode") in modes]
    # vLLM counts captured graphs; SGLang only says of each batch whether it ran as one.
    if own and own[0].unit:
        return _decide(feature, "proven", f"{own[0].number:.0f} graphs were captured ({own[0].where})")
    eager = [o for o in find_all(seen, "eager_batches") if o.also.get("mode") in modes]
    if own:
        detail = f"{len(own)} of {len(own) + len(eager)} logged batches ran as graphs (first: {own[0].where})"
        return _decide(feature, "proven", detail)
    # vLLM always logs what it captured, so that its silence is an answer.
    if captured or eager or wanted.dialect == "vllm":
        what = f"other graphs alone ({captured[0].where})" if captured else "none"
        return _decide(feature, "refuted", f"of the graphs that were asked for its log tells of {what}", Rung.LOG)
    return make_unproven(feature, "no batch of the kind was logged", Rung.LOG)


def _prove_eager(feature: str, wanted: Requested, seen: Seen, size: TokenBytes | None) -> FeatureProof:
    taken, eager = find_first(seen, "graphs"), find_all(seen, "eager_batches")
    if taken is not None:
        return _decide(feature, "refuted", f"graphs were captured ({taken.where})")
    if eager:
        return _decide(feature, "proven", f"none of {len(eager)} logged batches ran as a graph")
    return make_unproven(feature, "its log tells of no graph", Rung.LOG)


def _prove_by_speed_alone(feature: str, wanted: Requested, seen: Seen, size: TokenBytes | None) -> FeatureProof:
    return make_unproven(feature, "nothing but speed would show it", Rung.ECHO)


def _prove_no_reuse(reuse: ReuseProbe | None) -> FeatureProof:
    """Prove that a prompt which is asked twice is computed twice."""
    if reuse is None:
        return make_unproven("no_prefix_cache", "no prompt was asked twice", Rung.ECHO)
    counted = count_since("cached_tokens", reuse.after, reuse.before)
    lines = find_all(reuse.after, "prefill_chunk")[len(find_all(reuse.before, "prefill_chunk")) :]
    told = [int(o.also["cached"]) for o in lines if "cached" in o.also]
    known = [n for n in (counted, sum(told) if told else None, reuse.cached_tokens) if n is not None]
    if not known:
        return make_unproven("no_prefix_cache", "the engine does not tell cached tokens", Rung.ECHO)
    most = find_largest(known)
    detail = f"{most:.0f} of {reuse.prompt_tokens} tokens came from a cache when a prompt was asked again"
    # The largest of all that is told: one witness of a hit is enough.
    return _decide("no_prefix_cache", "refuted" if most else "proven", detail)


def _prove_loading_back(seen: Seen, reuse: ReuseProbe | None) -> FeatureProof:
    """Prove that what was pushed out of the GPU came back from the host."""
    feature = "host_kv_tier"
    back, kept = find_last(seen, "loaded_back"), find_last(seen, "kept_on_host")
    since = count_since("loaded_back", reuse.after, reuse.before) if reuse else None
    pushed = f" after {reuse.pushed_tokens:,} tokens of other prompts" if reuse else ""
    if back is not None and back.number > 0:
        detail = f"{back.number:.0f} {back.unit} were loaded back ({back.where}), {since or 0:.0f} of them{pushed}"
        return _decide(feature, "proven", detail)
    detail = f"{kept.number:.0f} {kept.unit} lie on the host ({kept.where})" if kept else "nothing is said of the host"
    return make_unproven(feature, f"{detail}; none was loaded back{pushed}", Rung.COUNTER if kept else Rung.LOG)


def _decide(feature: str, outcome: Outcome, detail: str, rung: Rung = Rung.COUNTER) -> FeatureProof:
    return FeatureProof(feature=feature, outcome=outcome, rung=rung, detail=detail)


GRAPHS: Mapping[str, frozenset[str]] = {  # feature -> what vLLM calls its graphs, and which batches SGLang runs as one
    "cuda_graphs_full": frozenset({"FULL", "Decode"}),
    "cuda_graphs_piecewise": frozenset({"PIECEWISE", "Prefill"}),
}
Prover = Callable[[str, Requested, Seen, TokenBytes | None], FeatureProof]
PROVERS: Mapping[str, Prover] = {
    "pipeline_parallel": _prove_share,
    "decode_context_parallel": _prove_share,
    "decode_context_parallel_4": _prove_share,
    "expert_parallel": _prove_experts,
    "dp_attention": _prove_dp,
    "cuda_graphs_full": _prove_graphs,
    "cuda_graphs_piecewise": _prove_graphs,
    "eager": _prove_eager,
    "no_overlap": _prove_by_speed_alone,
    "prefill_context_parallel": _prove_by_speed_alone,
}
