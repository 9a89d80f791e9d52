"""Known failures of a cell: deviations that are expected, with their cause. Only deviations are written down."""

from __future__ import annotations

from datetime import date

from matrix.load import Loaded, Matrix
from matrix.model import Cell, KnownFailure


def known_failures(matrix: Matrix, cell: Cell, test: str, test_id: str = "") -> list[Loaded[KnownFailure]]:
    """Entries that speak about this test of this cell. `test_id` is matched against an entry's `params`."""
    return [
        k
        for k in matrix.known_failures
        if k.value.test == test
        and k.condition(cell.facts)
        and (not k.value.params or any(p in test_id for p in k.value.params))
    ]


def expired(matrix: Matrix, today: date) -> list[Loaded[KnownFailure]]:
    """Entries whose review date has passed: each is red until somebody looks again."""
    return [k for k in matrix.known_failures if k.value.review_by < today]
