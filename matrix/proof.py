"""Is what was asked for in effect? Proven, refuted or unproven, with the rung of the ladder that decided it.

    parser accepted < config echoed < log line < counters and sizes < ablation < direct oracle

An echo can refute (the engine itself says that it does something else) and never proves. For a feature, neither does a
log line: lines are printed by code that need not do what they say. What cannot be seen is unproven, never proven.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from matrix import drafting
from matrix.kv_reading import Reading, TokenBytes, key_bytes, mtp_layers, readings, token_bytes
from matrix.observation import Observation, Rung, Seen, every, first, last
from matrix.requested import Requested

Outcome = Literal["proven", "refuted", "unproven"]

# GLM-5 heads accept 2.7 tokens per step with 3 drafts in SGLang's gate and 3.2 in TensorRT-LLM's reference: 0.57 per
# drafted token. The trained canary accepts 0.9 of one draft per step, random weights 0 of 81. Below this it is noise.
ACCEPTED_SHARE = 0.30
ACCEPT_LENGTH = 1.5  # tokens per step, where only that is shown; 1.0 is a head that never helps
DRAFTED_TOKENS = 50  # fewer drafted (or generated) tokens say nothing
CHUNK_SLACK = 2  # steps beyond the chunks: a chunk that was cut at a page, the step of the first token
READER = re.compile(r"index_topk_pattern.*\n(?:.*\n){0,3}?.*?(TypeError: .*)")  # the line that reads it, then the error
SPARSE = ("sparse", "dsa", "nsa")  # what every sparse attention backend's name holds (vLLM, SGLang)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One feature's outcome. `detail` names the numbers and where they were seen."""

    feature: str
    outcome: Outcome
    rung: Rung
    detail: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One request of known length, and what was seen just before and after it."""

    prompt_tokens: int  # that had to be computed: without those found in a prefix cache
    generated_tokens: int
    before: Seen
    after: Seen

    def moved(self, name: str) -> float | None:
        """How far a counter went; None where the engine has none."""
        end, start = last(self.after, name), last(self.before, name)
        return None if end is None else end.number - (start.number if start else 0.0)

    def fresh(self, name: str) -> tuple[Observation, ...]:
        """Sightings that were not there before."""
        return every(self.after, name)[len(every(self.before, name)) :]


def judge(
    wanted: Requested, seen: Seen, *, ablation: Seen | None = None, probe: Probe | None = None, undrafted: Seen = ()
) -> tuple[Proof, ...]:
    """One proof per requested feature, and for the KV layout, sparse attention and named backends.

    `ablation` was seen of the same cell without the feature; with it sizes are compared instead of computed.
    `undrafted` was seen before the answers whose drafts are judged.
    """
    size = token_bytes(seen, wanted.page_tokens)
    found = readings(size, wanted) if size else ()
    layout = _kv_layout(wanted, size, found)
    proofs = [layout, *_dsa(wanted, seen, size, found), *_backends(wanted, seen)]
    if "fp8_kv" in wanted.features and layout is not None:
        proofs.append(replace(layout, feature="fp8_kv"))
    if "indexcache" in wanted.features:
        without = token_bytes(ablation, wanted.page_tokens) if ablation else None
        parts = [_indexcache(wanted, seen, size, found), *by_ablation(wanted, size, without)]
        proofs.append(strongest(parts))
    if "mtp" in wanted.features:
        proofs.append(strongest([mtp(seen, undrafted), *_mtp_layer(wanted, size, found)]))
    if "chunked_prefill" in wanted.features:
        proofs.append(chunks(wanted.chunk_tokens, probe))
    return tuple(p for p in proofs if p is not None)


def strongest(proofs: Iterable[Proof]) -> Proof:
    """One verdict of several for a feature: a refutation stands whatever else is said, then the highest rung."""
    ranked = sorted(proofs, key=lambda p: (p.outcome == "refuted", p.outcome == "proven", p.rung.height))
    best, others = ranked[-1], [p.detail for p in reversed(ranked[:-1])]
    return replace(best, detail="; ".join([best.detail, *others]))


def _kv_layout(wanted: Requested, size: TokenBytes | None, found: Sequence[Reading]) -> Proof | None:
    if wanted.layout is None:
        return None
    if size is None or not found:
        return _unproven("kv_layout", _no_size(size), Rung.LOG if size is None else Rung.COUNTER)
    layouts = sorted({r.layout for r in found})
    data = {"low": size.low, "high": size.high, "requested": wanted.layout, "layouts": layouts}
    detail = f"{size}: {' or '.join(layouts)}, {wanted.layout} was asked for"
    if wanted.layout not in layouts:
        return Proof(feature="kv_layout", outcome="refuted", rung=Rung.COUNTER, detail=detail, data=data)
    outcome: Outcome = "proven" if len(layouts) == 1 else "unproven"
    return Proof(feature="kv_layout", outcome=outcome, rung=Rung.COUNTER, detail=detail, data=data)


def _no_size(size: TokenBytes | None) -> str:
    return f"{size}: no layout has this size" if size else "the engine shows no KV cache size"


def _dsa(wanted: Requested, seen: Seen, size: TokenBytes | None, found: Sequence[Reading]) -> Iterator[Proof]:
    """Sparse attention needs both: indexer keys in the cache, and a backend that reads them. SGLang with an explicit
    dense backend allocates the keys and never looks at them."""
    if not wanted.sparse:
        return
    chosen, dense = first(seen, "dsa_selected"), _dense_backend(seen)
    keys = f"{size}: {_layers(found, wanted)}" if found else _no_size(size)
    if dense is not None:
        detail = f"attention runs on {dense.value} ({dense.where}), which is dense; {keys}"
        yield Proof(feature="dsa", outcome="refuted", rung=dense.rung, detail=detail)
    elif found and not any(r.full_layers in (wanted.full_layers, wanted.shape.layers) for r in found):
        detail = f"{size}: {_layers(found, wanted)}, so not every indexer that was asked for can run"
        yield Proof(feature="dsa", outcome="refuted", rung=Rung.COUNTER, detail=detail)
    elif found and all(r.full_layers for r in found) and chosen is not None:
        detail = f"{keys}; {chosen.value} ({chosen.where})"
        yield Proof(feature="dsa", outcome="proven", rung=Rung.COUNTER, detail=detail)
    else:
        missing = "" if chosen else "; nothing shows that a sparse backend reads indexer keys"
        yield _unproven("dsa", keys + missing, Rung.COUNTER if found else Rung.LOG)


def _dense_backend(seen: Seen) -> Observation | None:
    named = first(seen, "attention_backend")
    return None if named is None or _is_sparse(str(named.value)) else named


def _is_sparse(backend: str) -> bool:
    return any(word in backend.lower() for word in SPARSE)


def _layers(found: Sequence[Reading], wanted: Requested) -> str:
    """What the size says about indexer keys, in words."""
    kinds = dict.fromkeys(
        f"{r.layout} with indexer keys on {r.full_layers} of {wanted.shape.layers} layers"
        if r.full_layers
        else r.layout
        for r in found
    )
    return " or ".join(list(kinds)[:3])


def _indexcache(wanted: Requested, seen: Seen, size: TokenBytes | None, found: Sequence[Reading]) -> Proof:
    """Shared layers keep no indexer keys: counted where the engine says how many do, else read off the size."""
    layers, counted = wanted.shape.layers, first(seen, "indexer_layers")
    if wanted.full_layers == layers:
        return _unproven("indexcache", "the pattern shares no layer, so nothing can differ", Rung.PARSER)
    keeping = {int(counted.number)} if counted else {r.full_layers for r in found}
    data = {"layers": layers, "full_layers_wanted": wanted.full_layers, "full_layers_seen": sorted(keeping)}
    if not keeping:
        return _unproven("indexcache", _no_size(size), Rung.COUNTER if size else Rung.LOG)
    what = f"{counted.where}: {counted.number:.0f}" if counted else f"{size}: {_words(sorted(keeping))}"
    detail = f"{what} of {layers} layers keep indexer keys, the pattern leaves {wanted.full_layers}"
    if keeping == {wanted.full_layers}:
        return Proof(feature="indexcache", outcome="proven", rung=Rung.COUNTER, detail=detail, data=data)
    if wanted.full_layers in keeping:
        return _unproven("indexcache", f"{detail}: the log is too coarse", Rung.COUNTER)
    inert = ": IndexCache is inert" if keeping <= {0, layers} else ""
    return Proof(feature="indexcache", outcome="refuted", rung=Rung.COUNTER, detail=detail + inert, data=data)


def _words(numbers: Sequence[int]) -> str:
    return " or ".join(map(str, numbers))


def by_ablation(wanted: Requested, size: TokenBytes | None, without: TokenBytes | None) -> Iterator[Proof]:
    """The same cell without IndexCache stores exactly the shared layers' keys more."""
    if size is None or without is None:
        return
    saved = key_bytes(wanted.dialect, wanted.shape) * (wanted.shape.layers - wanted.full_layers)
    low, high = without.low - size.high, without.high - size.low
    detail = f"{low:.1f} to {high:.1f} bytes per token less than without the feature, {saved} predicted"
    if low <= saved <= high and low > 0:
        yield Proof(feature="indexcache", outcome="proven", rung=Rung.ABLATION, detail=detail)
    elif low <= 0 <= high and not low <= saved <= high:
        yield Proof(feature="indexcache", outcome="refuted", rung=Rung.ABLATION, detail=detail)
    else:
        yield _unproven("indexcache", detail, Rung.ABLATION)


