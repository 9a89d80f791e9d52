"""Finds what greedy decoding may not do: choose an unlikelier token, or part from its own earlier answer without a tie.

Two equal greedy requests may part only where two candidates are as near to each other as the engine's own numbers
are to themselves. Another text without such a tie is another computation, whatever the compared logprobs say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from fixtures.client.reply import Reply
from matrix.judging.extremes import find_smallest
from matrix.judging.logprobs import SAME, chosen_token, list_candidates, read_logprobs

CUT_CHARACTER: Final = "\ufffd"  # two different halves of characters look alike
SHOWN_CHARS: Final = 60


def find_unlikely_choice(replies: Sequence[Reply]) -> str:
    """Return the first position at which the chosen token is not the likeliest by more than rounding; empty for none.

    Both numbers come from one forward pass, so the arithmetic's noise between requests does not excuse a gap.
    """
    for reply in replies:
        for place, position in enumerate(reply.logprobs):
            chosen, *others = list_candidates(position)  # a list: two special tokens may print alike
            if any(math.isnan(value) for _, value in (chosen, *others)):
                return f"position {place}: a logprob is NaN, so nothing is the likeliest"
            best = max(others, key=_likelihood, default=chosen)
            if best[1] - chosen[1] > SAME:
                told = f"{chosen[0]!r} ({chosen[1]:.3g}), not {best[0]!r} ({best[1]:.3g})"
                return f"position {place}: greedy decoding chose {told}"
    return ""


def _likelihood(candidate: tuple[str, float]) -> float:
    return candidate[1]


def explain_parting(first: Reply, other: Reply, *, tie: float) -> str:
    """Return why the texts of two equal greedy requests may not differ as they do; empty where they may.

    `tie`: nats that two candidates may be apart where the replies part. Without logprobs nothing can be told.
    """
    if read_said(first) == read_said(other) or not (first.logprobs and other.logprobs):
        return ""
    mine, yours = read_logprobs(first.logprobs), read_logprobs(other.logprobs)
    for place, (a, b) in enumerate(zip(mine, yours, strict=False)):
        if CUT_CHARACTER in chosen_token(a) + chosen_token(b):
            return ""
        if chosen_token(a) != chosen_token(b):
            if len(a) == len(b) == 1:  # drafted tokens, of which llama.cpp lists no alternatives
                return ""
            gap = _measure_gap(a, b)
            return (
                ""
                if gap <= tie
                else f"position {place}: {chosen_token(a)!r} and {chosen_token(b)!r} are {gap:.3g} nats apart, no tie"
            )
    if len(mine) != len(yours):
        return (
            ""
            if tie > 2 * SAME
            else f"one reply has {len(mine)} tokens, the other {len(yours)}, and the shared ones are equal"
        )
    shown = [repr((r.content or str(read_said(r)[2]))[:SHOWN_CHARS]) for r in (first, other)]
    return f"every token is the same and the text is not: {', '.join(shown)}"


def read_said(reply: Reply) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Return what a user gets of a reply: text, reasoning and calls, without the ids that engines draw."""
    return reply.content, reply.reasoning, tuple((c.name, c.arguments) for c in reply.tool_calls)


def _measure_gap(a: Mapping[str, float], b: Mapping[str, float]) -> float:
    """Return the smaller distance of the two chosen tokens, by either reply's own numbers; infinite where none lists
    both."""
    one, two = chosen_token(a), chosen_token(b)
    # By either reply's numbers: each of them may have listed only its own choice.
    gaps = (abs(each[one] - each[two]) for each in (a, b) if one in each and two in each)
    return find_smallest(gaps, default=float("inf"))
