"""Drafts, MTP before all: is the head or model used, and is it right often enough to be a trained one?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, Final

from matrix.judging import drafting
from matrix.judging.drafting import Drafting
from matrix.judging.kv_bytes import LayoutMatch, TokenBytes, mtp_layers
from matrix.judging.observation import Rung, Seen, find_all, find_first, find_last
from matrix.judging.proof.outcome import FeatureProof, Outcome, make_unproven
from matrix.judging.requested import Requested

# GLM-5 heads accept 2.7 tokens per step with 3 drafts in SGLang's gate and 3.2 in TensorRT-LLM's reference: 0.57 per
# drafted token. The trained canary accepts 0.9 of one draft per step, random weights 0 of 81. Below this it is noise.
ACCEPTED_SHARE = 0.30
ACCEPT_LENGTH = 1.5  # tokens per step, where only that is shown; 1.0 is a head that never helps
DRAFTED_TOKENS = 50  # fewer drafted (or generated) tokens say nothing
FEATURE = "mtp"
OTHER_DRAFTS: Final = frozenset(
    {"eagle3", "dflash", "dflash2", "dspark"}
)  # models of their own (axes/features, `draft`)
DRAFTING: Final = OTHER_DRAFTS | {FEATURE}


def prove_mtp(seen: Seen, before: Seen = ()) -> FeatureProof:
    """By what was drafted since `before`, else since the start; else by the tokens that one step yields."""
    found = drafting.count_drafts(seen, before)
    if found is None:
        return _prove_by_logged_length(seen)
    if found.drafted == 0:
        return _prove_undrafted(found)
    detail, data = _describe_drafting(found), _make_data(found)
    if wrong := [*found.find_contradictions()]:
        detail = f"{detail}, but {', '.join(wrong)}"
        return FeatureProof(feature=FEATURE, outcome="refuted", rung=Rung.COUNTER, detail=detail, data=data)
    if found.drafted < DRAFTED_TOKENS:
        return make_unproven(FEATURE, f"{detail}: too few to tell", Rung.COUNTER)
    if found.accepted == found.drafted and found.most_made is None:
        return make_unproven(FEATURE, f"{detail}: every one, and no other counter here confirms it", Rung.COUNTER)
    outcome: Outcome = "refuted" if _is_noise(found) else "proven"
    return FeatureProof(feature=FEATURE, outcome=outcome, rung=Rung.COUNTER, detail=detail, data=data)


def has_drafted_enough(seen: Seen, before: Seen = ()) -> bool:
    """Return whether what was drafted since `before`, else since the start, can be judged by its share."""
    found = drafting.count_drafts(seen, before)
    return found is not None and found.drafted >= DRAFTED_TOKENS


def _is_noise(found: Drafting) -> bool:
    """Too little is accepted in all, or of the first token of a draft, which needs no luck with an earlier one."""
    first_place = found.accepted_at[0] / found.drafts if found.accepted_at and found.drafts else 1.0
    return found.accepted / found.drafted < ACCEPTED_SHARE or first_place < ACCEPTED_SHARE


def _describe_drafting(found: Drafting) -> str:
    share = found.accepted / found.drafted
    detail = f"{found.accepted:.0f} of {found.drafted:.0f} drafted tokens accepted ({share:.1%}, {found.where})"
    if found.drafts and len(found.accepted_at) > 1:
        detail += f", by position {', '.join(f'{n / found.drafts:.0%}' for n in found.accepted_at)}"
    return detail


def _make_data(found: Drafting) -> Mapping[str, Any]:
    return {
        "drafted": found.drafted,
        "accepted": found.accepted,
        "accepted_per_position": list(found.accepted_at),
    }


def prove_by_length(tokens_per_step: float, where: str) -> FeatureProof:
    """Prove MTP by the mean number of tokens per step, including the one that needs no draft."""
    detail = f"{tokens_per_step:.2f} tokens per step ({where}), {ACCEPT_LENGTH} wanted"
    outcome: Outcome = "proven" if tokens_per_step >= ACCEPT_LENGTH else "refuted"
    data = {"accept_length": tokens_per_step}
    return FeatureProof(feature=FEATURE, outcome=outcome, rung=Rung.COUNTER, detail=detail, data=data)


def prove_by_layer(wanted: Requested, size: TokenBytes | None, found: Sequence[LayoutMatch]) -> Iterator[FeatureProof]:
    """Where the MTP layer is known to lie in the pool that is logged, a pool without it means that MTP is off.
    With it, the layer is there; whether it drafts well is for the counters."""
    if mtp_layers(wanted) != (1,) or not found:
        return
    if all(r.mtp_layers == 0 for r in found):
        yield FeatureProof(
            feature=FEATURE, outcome="refuted", rung=Rung.COUNTER, detail=f"{size}: no MTP layer in the cache"
        )
    else:
        yield make_unproven(FEATURE, f"{size}: the cache has an MTP layer", Rung.COUNTER)


def _prove_undrafted(found: Drafting) -> FeatureProof:
    detail = f"no token was drafted ({found.where})"
    if found.generated is not None and found.generated < DRAFTED_TOKENS:
        return make_unproven(FEATURE, f"{detail}, but only {found.generated:.0f} were generated", Rung.COUNTER)
    return FeatureProof(feature=FEATURE, outcome="refuted", rung=Rung.COUNTER, detail=detail, data={"drafted": 0})


def _prove_by_logged_length(seen: Seen) -> FeatureProof:
    """SGLang: the running mean, else the mean of the log's lines (each over as many steps), else the last gauge.

    All three appear only after 40 decode steps; until then the gauge stands at 0, which says nothing.
    """
    served, lines = find_last(seen, "accept_length_served"), find_all(seen, "accept_length")
    gauge, speculation = find_last(seen, "accept_length_metric"), find_first(seen, "speculation")
    if served is not None:
        return prove_by_length(served.number, served.where)
    if lines:
        where = f"{len(lines)} lines, {lines[0].where} to {lines[-1].where}"
        return prove_by_length(fmean(o.number for o in lines), where)
    if gauge is not None and gauge.number > 0:
        return prove_by_length(gauge.number, gauge.where)
    if speculation is not None and speculation.value == "None":
        detail = f"the engine itself says that it does not speculate ({speculation.where})"
        return FeatureProof(feature=FEATURE, outcome="refuted", rung=speculation.rung, detail=detail)
    return make_unproven(FEATURE, "the engine has shown no drafts yet", Rung.ECHO)