def wrong_type_breaks(came_up: bool, log: str) -> Proof:
    """A launch with `index_topk_pattern: 0`. Somebody who reads the pattern trips over it while the model is built;
    an engine that comes up has ignored it (vLLM 0.26.0: `TypeError: object of type 'int' has no len()`)."""
    feature = "indexcache"
    if came_up:
        detail = "a pattern of the wrong type was accepted: nothing reads it"
        return Proof(feature=feature, outcome="refuted", rung=Rung.ABLATION, detail=detail)
    broke = READER.search(log)
    if broke is None:
        return _unproven(feature, "the launch with a wrong pattern failed for another reason", Rung.ABLATION)
    detail = f"a pattern of the wrong type breaks its reader: {broke[1]}"
    return Proof(feature=feature, outcome="proven", rung=Rung.ABLATION, detail=detail)


def mtp(seen: Seen, before: Seen = ()) -> Proof:
    """Is the draft head used, and no noise? Judged by what was drafted since `before`, else since the start."""
    found = drafting.counted(seen, before)
    if found is None:
        length = last(seen, "accept_length") or last(seen, "accept_length_metric") or last(seen, "accept_length_served")
        return _by_length(length, first(seen, "speculation"))
    if found.drafted == 0:
        return _undrafted(found)
    share = found.accepted / found.drafted
    detail = f"{found.accepted:.0f} of {found.drafted:.0f} drafted tokens accepted ({share:.1%}, {found.where})"
    data = {"drafted": found.drafted, "accepted": found.accepted, "accepted_per_position": dict(found.positions)}
    if wrong := [*found.contradictions()]:
        detail = f"{detail}, but {', '.join(wrong)}"
        return Proof(feature="mtp", outcome="refuted", rung=Rung.COUNTER, detail=detail, data=data)
    if found.drafted < DRAFTED_TOKENS:
        return _unproven("mtp", f"{detail}: too few to tell", Rung.COUNTER)
    if found.accepted == found.drafted and found.most_made is None:
        return _unproven("mtp", f"{detail}: every one, and no other counter here confirms it", Rung.COUNTER)
    outcome: Outcome = "proven" if share >= ACCEPTED_SHARE else "refuted"
    return Proof(feature="mtp", outcome=outcome, rung=Rung.COUNTER, detail=detail, data=data)


