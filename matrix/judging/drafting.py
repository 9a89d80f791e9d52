"""What an engine counted of its drafts, and whether its counters can all be true.

Each verification step of a request makes one token and the accepted ones besides, so

    drafts + accepted <= generated        with one draft token per step
    drafts + accepted <= generated + (k - 1) x requests        with k: the last step of a reply may run past its end

A head that is right every time obeys this (the canary's, on its own stories: 23 drafts, 23 accepted, 47 tokens), a
counter that calls every draft accepted does not. So a perfect acceptance is believed exactly where it can be checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, inf, isfinite

from matrix.errors import EngineReplyMalformed
from matrix.judging.observation import Seen, count_since, find_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafting:
    """Token counts, `drafts` in verification steps; None is what the engine does not show."""

    drafted: float
    accepted: float
    where: str
    drafts: float | None = None
    generated: float | None = None
    requests: float | None = None
    positions: Mapping[int, float] = field(default_factory=dict)  # accepted by place in the draft, from 0

    @property
    def accepted_at(self) -> tuple[float, ...]:
        """Accepted tokens by place in the draft."""
        return tuple(number for _, number in sorted(self.positions.items()))

    @property
    def most_made(self) -> float | None:
        """No more than this can drafts and accepted tokens add up to; None where nothing bounds them."""
        # NaN and infinity are a contradiction of their own below; `ceil` would raise on them.
        if self.generated is None or not self.drafts or not isfinite(self.drafted / self.drafts):
            return None
        beyond_end = max(ceil(self.drafted / self.drafts), len(self.positions)) - 1
        if beyond_end <= 0:
            return self.generated
        return None if self.requests is None else self.generated + beyond_end * self.requests

    def find_contradictions(self) -> Iterator[str]:
        """Yield what cannot be true, whatever the quality of the head."""
        counts = (self.drafted, self.accepted, self.drafts or 0, self.generated or 0, *self.accepted_at)
        if not all(map(isfinite, counts)):
            yield "a count is NaN or infinite"
        if self.accepted > self.drafted:
            yield "more accepted than drafted"
        if self.positions and sum(self.positions.values()) != self.accepted:
            yield f"{sum(self.positions.values()):.0f} accepted by position"
        if any(later > earlier for earlier, later in pairwise(self.accepted_at)):
            yield "a later token of a draft accepted more often than an earlier one"
        made = self.most_made
        if made is not None and (self.drafts or 0) + self.accepted > made:
            yield (
                f"{self.drafts:.0f} steps with {self.accepted:.0f} accepted tokens make more than the"
                f" {self.generated:.0f} that were generated"
            )


def count_drafts(seen: Seen, before: Seen = ()) -> Drafting | None:
    """Count drafts since `before`, else since the start: by counter, else as a sum over log lines. None where
    neither exists."""
    drafted, accepted = count_since("drafted_tokens", seen, before), count_since("accepted_tokens", seen, before)
    if drafted is None or accepted is None:
        return _sum_log_lines(seen, before)
    at_first = _accepted_by_position(before)
    return Drafting(
        drafted=drafted,
        accepted=accepted,
        where=next(o.where for o in seen if o.name == "drafted_tokens"),
        drafts=count_since("drafts", seen, before),
        generated=count_since("generated_tokens", seen, before),
        requests=count_since("requests", seen, before),
        positions={place: number - at_first.get(place, 0.0) for place, number in _accepted_by_position(seen).items()},
    )


def _accepted_by_position(seen: Seen) -> dict[int, float]:
    """Read accepted tokens by position; the label is `position`, in TensorRT-LLM `token_position`."""
    found = [(next(iter(o.also.values())), o) for o in find_all(seen, "accepted_per_position") if o.also]
    wrong = next((place for place, _ in found if not re.fullmatch(r"\d{1,4}", place)), None)
    if wrong is not None:
        raise EngineReplyMalformed(f"a place in a draft is called {wrong[:40]!r}, which is no place", received=wrong)
    return {int(place): o.number for place, o in found}


def _sum_log_lines(seen: Seen, before: Seen) -> Drafting | None:
    lines = [
        o for o in find_all(seen, "accept_length")[len(find_all(before, "accept_length")) :] if "drafted" in o.also
    ]
    if not lines:
        return None
    drafted, accepted = (sum(_parse_number(o.also.get(k, "")) for o in lines) for k in ("drafted", "accepted"))
    return Drafting(drafted=drafted, accepted=accepted, where=f"{lines[0].where} to {lines[-1].where}")


def _parse_number(digits: str) -> float:
    """Parse a count of a log line; infinity, and so a contradiction, where it is no number."""
    try:
        return float(digits)
    except ValueError:
        return inf
