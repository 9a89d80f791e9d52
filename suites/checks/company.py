"""Checks that an answer in company is the answer alone: the same text but for ties, the same numbers but for noise.

Beyond `index_topk` a launch differs from itself, on GPUs by up to 0.6 nats in the logprob of candidates that nobody
would ever draw (decision 13). So mass decides here, and not the largest difference of a logprob.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from matrix.judging.extremes import find_largest, find_smallest
from matrix.judging.kl import read_distributions, top_k_kl
from matrix.judging.logprobs import drop_drafted
from reports.evidence.finding import Finding, as_json_number
from suites.checks import isolation, protocol, tools
from suites.checks.agreement import TOLERANCE_UNSURE
from suites.checks.frozen import prompt_sha256
from suites.checks.greedy import explain_parting, find_unlikely_choice, read_said
from suites.checks.stream_text import check_stream_text

# Nats a position, at most. Healthy engines stay under a third of it even where the model is unsure; the nearest other
# way to select tokens is twice as far (suites/checks/agreement.py).
TOLERANCE: Final = TOLERANCE_UNSURE
# Nats that a candidate may move: twice the 0.63 that a launch was seen to differ from itself. If each one beside the
# chosen token moves so far, KL is their mass times e^d - 1 - d: a sure answer allows next to nothing.
MOVED: Final = 1.26
SHARE: Final = math.exp(MOVED) - 1 - MOVED
LEAST: Final = 1e-5  # ten times what is left beside a sure token in numbers of 32 bits (matrix.judging.kl.REST)
SHOWN_CHARS: Final = 120


def check_same_answer(item: Item, alone: Sequence[Reply], other: Reply, *, check: str, tie: float) -> Finding:
    """Check that `other` is as near to one of the answers given alone as ties and the engine's own noise allow.

    `tie`: nats that two candidates may be apart where the texts part. Without logprobs equal texts are equal, and
    different ones prove nothing.
    """
    floor = measure_divergence_floor(alone)
    limit = find_largest([compute_tolerance(alone[0]), isolation.FLOOR_FACTOR * find_smallest([floor, TOLERANCE])])
    # The nearest of the answers alone: where a launch differs from itself, each of them is as right as the others.
    far = find_smallest((_measure_divergence(each, other) for each in alone), default=float("inf"))
    wrong = (
        isolation.find_unsound_reply([*alone, other])
        or isolation.find_other_counts([*alone, other])
        or find_unlikely_choice([other])
        or _find_other_text(alone, other, tie)
        or isolation.find_other_tokens([*alone, other])
    )
    blind = not wrong and not _tells_anything(alone, other)
    return Finding(
        check=check,
        ok=not wrong and (far <= limit or not (other.logprobs and all(r.logprobs for r in alone))),
        expected=f"the answer given alone, within {limit:.2g} nats a position: {_show_reply(alone[0])}",
        got=f"{far:.2g} nats a position away: {_show_reply(other)}",
        item=item.id,
        detail=wrong,
        sensitive=not blind,
        data={
            "nats": as_json_number(far),
            "floor": as_json_number(floor),
            "limit": limit,
            "prompt_tokens": other.prompt_tokens,
            "cached_tokens": other.cached_tokens,
            "prompt_sha256": prompt_sha256(item),
        },
    )


def check_goes_on(item: Item, alone: Reply, reply: Reply, *, tie: float) -> Finding:
    """Check a reply that stayed while others hung up: the text, and the end, of the same request alone and whole."""
    # Of a whole reply, too: numbers up to its end do not tell that it was cut there.
    found = check_stream_text(reply.reasoning + reply.content, alone, check="together.hang_up", item=item.id)
    if found.ok and not reply.streamed:
        found = check_same_answer(item, [alone], reply, check="together.hang_up", tie=tie)
    if read_said(reply) == read_said(alone) and reply.finish_reason != alone.finish_reason:
        return replace(found, ok=False, detail=f"it ended as {reply.finish_reason!r}, alone as {alone.finish_reason!r}")
    return found


def check_same_calls(item: Item, alone: Reply, beside: Reply, *, others: Sequence[Item]) -> Finding:
    """Check that a reply made beside others has exactly its own calls; what is wrong alone, too, judges nothing.

    `others`: the items in flight, this one included. A call of one of them is told by its name.
    """
    found = tools.check_calls(item, beside, check="together.calls")
    if not tools.check_calls(item, alone).ok:
        return replace(found, ok=True, sensitive=False, note="the model calls wrongly alone, too")
    foreign = [other.id for other in others if other.id != item.id and _holds_a_call(beside, other, but=item)]
    wrong = [found.detail, *(f"holds a call of {name}" for name in foreign)] if not found.ok else []
    wrong += protocol.check_envelope(item, beside).detail.split("; ") if found.ok else []
    detail = "; ".join(filter(None, wrong))
    return replace(found, ok=not detail, detail=detail, data={**found.data, "streamed": beside.streamed})


def _holds_a_call(reply: Reply, other: Item, *, but: Item) -> bool:
    """Return whether the reply has a call that `other` asks for and `but` does not."""
    asked = [(call.name, dict(call.arguments)) for call in but.call]
    foreign = [(c.name, dict(c.arguments)) for c in other.call if (c.name, dict(c.arguments)) not in asked]
    return any(made in foreign for made in tools.read_calls(reply))


def compute_tolerance(alone: Reply) -> float:
    """Compute what another answer may be away, in nats a position: the less, the surer this one is."""
    chosen = (next(iter(position.values())) for position in drop_drafted(read_distributions(alone.logprobs)))
    # Rounding lifts some logprobs above 0, and nothing would be left of the mass.
    left = [1.0 - math.exp(find_smallest([value, 0.0])) for value in chosen]
    mean = math.fsum(left) / len(left) if left else 1.0
    return find_largest([LEAST, find_smallest([TOLERANCE, SHARE * mean])])


def measure_divergence_floor(alone: Sequence[Reply]) -> float:
    """Measure how far answers given alone are from the first of them, in nats a position."""
    return find_largest([_measure_divergence(alone[0], each) for each in alone[1:]])


def _measure_divergence(a: Reply, b: Reply) -> float:
    """Nats a position up to the first at which they part; 0 where only drafted tokens stand, which show nothing."""
    mine, yours = (drop_drafted(read_distributions(r.logprobs)) for r in (a, b))
    if a.logprobs and b.logprobs and not (mine and yours):
        return 0.0
    return top_k_kl(mine, yours).mean


def _find_other_text(alone: Sequence[Reply], other: Reply, tie: float) -> str:
    told = [explain_parting(each, other, tie=tie) for each in alone]
    return told[0] if told and all(told) else ""


def _tells_anything(alone: Sequence[Reply], other: Reply) -> bool:
    """Whether the comparison could have failed, or found the very same text."""
    return bool(other.logprobs and alone[0].logprobs) or any(read_said(each) == read_said(other) for each in alone)


def _show_reply(reply: Reply) -> str:
    calls = "; ".join(f"{c.name}({c.arguments})" for c in reply.tool_calls)
    return repr((reply.content or calls)[:SHOWN_CHARS])
