"""Few cells that show every pair: each value of an axis beside each value of every other one, as far as cells have it.

Most faults that need a combination need a pair (a feature on a release, a format on a GPU). Pairs that no cell of the
selection has are no gap: the rules excluded them with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import TypeVar

from matrix.model import Cell

Pair = tuple[str, str]
T = TypeVar("T")


def list_pairs(cell: Cell) -> frozenset[Pair]:
    """List the pairs of a cell's axis values; a feature is an axis with two values, on and off."""
    values = [f"rig={cell.rig.id}", f"release={cell.release.id}", f"checkpoint={cell.checkpoint.id}"]
    # a baseline is a value of its own: without it, no pair would ask that a checkpoint works without features
    features = [f"feature={f}" for f in sorted(cell.features)] or ["feature=none"]
    return frozenset(combinations([*values, *features], 2))


def order_by_coverage(items: Sequence[T], pairs_of: Callable[[T], Iterable[Pair]]) -> tuple[list[T], int]:
    """Return all items, each next one adding the most pairs that nothing before it has; and how many of them cover all.

    Equal ones keep their order, so that the answer is the same each time.
    """
    left = {i: set(pairs_of(item)) for i, item in enumerate(items)}
    chosen: list[int] = []
    # greedy, since the least cover is NP-hard; what is left at the end shows nothing new and follows in its old order
    while left and (best := max(left, key=lambda i: len(left[i]))) is not None and left[best]:
        new = left.pop(best)
        chosen.append(best)
        for own in left.values():
            own.difference_update(new)
    return [items[i] for i in [*chosen, *left]], len(chosen)


def cover_pairs(cells: Sequence[Cell]) -> list[Cell]:
    """Return few of the cells that have every pair which any of them has."""
    ordered, count = order_by_coverage(cells, list_pairs)
    return ordered[:count]
