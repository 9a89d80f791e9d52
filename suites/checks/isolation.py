"""Checks that requests do not affect one another: no foreign text in a reply, and the same numbers with and without
neighbours.

Numbers are compared on the first positions only: once two runs choose different tokens, everything after differs.
An engine that does not repeat itself exactly is judged against its own A/A floor, up to a point.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from matrix.judging.extremes import find_largest, find_smallest
from matrix.judging.logprobs import SAME, Logprobs, find_unsound, measure_distance, read_logprobs
from reports.evidence.finding import Finding, as_json_number
from suites.checks.frozen import prompt_sha256
from suites.checks.greedy import explain_parting, find_unlikely_choice
from suites.checks.needle import find_codes
from suites.checks.own_tokens import explain_other_tokens

POSITIONS: Final = 4
KEPT_POSITIONS: Final = 64
ARITHMETIC_16_BIT: Final = ("bf16", "q8_0", "w4a16", "gguf")  # formats whose activations keep 16 bits
# In nats. llama.cpp on the bf16 canary: 0 between equal requests, 0.027 between a cached prefix and none (one row
# instead of many goes through another kernel), 0.06 between chunks of 64 and 512 (suites/measure/recordings.py). vLLM
# and SGLang on H100 (docs/evidence/sm90-h100): 0 among others, at most 0.06 from the cache.
TOLERANCE_BF16: Final = 0.15
# Where activations have 8 or 4 bits a step is coarser. On H100: 0 with FP8 weights; NVFP4 on SGLang's Marlin, which
# does not repeat itself (0.25 between equal requests), 0.16 among others and 0.125 from the cache. Twice the largest.
TOLERANCE_QUANTISED: Final = 0.30
# GLM-5.3-Flash's class: its canary's largest logits lie above 16 (24.4 of the reference), where neighbours in bf16 are
# 0.125 apart, twice as far as below: room for a step of either logit. vLLM 0.33.0 on an H200: 0.156 among others in
# five launches, a step of the likeliest word and one of the other. docs/evidence/frozen-prompts tells what that hides.
TOLERANCE_FLASH: Final = 0.25
FLOOR_FACTOR: Final = 3.0  # the largest of a few A/A distances underestimates the spread
# The two closest different ways of attention are 0.36 apart (suites/measure/recordings.py): above this noise nothing is
# told.
MOST_NOISE: Final = 0.30


def logprob_tolerance(weights: str, made_by: str | None = None) -> float:
    """Return how far logprobs may move when the arithmetic runs in another order, in nats: by weight format, and for
    the canary that `made_by` names."""
    if made_by == "flash":
        return TOLERANCE_FLASH
    return TOLERANCE_BF16 if weights in ARITHMETIC_16_BIT else TOLERANCE_QUANTISED


def check_no_leak(item: Item, reply: Reply, markers: Mapping[str, str]) -> Finding:
    """Check that the reply contains its own marker and none of the other requests'; `markers` maps item ids to
    codes."""
    own, said = markers[item.id], set(find_codes(_join_reply(reply)))
    asked = set(find_codes("\n".join(str(m.get("content") or "") for m in item.messages)))
    # A marker that stands in the own prompt, too, proves no leak.
    foreign = {other: code for other, code in markers.items() if other != item.id and code not in asked}
    wrong = [f"holds the marker of {other} ({code})" for other, code in foreign.items() if code in said]
    if own not in said:
        wrong.append("its own marker is missing")
    if len(set(markers.values())) != len(markers):
        wrong.append("unfair: two requests share a marker")
    return Finding(
        check="isolation.no_leak",
        ok=not wrong,
        expected=own,
        got=reply.content,
        item=item.id,
        detail="; ".join(wrong),
        sensitive=len(markers) > 1,
        data={"requests": len(markers), "streamed": reply.streamed, "prompt_sha256": prompt_sha256(item)},
    )


def _join_reply(reply: Reply) -> str:
    calls = " ".join(f"{c.name} {c.arguments}" for c in reply.tool_calls)
    return f"{reply.content} {reply.reasoning} {calls}"


def first_positions(reply: Reply) -> Logprobs:
    return read_logprobs(reply.logprobs[:POSITIONS])


def measure_floor(same: Sequence[Reply]) -> float:
    """Measure the A/A noise floor: the largest distance between replies to equal requests, in nats."""
    pairs = itertools.combinations([first_positions(r) for r in same], 2)
    return find_largest(measure_distance(a, b) for a, b in pairs)


def check_repeatable(item: Item, same: Sequence[Reply], *, top: int = 0, computed: bool = False) -> Finding:
    """Check that equal requests have nearly equal numbers. Their distance is the noise floor of the other checks.

    `top`: candidates that were asked for. `computed`: the requests were told not to read the prefix cache.
    """
    floor = measure_floor(same)
    wrong = (
        find_unsound_reply(same)
        or find_few_candidates(same, top)
        or (find_read_cache(same) if computed else "")
        or find_other_counts(same)
        or find_unlikely_choice(same)
        or _find_parting(same, floor)
        or find_other_tokens(same)
    )
    blind = _lacks_logprobs(same) and not wrong
    return Finding(
        check="isolation.repeatable",
        ok=not wrong and (blind or floor <= MOST_NOISE),
        expected=f"logprobs within {MOST_NOISE} of one another",
        got=f"{floor:.4g} apart in {len(same)} equal requests",
        item=item.id,
        detail=wrong,
        sensitive=not blind,
        data={"floor": as_json_number(floor), "requests": len(same), **_keep_logprobs(wrong, same)},
    )


def check_same_numbers(
    name: str, item: Item, same: Sequence[Reply], other: Reply, *, allowed: float, sensitive: bool = True
) -> Finding:
    """Check that `other` is as near to the nearest of the equal requests as arithmetic, or their own noise, allows."""
    floor = measure_floor(same)
    # Capped: an engine that does not repeat itself at all would excuse any leak by its noise.
    limit = find_largest([allowed, FLOOR_FACTOR * find_smallest([floor, MOST_NOISE])])
    far = find_smallest(measure_distance(first_positions(r), first_positions(other)) for r in same)
    wrong = (
        find_unsound_reply([*same, other])
        or find_other_counts([*same, other])
        or find_unlikely_choice([other])
        or _find_far_text(same, other, limit)
        or find_other_tokens([*same, other])
    )
    blind = _lacks_logprobs([*same, other]) and not wrong
    return Finding(
        check=f"isolation.{name}",
        ok=not wrong and (blind or far <= limit),
        expected=f"logprobs within {limit:.3g} (A/A floor {floor:.2g})",
        got=f"{far:.4g} apart: {other.content[:80]!r}, {same[0].content[:80]!r}",
        item=item.id,
        detail=wrong or ("the engine gives no logprobs" if blind else ""),
        sensitive=bool(wrong) or (sensitive and not blind),
        data={
            "distance": as_json_number(far),
            "floor": as_json_number(floor),
            "limit": limit,
            "cached_tokens": other.cached_tokens,
            **_keep_logprobs(wrong, [*same, other]),
        },
    )


def _find_parting(same: Sequence[Reply], floor: float) -> str:
    """Return the first pair of equal requests whose texts part without a tie. Numbers that are within `floor` of one
    another change places only where they are within twice that."""
    tie = 2 * find_largest([SAME, find_smallest([floor, MOST_NOISE])])
    pairs = itertools.combinations(same, 2)
    return next((wrong for a, b in pairs if (wrong := explain_parting(a, b, tie=tie))), "")


def _find_far_text(same: Sequence[Reply], other: Reply, limit: float) -> str:
    """Return why the text of `other` is none that the equal requests could have given; empty if it is like any."""
    told = [explain_parting(each, other, tie=2 * limit) for each in same]
    return told[0] if told and all(told) else ""


def find_unsound_reply(replies: Sequence[Reply]) -> str:
    """Find the first fault in the logprobs of all positions, not only the compared ones: NaN anywhere is the
    engine's fault."""
    return next((wrong for r in replies if (wrong := find_unsound(r.logprobs))), "")