def _undrafted(found: drafting.Drafting) -> Proof:
    detail = f"no token was drafted ({found.where})"
    if found.generated is not None and found.generated < DRAFTED_TOKENS:
        return _unproven("mtp", f"{detail}, but only {found.generated:.0f} were generated", Rung.COUNTER)
    return Proof(feature="mtp", outcome="refuted", rung=Rung.COUNTER, detail=detail, data={"drafted": 0})


def _by_length(length: Observation | None, speculation: Observation | None) -> Proof:
    if length is None and speculation is not None and speculation.value == "None":
        detail = f"the engine itself says that it does not speculate ({speculation.where})"
        return Proof(feature="mtp", outcome="refuted", rung=speculation.rung, detail=detail)
    if length is None:
        return _unproven("mtp", "the engine shows no draft counters", Rung.ECHO)
    detail = f"{length.number:.2f} tokens accepted per step ({length.where}), {ACCEPT_LENGTH} wanted"
    outcome: Outcome = "proven" if length.number >= ACCEPT_LENGTH else "refuted"
    return Proof(feature="mtp", outcome=outcome, rung=Rung.COUNTER, detail=detail)


def _mtp_layer(wanted: Requested, size: TokenBytes | None, found: Sequence[Reading]) -> Iterator[Proof]:
    """Where the MTP layer is known to lie in the pool that is logged, a pool without it means that MTP is off.
    With it, the layer is there; whether it drafts well is for the counters."""
    if mtp_layers(wanted) != (1,) or not found:
        return
    if all(r.mtp_layers == 0 for r in found):
        yield Proof(feature="mtp", outcome="refuted", rung=Rung.COUNTER, detail=f"{size}: no MTP layer in the cache")
    else:
        yield _unproven("mtp", f"{size}: the cache has an MTP layer", Rung.COUNTER)


