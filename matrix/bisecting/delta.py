"""The smallest set of units that still fails (ddmin), where each trial is decided by repeated boots.

A set counts as failing where it fails on the bad release and passes on the good one (`control`): a test may fail
without a setting on every release, because it looks for what the setting does, and that is no regression.

Each question "does this set fail there?" is a sequential test of the two stated rates. The n-th question may err with
probability 6 (1 - confidence) / (pi n)^2, so that all questions together err with at most 1 - confidence, however many
there are. A set that gives no answer, or fails otherwise, counts as one that does not fail: it is never reduced to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from matrix.bisecting.flake_model import FlakeModel
from matrix.bisecting.posterior import NO_ANSWERS, Answer

U = TypeVar("U")


class BootsSpent(Exception):
    """The boots are used up before a question was decided."""


@dataclass(frozen=True, slots=True)
class Smallest(Generic[U]):
    """The smallest failing set that was found. `minimal`: without any one of its units it does not fail."""

    units: tuple[U, ...]
    minimal: bool
    boots: int
    fails: bool  # whether the whole set fails at all
    baseline_fails: bool = False  # the launch fails without any of the units


@dataclass(slots=True)
class Trials(Generic[U]):
    """Asks whether a set of units fails, each set once."""

    ask: Callable[[Sequence[U]], Answer]
    control: Callable[[Sequence[U]], Answer] | None
    model: FlakeModel
    confidence: float
    boots: int  # that may be used
    used: int = 0
    questions: int = 0
    known: dict[tuple[U, ...], bool] = field(default_factory=dict)

    def fails(self, units: Sequence[U]) -> bool:
        """Decide whether the launch fails with these units, and passes with them on the good release.

        Raises:
            BootsSpent: before it is decided.
        """
        key = tuple(units)
        if key not in self.known:
            failing = self._decide(key, self.ask)
            # the control is asked only where it can matter: a set that does not fail costs no more boots
            self.known[key] = failing and (self.control is None or not self._decide(key, self.control))
        return self.known[key]

    def _decide(self, units: tuple[U, ...], ask: Callable[[Sequence[U]], Answer]) -> bool:
        self.questions += 1
        # the shares 6 / (pi n)^2 add up to one: however many questions come, the whole error stays as stated
        enough = -math.log(6 * (1 - self.confidence) / (math.pi * self.questions) ** 2)
        evidence, silent = 0.0, 0
        failed, passed = self.model.likelihood_ratios
        while abs(evidence) < enough and silent < NO_ANSWERS:
            if self.used >= self.boots:
                raise BootsSpent
            self.used += 1
            answer = ask(units)
            silent = silent + 1 if answer == "none" else 0
            evidence += {"bad": failed, "good": passed, "none": 0.0}[answer]
        return evidence >= enough


def find_smallest(
    units: Sequence[U],
    ask: Callable[[Sequence[U]], Answer],
    *,
    model: FlakeModel,
    confidence: float = 0.95,
    boots: int,
    control: Callable[[Sequence[U]], Answer] | None = None,
    whole_fails: bool = False,
) -> Smallest[U]:
    """Find a 1-minimal failing subset of `units`, in their order.

    `ask` boots the launch with some of them once on the bad release, `control` on the good one; `whole_fails`: that all
    of them fail is known already.
    """
    trials = Trials(ask, control, model, confidence, boots)
    left = tuple(units)
    if whole_fails:
        trials.known[left] = True
    try:
        # the bare launch first: where it fails by itself no set of settings is the cause, and ddmin would find any
        if trials.fails(()):
            return Smallest((), minimal=True, boots=trials.used, fails=True, baseline_fails=True)
        if not left or not trials.fails(left):
            return Smallest(left, minimal=False, boots=trials.used, fails=False)
        parts = 2
        while len(left) > 1:
            smaller = _find_smaller(left, parts, trials)
            if smaller is not None:
                # ddmin's own rule: from a part one starts anew with halves, from a complement one keeps the grain
                parts = 2 if len(smaller) <= len(left) // parts + 1 else max(parts - 1, 2)
                left = smaller
            elif parts >= len(left):
                break
            else:
                parts = min(2 * parts, len(left))
    except BootsSpent:
        # what was reached is still a failing set, only not known to be the smallest
        return Smallest(left, minimal=False, boots=trials.used, fails=trials.known.get(tuple(units), False))
    return Smallest(left, minimal=True, boots=trials.used, fails=True)


def _find_smaller(left: tuple[U, ...], parts: int, trials: Trials[U]) -> tuple[U, ...] | None:
    """Find one of the parts, or all but one of them, that fails by itself."""
    size = -(-len(left) // parts)
    chunks = [left[at : at + size] for at in range(0, len(left), size)]
    # of two parts each is the complement of the other
    others = [tuple(u for u in left if u not in chunk) for chunk in chunks] if len(chunks) > 2 else []
    return next((tried for tried in (*chunks, *others) if len(tried) < len(left) and trials.fails(tried)), None)
