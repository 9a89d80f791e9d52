"""As many items of a kind as a bank has, where a depth asks for more.

The canary's bank holds only what its reference answers right, so some kinds are few (three calls without arguments). A
bound is computed from what was asked, so fewer items state less and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from fixtures.banks.bank import Bank, Items

SINGLE: Final = ("needle", "unsure")  # in the name of what a bank is asked for one by one


class AsMany:
    """The bank, but for kinds that are too few: those are asked whole."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._bank, name)
        return partial(as_many, value) if callable(value) and not any(each in name for each in SINGLE) else value


def as_many(ask: Callable[..., Items], n: int, **options: Any) -> Items:
    """`n` items, or the most that the bank does not refuse."""
    for fewer in range(n, 0, -1):
        try:
            return ask(fewer, **options)
        except LookupError:
            continue
    return ()
