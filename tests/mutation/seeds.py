"""Other questions of the same bank: seed n asks the items that lie behind the ones a suite would ask."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from fixtures.banks.bank import Bank

# Beside needles: drawn by the number of a trial, and not counted.
BY_TRIAL = ("long_turns", "long_call", "tools_on_one_shelf")
FROZEN = ("unsure", "crowd")  # their numbers were recorded
STEPS = 40  # seeds beyond it come round again, with another needle: drawing an item costs all that lie before it


class SeededBank:
    """`n` items of a kind are those from the seed-th on, needles and long talks those of trial + seed. Seed 0 is the
    bank itself."""

    def __init__(self, bank: Bank, seed: int) -> None:
        self._bank, self._seed = bank, seed

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._bank, name)
        if not callable(value) or name in FROZEN:
            return value
        by_trial = "needle" in name or name in BY_TRIAL
        return self._trials(value) if by_trial else self._later(value)

    def _trials(self, ask: Any) -> Any:
        def asked(*args: Any, trial: int = 0, **options: Any) -> Any:
            return ask(*args, trial=trial + self._seed, **options)

        return asked

    def _later(self, ask: Any) -> Any:
        def asked(n: int, **options: Any) -> Any:
            with suppress(LookupError):  # some kinds are few, and say so; others just end
                drawn, first = _drawn(ask, n + STEPS, tuple(options.items())), self._seed % STEPS
                return drawn[first : first + n] if len(drawn) >= first + n else drawn[-n:]
            return ask(n, **options)

        return asked


@cache
def _drawn(ask: Any, n: int, options: tuple[tuple[str, Any], ...]) -> Any:
    """Once for all seeds: each draws its own from the same ones."""
    return ask(n, **dict(options))