def chunks(chunk: int | None, probe: Probe | None) -> Proof:
    """A prompt of n tokens takes ceil(n / chunk) prefill batches, none larger than the chunk."""
    if probe is None or not chunk:
        return _unproven("chunked_prefill", "no prompt of known length was sent", Rung.ECHO)
    pieces = math.ceil(probe.prompt_tokens / chunk)
    if pieces < 2:
        return _unproven("chunked_prefill", f"{probe.prompt_tokens} tokens fit one chunk of {chunk}", Rung.ECHO)
    sizes, steps = [int(o.number) for o in probe.fresh("prefill_chunk")], probe.moved("steps")
    if not sizes and steps is None:
        return _unproven("chunked_prefill", "the engine shows no prefill batches", Rung.ECHO)
    batches = len(sizes) if sizes else round((steps or 0) - max(0, probe.generated_tokens - 1))
    wrong = max(sizes, default=0) > chunk or not pieces <= batches <= pieces + CHUNK_SLACK
    detail = f"{batches} prefill batches for {probe.prompt_tokens} tokens, {pieces} chunks of {chunk} wanted"
    detail += f"; sizes {sizes[:10]}" if sizes else ""
    data = {"batches": batches, "chunks": pieces, "chunk_tokens": chunk, "sizes": sizes[:50]}
    outcome: Outcome = "refuted" if wrong else "proven"
    return Proof(feature="chunked_prefill", outcome=outcome, rung=Rung.COUNTER, detail=detail, data=data)


def _backends(wanted: Requested, seen: Seen) -> Iterator[Proof]:
    """Backends that the plan names. Their log line is written by the code that selects them: the best there is."""
    named = [("attention_backend", wanted.attention_backend), ("moe_backend", wanted.moe_backend)]
    for feature, asked in named:
        if asked is not None:
            yield _named(feature, asked, first(seen, feature))
    line = first(seen, "dsa_backends")
    for asked, got in zip(wanted.dsa_backends, (line.value, line.also.get("decode")) if line else (), strict=False):
        if asked is not None and line is not None:
            yield _named("dsa_backends", asked, replace(line, value=str(got)))


def _named(feature: str, asked: str, seen: Observation | None) -> Proof:
    if seen is None:
        return _unproven(feature, f"{asked} was asked for and no line names the one in use", Rung.PARSER)
    detail = f"{asked} was asked for, {seen.value} is in use ({seen.where})"
    if _bare(asked) != _bare(str(seen.value)):
        return Proof(feature=feature, outcome="refuted", rung=seen.rung, detail=detail)
    outcome: Outcome = "unproven" if seen.rung is Rung.ECHO else "proven"
    return Proof(feature=feature, outcome=outcome, rung=seen.rung, detail=detail)


def _bare(name: str) -> str:
    """FLASHINFER_CUTLASS, `FlashInfer CUTLASS` and flashinfer-cutlass are one backend."""
    return "".join(c for c in name.lower() if c.isalnum())


def _unproven(feature: str, detail: str, rung: Rung) -> Proof:
    return Proof(feature=feature, outcome="unproven", rung=rung, detail=detail)
