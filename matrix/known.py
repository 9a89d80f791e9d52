"""Known failures of a cell: deviations that are expected, with their cause. Only deviations are written down."""

from __future__ import annotations

from datetime import date

from matrix.load import Loaded, Matrix
from matrix.model import Cell, Fails, KnownFailure


def known_failures(matrix: Matrix, cell: Cell, test: str, test_id: str = "") -> list[Loaded[KnownFailure]]:
    """Entries that speak about this test of this cell. `test_id` is matched against an entry's `params`."""
    return [k for k in of_cell(matrix, cell) if k.value.fails.test == test and _speaks_of(k.value.fails, test_id)]


def of_launch(matrix: Matrix, cell: Cell) -> list[Loaded[KnownFailure]]:
    """Entries that speak about the launch of this cell."""
    return [k for k in of_cell(matrix, cell) if k.value.fails.at != "test"]


def of_cell(matrix: Matrix, cell: Cell) -> list[Loaded[KnownFailure]]:
    """All entries of a cell."""
    return [k for k in matrix.known_failures if k.condition(cell.facts)]


def _speaks_of(fails: Fails, test_id: str) -> bool:
    return not fails.params or any(p in test_id for p in fails.params)


def expired(matrix: Matrix, today: date) -> list[Loaded[KnownFailure]]:
    """Entries whose review date has passed: each is red until somebody looks again."""
    return [k for k in matrix.known_failures if k.value.review_by < today]