def find_few_candidates(replies: Sequence[Reply], top: int) -> str:
    """Return why a reply does not list the `top` candidates that were asked for. One position with all of them will do:
    some engines list none of accepted drafts."""
    told = [{_count_candidates(position) for position in r.logprobs} for r in replies if r.logprobs]
    few = (counts for counts in told if all(n < top for n in counts))
    return next((f"{', '.join(map(str, counts))} candidates a position, {top} asked for" for counts in few), "")


def _count_candidates(position: Mapping[str, Any]) -> int:
    listed = position.get("top_logprobs")
    return len(listed) if isinstance(listed, list) else 0


def find_read_cache(replies: Sequence[Reply]) -> str:
    """Return which reply found a prefix although it was told to compute its prompt: what is compared with it is no
    measure then, and prefixes are not kept apart."""
    told = (r.cached_tokens for r in replies if r.cached_tokens)
    return next((f"{n} cached tokens in a request that was told to compute its prompt" for n in told), "")


def find_other_tokens(replies: Sequence[Reply]) -> str:
    """Find the first reply whose logprobs are not those of its own tokens: comparisons would be of the wrong ones."""
    return next((wrong for r in replies if (wrong := explain_other_tokens(r))), "")


def find_other_counts(replies: Sequence[Reply]) -> str:
    """Return why equal prompts cannot have the lengths that usage tells; empty where they are one. What a cache held
    is part of the prompt."""
    told = list(dict.fromkeys(r.prompt_tokens for r in replies if r.prompt_tokens is not None))
    return f"equal prompts have {' and '.join(map(str, told))} tokens" if len(told) > 1 else ""


def _keep_logprobs(wrong: str, replies: Sequence[Reply]) -> dict[str, Any]:
    """Keep the logprobs themselves where they are unsound."""
    shown = [
        {t: as_json_number(v) for t, v in position.items()} for r in replies for position in read_logprobs(r.logprobs)
    ]
    return {"logprobs": shown[:KEPT_POSITIONS]} if wrong else {}


def _lacks_logprobs(replies: Sequence[Reply]) -> bool:
    return not all(r.logprobs for r in replies)
