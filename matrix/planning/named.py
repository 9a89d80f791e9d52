"""Cells that no selection asks and that a whole id names: a variant of a launch on a base outside its `by_default`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from matrix.model import Cell, Excluded
from matrix.planning.exclusions import make_cell
from matrix.planning.expand import find_cell, list_exclusions
from matrix.planning.feature_sets import list_sets
from matrix.yaml.loaded import Matrix


def list_named(matrix: Matrix, names: Iterable[str]) -> Iterator[tuple[Cell, Excluded | None]]:
    """Yield each such cell with its first reason, None where it is runnable; other names yield nothing."""
    for name in dict.fromkeys(names):
        cell = find_cell(matrix, name)
        if cell is not None and not is_selected(matrix, cell):
            yield cell, next(iter(list_exclusions(matrix, cell)), None)


def list_runnable_named(matrix: Matrix, names: Iterable[str]) -> list[Cell]:
    """List those of them that can run."""
    return [cell for cell, why in list_named(matrix, names) if why is None]


def is_selected(matrix: Matrix, cell: Cell) -> bool:
    """Return whether the cell is one of those that selections choose from, runnable or not."""
    base = make_cell(cell.rig, cell.engine, cell.release, cell.checkpoint, frozenset())
    return not cell.features or cell.features in list_sets(matrix, base)
