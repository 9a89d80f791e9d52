"""Which release to ask next, when to stop, and what can be said then."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from matrix.bisecting.flake_model import FlakeModel
from matrix.bisecting.posterior import Answer, Posterior, Tally, compute_posterior

Word = Literal["found", "good fails", "bad passes", "undecided"]
DOUBT: Final = 0.01  # answers of one release that are less likely than this do not fit the model


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is searched for. `prior` has one value more than there are releases, see matrix.bisecting.posterior."""

    releases: tuple[str, ...]  # from the good end to the bad end
    prior: tuple[float, ...]
    model: FlakeModel = field(default_factory=FlakeModel)
    confidence: float = 0.95

    def weigh(self, tally: Tally) -> Posterior:
        """Return the posterior of these answers."""
        return compute_posterior(self.prior, self.model, tally)


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectVerdict:
    """What the answers say. `first_bad`: the releases that may be it; several where those between gave no answer."""

    word: Word
    decided: bool  # no further answer is needed
    first_bad: tuple[str, ...]
    last_good: str
    probability: float
    others: tuple[tuple[str, float], ...]  # what else may be, the most likely first
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TryReply:
    """What one try came to; `last`: this release can be asked no more."""

    answer: Answer
    last: bool = False


def judge_answers(search: Search, tally: Tally) -> BisectVerdict:
    """Say which release is the first bad one, or that the answers do not decide it yet."""
    found = search.weigh(tally)
    best = found.best
    error = 1 - search.confidence
    ruled = all(found.is_ruled_out(g, error) for g in range(len(found.groups)) if g != best)
    names = [_name_group(search, group) for group in found.groups]
    claims = found.groups[best]
    # both, as posterior.py explains: neither alone bounds the error for whatever is true
    decided = ruled and found.after[best] >= search.confidence
    inner = [search.releases[h] for h in claims if h < len(search.releases)]
    order = sorted((g for g in range(len(names)) if g != best), key=lambda g: -found.after[g])
    word = _choose_word(search, claims) if decided else "undecided"
    return BisectVerdict(
        word=word,
        decided=decided,
        first_bad=tuple(inner),
        last_good=search.releases[claims[0] - 1] if claims[0] else "",
        probability=found.after[best],
        others=tuple((names[g], found.after[g]) for g in order),
        doubts=tuple(_find_doubts(search, tally, claims)) if decided else (),
    )


def _choose_word(search: Search, claims: Sequence[int]) -> Word:
    if not {0, len(search.releases)} & set(claims):
        return "found"
    if len(claims) > 1:  # an end gave no answer, so the boundary may lie on either side of it
        return "undecided"
    return "good fails" if 0 in claims else "bad passes"


def _name_group(search: Search, claims: Sequence[int]) -> str:
    words = [*search.releases, "none of them"]
    return " or ".join(f"{words[h]} (the good end)" if h == 0 else words[h] for h in claims)


def _find_doubts(search: Search, tally: Tally, claims: Sequence[int]) -> list[str]:
    """Name each release whose answers are hardly possible under the verdict: then there may be several boundaries."""
    found = []
    for place, name in enumerate(search.releases):
        # a verdict that rests on an end which was only named, never seen
        if place in (0, len(search.releases) - 1) and not tally.is_told(place):
            found.append(f"{name}, an end of the range, gave no answer")
        failures, tries = tally.failures[place], tally.failures[place] + tally.passes[place]
        if place >= claims[-1] and _tail(tries - failures, tries, 1 - search.model.fails) < DOUBT:
            found.append(f"{name} passed {tries - failures} of {tries} boots, and should fail")
        if place < claims[0] and _tail(failures, tries, search.model.alarm) < DOUBT / 10:
            found.append(f"{name} failed {failures} of {tries} boots, and should pass")
    return found


def _tail(count: int, tries: int, rate: float) -> float:
    """P(at least `count` of `tries`) at `rate`."""
    return math.fsum(math.comb(tries, i) * rate**i * (1 - rate) ** (tries - i) for i in range(count, tries + 1))


def choose_release(search: Search, tally: Tally) -> int | None:
    """Choose the place to ask next: where an answer tells most, and at last both sides of the boundary; None at the
    end of what can be asked."""
    open_ = [k for k in range(len(search.releases)) if k not in tally.ended]
    if not open_ or judge_answers(search, tally).decided:
        return None
    found = search.weigh(tally)
    near = _list_between(search, found) if found.after[found.best] >= search.confidence else []
    nearest = [k for k in near if k in open_]
    # -k: of releases that tell as much the earlier, so that the same answers always give the same search
    return nearest[0] if nearest else max(open_, key=lambda k: (search.model.tell_bits(found.is_bad(k)), -k))


def _list_between(search: Search, found: Posterior) -> list[int]:
    """List the releases that tell the likeliest claim from the one that is least ruled out, from the boundary on."""
    error, best = 1 - search.confidence, found.best
    left = [g for g in range(len(found.groups)) if g != best and not found.is_ruled_out(g, error)]
    if not left:
        return []
    # the claim that stands in the way of a verdict: boots that rule out another one would be wasted
    worst = max(left, key=lambda g: found.after[g] / found.before[g])
    own, other = found.groups[best], found.groups[worst]
    return list(range(own[-1], other[-1])) if worst > best else list(range(own[0] - 1, other[-1] - 1, -1))


def find_first_bad(
    search: Search,
    ask: Callable[[int], TryReply],
    boots: int,
    tell: Callable[[Tally], None] = lambda _: None,
    first: int | None = None,
) -> Tally:
    """Ask one release after the other until the answers decide, nothing is left to ask, or the boots are used up.

    `ask(place)` boots a release once; `tell` is called after each. The release `first` is asked until it fails: its
    failure is the one that is searched for.
    """
    tally = Tally.of(len(search.releases))
    for _ in range(boots):
        place = choose_release(search, tally)
        # until the bad end has failed nobody knows which failure the others are asked for
        if place is not None and first is not None and not tally.failures[first] and first not in tally.ended:
            place = first
        if place is None:
            break
        reply = ask(place)
        tally = tally.add(place, reply.answer, last=reply.last)
        tell(tally)
    return tally


def expect_boots(search: Search, tally: Tally) -> int:
    """Estimate how many more boots it takes: what is unknown over what a boot tells, and then both sides."""
    if judge_answers(search, tally).decided:
        return 0
    found = search.weigh(tally)
    need = math.log(1 / (1 - search.confidence))
    # a side's most stubborn claim decides: the others fall on the way
    sides = [
        max((need + math.log(max(found.after[g], 1e-9) / found.before[g]) for g in side), default=0.0)
        for side in (range(found.best), range(found.best + 1, len(found.groups)))
    ]
    rates = (search.model.good_nats, search.model.bad_nats)
    ends = sum(max(0.0, nats) / rate for nats, rate in zip(sides, rates, strict=True))
    return max(1, math.ceil(max(found.bits / search.model.capacity, ends)))
