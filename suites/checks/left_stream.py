"""Checks what an engine does for a stream that its reader left: it stops, and lets the next request in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fixtures.banks.item import Item
from reports.evidence.finding import Finding

GOES_ON: Final = 0.9  # of a stream's tokens: it went on to its end
WAITS: Final = 0.75  # of the time that a reply takes: it waited for one of the same length
LONG_ENOUGH: Final = 0.75  # of the seconds for which a stream was made long


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftStream:
    """What followed a hang-up. `made`: tokens counted beside those of the next reply, None where none are told."""

    tokens: int  # that the left stream had been asked for, and the next one said
    made: float | None
    took_s: float  # the next reply, from its first token to its last
    waited_s: float  # for its first token, beyond what a request waits that nobody is in front of


def check_left_stream(item: Item, left: LeftStream, *, seconds: float) -> Finding:
    """Check that the engine stopped working for a stream that was left, and let the next request in.

    Nothing is judged where the reply is so short that the engine may end it before it can notice.
    """
    wrong = []
    if left.made is not None and left.made >= GOES_ON * left.tokens:
        wrong.append(f"{left.made:.0f} of {left.tokens} tokens were made behind the hang-up")
    if left.waited_s >= WAITS * left.took_s:
        wrong.append(f"the next request waited {left.waited_s:.2f} s, and was said in {left.took_s:.2f} s")
    told = left.took_s >= LONG_ENOUGH * seconds
    made = "unknown" if left.made is None else f"{left.made:.0f}"
    return Finding(
        check="fields.hang_up",
        ok=not (wrong and told),
        expected=f"not the {left.tokens} tokens that were asked for",
        got=f"{made} tokens made, the next request waited {left.waited_s:.2f} s",
        item=item.id,
        detail="; ".join(wrong) if told else "",
        sensitive=told,
        data={"tokens": left.tokens, "made": left.made, "took_s": round(left.took_s, 3)},
    )
