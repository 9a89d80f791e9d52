"""Answers of releases -> how likely each is the first bad one, and which of these claims are ruled out.

Of n releases in order, the first known good and the last known bad, claim h says: releases h, h+1, ... are bad. Claims
0 (the good one fails, too) and n (the bad one does not fail) are there because people err about the ends.

Two things must hold before a claim is believed. Its probability reaches the confidence; and every other claim is ruled
out: its odds fell to 1 - confidence of what they were before the first answer. The second bounds the chance to rule out
what is true by 1 - confidence, for each true claim, whatever was thought likely before (Ville's inequality); the first
alone holds only on average over the prior.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, Literal

from matrix.bisecting.flake_model import FlakeModel

Answer = Literal["good", "bad", "none"]  # none: HOST_ERROR, NOT_ASKED, another failure: says nothing of the release
NO_ANSWERS: Final = 2  # in a row, after which a release is not asked again
ENDS: Final = 0.05  # prior probability that an end is not what it is said to be, for each end


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What was answered, by the place of the release. `silent`: tries in a row that gave no answer."""

    failures: tuple[int, ...]
    passes: tuple[int, ...]
    silent: tuple[int, ...]
    ended: frozenset[int] = frozenset()  # releases that nothing more can be asked of

    @classmethod
    def of(cls, count: int) -> Tally:
        """Return the tally of so many releases before the first answer."""
        zeros = (0,) * count
        return cls(failures=zeros, passes=zeros, silent=zeros)

    def add(self, place: int, answer: Answer, *, last: bool = False) -> Tally:
        """Return the tally with one more answer; `last`: this release has no further one."""
        silent = _bump(self.silent, place) if answer == "none" else _put(self.silent, place, 0)
        # in a row: one hiccup of a host between answers must not take a release out of the search
        over = last or silent[place] >= NO_ANSWERS
        return Tally(
            failures=_bump(self.failures, place) if answer == "bad" else self.failures,
            passes=_bump(self.passes, place) if answer == "good" else self.passes,
            silent=silent,
            ended=self.ended | {place} if over else self.ended,
        )

    @property
    def answers(self) -> int:
        return sum(self.failures) + sum(self.passes)

    def is_told(self, place: int) -> bool:
        """Whether anything is known of a release, or can still be."""
        return place not in self.ended or bool(self.failures[place] or self.passes[place])


def _put(numbers: tuple[int, ...], place: int, value: int) -> tuple[int, ...]:
    return (*numbers[:place], value, *numbers[place + 1 :])


def _bump(numbers: tuple[int, ...], place: int) -> tuple[int, ...]:
    return _put(numbers, place, numbers[place] + 1)


def make_prior(weights: Sequence[float]) -> tuple[float, ...]:
    """Return the prior of claims 0..n out of the weight of each of the n - 1 steps from one release to the next.

    Half of it is the same for every step, so that no step is ever thought impossible.
    """
    whole = sum(weights)
    steps = [0.5 / len(weights) + (0.5 * w / whole if whole > 0 else 0.5 / len(weights)) for w in weights]
    return (ENDS, *((1 - 2 * ENDS) * share for share in steps), ENDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """Claims that no further answer can tell apart stand together, in `groups`; the other fields go by group."""

    groups: tuple[tuple[int, ...], ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    by_claim: tuple[float, ...] = field(repr=False)

    @property
    def best(self) -> int:
        """The most likely group."""
        return max(range(len(self.groups)), key=lambda g: self.after[g])

    def is_ruled_out(self, group: int, error: float) -> bool:
        """Whether the odds of a group fell to `error` of what they were."""
        return _odds(self.after[group]) <= error * _odds(self.before[group])

    def is_bad(self, place: int) -> float:
        """Return the probability that a release is bad."""
        return sum(self.by_claim[: place + 1])

    @property
    def bits(self) -> float:
        """What is still unknown, in bits."""
        return -sum(p * math.log2(p) for p in self.after if p > 0)


def _odds(probability: float) -> float:
    return probability / (1 - probability) if probability < 1 else math.inf


def compute_posterior(prior: Sequence[float], model: FlakeModel, tally: Tally) -> Posterior:
    """Weigh every claim by what the releases answered."""
    counts = list(zip(tally.failures, tally.passes, strict=True))
    good = [0.0, *accumulate(model.weigh(f, p, bad=False) for f, p in counts)]
    bad = [0.0, *accumulate(model.weigh(f, p, bad=True) for f, p in counts)]
    logs = [math.log(prior[h]) + good[h] + bad[-1] - bad[h] for h in range(len(prior))]
    # taken off before exp: a few hundred answers are worth -1,000 nats, and every weight would be 0
    highest = max(logs)
    weights = [math.exp(each - highest) for each in logs]
    whole = math.fsum(weights)
    after = [w / whole for w in weights]
    groups = tuple(_group_claims(len(counts), tally))
    return Posterior(
        groups=groups,
        before=tuple(sum(prior[h] for h in group) for group in groups),
        after=tuple(sum(after[h] for h in group) for group in groups),
        by_claim=tuple(after),
    )


def _group_claims(count: int, tally: Tally) -> Iterator[tuple[int, ...]]:
    """Join each claim with those before it that only a release without an answer would tell apart."""
    own: list[int] = []
    for claim in range(count + 1):
        own.append(claim)
        # a release that can still be asked keeps its claims apart, though nothing is known of it yet
        if claim == count or tally.is_told(claim):
            yield tuple(own)
            own = []
