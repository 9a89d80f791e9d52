"""MTP: is the draft head used, and is it right often enough to be a trained one?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import fmean

from matrix.kv_reading import Reading, TokenBytes, mtp_layers
from matrix.observation import Observation, Rung, Seen, every, first, last
from matrix.proof.outcome import Outcome, Proof, unproven
from matrix.requested import Requested

# GLM-5 heads accept 2.7 tokens per step with 3 drafts in SGLang's gate and 3.2 in TensorRT-LLM's reference: 0.57 per
# drafted token. The trained canary accepts 0.9 of one draft per step, random weights 0 of 81. Below this it is noise.
ACCEPTED_SHARE = 0.30
ACCEPTED_SHARE_IMPOSSIBLE = 0.999  # nobody's draft is right every time: a counter or the verification is broken
ACCEPT_LENGTH = 1.5  # tokens per step, where only that is shown; 1.0 is a head that never helps
DRAFTED_TOKENS = 50  # fewer drafted (or generated) tokens say nothing
DOUBTED_TOKENS = 500  # from here on no rejection at all is too good; a short story by heart may have none
FEATURE = "mtp"


def of_engine(seen: Seen) -> Proof:
    """By draft counters where the engine has them, else by the tokens that one step yields."""
    drafted, accepted, where = _counted(seen)
    if drafted is None or accepted is None:
        return _of_length(seen)
    drafts, generated = last(seen, "drafts"), last(seen, "generated_tokens")
    return of_drafts(
        drafted,
        accepted,
        where=where,
        drafts=drafts.number if drafts else None,
        generated=generated.number if generated else None,
        positions=[o.number for o in sorted(every(seen, "accepted_per_position"), key=_position)],
    )


def of_drafts(
    drafted: float, accepted: float, *, where: str = "", drafts: float | None = None, generated: float | None = None,
    positions: Sequence[float] = (),
) -> Proof:  # fmt: skip
    """Tokens drafted and accepted since the start. `drafts` is how often a draft was made, `positions` how often its
    first, second, ... token was accepted, `generated` how many tokens came out in all."""
    data = {"drafted": drafted, "accepted": accepted, "accepted_per_position": list(positions)}
    if drafted == 0:
        return _undrafted(where, generated)
    share = accepted / drafted
    detail = f"{accepted:.0f} of {drafted:.0f} drafted tokens accepted ({share:.1%}{', ' if where else ''}{where})"
    if drafts and positions:
        detail += f", by position {', '.join(f'{n / drafts:.0%}' for n in positions)}"
    if drafted < DRAFTED_TOKENS:
        return unproven(FEATURE, f"{detail}: too few to tell", Rung.COUNTER)
    doubt = _doubt(share, drafted, positions)
    noise = share < ACCEPTED_SHARE or bool(drafts and positions and positions[0] / drafts < ACCEPTED_SHARE)
    outcome: Outcome = "refuted" if doubt or noise else "proven"
    return Proof(feature=FEATURE, outcome=outcome, rung=Rung.COUNTER, detail=detail + doubt, data=data)


def _doubt(share: float, drafted: float, positions: Sequence[float]) -> str:
    """Why these counters cannot be true; empty when they can."""
    if share > 1 or (share > ACCEPTED_SHARE_IMPOSSIBLE and drafted >= DOUBTED_TOKENS):
        return ": too good to be true"
    if any(later > earlier for earlier, later in pairwise(positions)):
        return ": a later token of a draft is accepted more often than an earlier one, which cannot be"
    return ""


def of_length(tokens_per_step: float, where: str) -> Proof:
    """The mean number of tokens that a step yields, the one that needs no draft included."""
    detail = f"{tokens_per_step:.2f} tokens per step ({where}), {ACCEPT_LENGTH} wanted"
    outcome: Outcome = "proven" if tokens_per_step >= ACCEPT_LENGTH else "refuted"
    data = {"accept_length": tokens_per_step}
    return Proof(feature=FEATURE, outcome=outcome, rung=Rung.COUNTER, detail=detail, data=data)


def of_layer(wanted: Requested, size: TokenBytes | None, found: Sequence[Reading]) -> Iterator[Proof]:
    """Where the MTP layer is known to lie in the pool that is logged, a pool without it means that MTP is off.
    With it, the layer is there; whether it drafts well is for the counters."""
    if mtp_layers(wanted) != (1,) or not found:
        return
    if all(r.mtp_layers == 0 for r in found):
        yield Proof(feature=FEATURE, outcome="refuted", rung=Rung.COUNTER, detail=f"{size}: no MTP layer in the cache")
    else:
        yield unproven(FEATURE, f"{size}: the cache has an MTP layer", Rung.COUNTER)


def _counted(seen: Seen) -> tuple[float | None, float | None, str]:
    """Drafted and accepted since the start: by counter, else added up over the log's lines."""
    drafted, accepted = last(seen, "drafted_tokens"), last(seen, "accepted_tokens")
    if drafted is not None and accepted is not None:
        return drafted.number, accepted.number, drafted.where
    lines = [o for o in every(seen, "accept_length") if "drafted" in o.also]
    if not lines:
        return None, None, ""
    sums = [sum(float(o.also[k]) for o in lines) for k in ("drafted", "accepted")]
    return sums[0], sums[1], f"{lines[0].where} to {lines[-1].where}"


def _position(observation: Observation) -> int:
    """The label of a counter that is kept apart by position: `position`, in TensorRT-LLM `token_position`."""
    return int(next(iter(observation.also.values()), "0"))


def _undrafted(where: str, generated: float | None) -> Proof:
    detail = f"no token was drafted ({where})"
    if generated is not None and generated < DRAFTED_TOKENS:
        return unproven(FEATURE, f"{detail}, but only {generated:.0f} were generated", Rung.COUNTER)
    data: Mapping[str, float] = {"drafted": 0}
    return Proof(feature=FEATURE, outcome="refuted", rung=Rung.COUNTER, detail=detail, data=data)


def _of_length(seen: Seen) -> Proof:
    """SGLang: the running mean, else the mean of the log's lines (each over as many steps), else the last gauge.

    All three appear only after 40 decode steps; until then the gauge stands at 0, which says nothing.
    """
    served, lines = last(seen, "accept_length_served"), every(seen, "accept_length")
    gauge, speculation = last(seen, "accept_length_metric"), first(seen, "speculation")
    if served is not None:
        return of_length(served.number, served.where)
    if lines:
        where = f"{len(lines)} lines, {lines[0].where} to {lines[-1].where}"
        return of_length(fmean(o.number for o in lines), where)
    if gauge is not None and gauge.number > 0:
        return of_length(gauge.number, gauge.where)
    if speculation is not None and speculation.value == "None":
        detail = f"the engine itself says that it does not speculate ({speculation.where})"
        return Proof(feature=FEATURE, outcome="refuted", rung=speculation.rung, detail=detail)
    return unproven(FEATURE, "the engine has shown no drafts yet", Rung.ECHO)
