"""Cells that are not run, each with its first reason, made only when somebody looks at them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import combinations

from matrix.hardware import Rig
from matrix.model import Cell, Checkpoint, Engine, Excluded, Release

Names = tuple[str, ...]  # of features, sorted
Sets = tuple[frozenset[str], ...]  # of features that are asked together


class Exclusions(Mapping[Cell, Excluded]):
    """Excluded cells with their first reason, in a stable order; made when they are asked for.

    Most combinations are impossible whatever is asked of them. Such a base has one entry here, for all its sets of
    features, so that a matrix of ten times the size costs neither the time nor the memory of its impossible cells.
    """

    def __init__(self) -> None:
        self._bases: dict[Cell, tuple[Excluded, Sets]] = {}  # base cell -> why none of its variants can run
        self._cells: dict[Cell, Excluded] = {}
        self._order: list[Cell] = []  # of both kinds

    def add_base(self, base: Cell, why: Excluded, sets: Sets) -> None:
        """Exclude a base cell, and each of the `sets` of features with it."""
        self._bases[base] = (why, sets)
        self._order.append(base)

    def add_cell(self, cell: Cell, why: Excluded) -> None:
        self._cells[cell] = why
        self._order.append(cell)

    def __len__(self) -> int:
        return len(self._cells) + sum(1 + len(sets) for _, sets in self._bases.values())

    def __iter__(self) -> Iterator[Cell]:
        for cell in self._order:
            yield cell
            if cell in self._bases:
                yield from vary_features(cell, self._bases[cell][1])

    def __getitem__(self, cell: Cell) -> Excluded:
        if cell in self._cells:
            return self._cells[cell]
        why, sets = self._bases[replace(cell, features=frozenset())]
        if cell.features and cell.features not in sets:
            raise KeyError(cell)  # no set that is asked of the base: not excluded, it does not exist
        return why

    def iterate_groups(self) -> Iterator[tuple[Cell, Excluded, int]]:
        """Yield, in order, the first cell of those that one entry excludes, why, and how many; make no other."""
        for cell in self._order:
            why, sets = self._bases[cell] if cell in self._bases else (self._cells[cell], ())
            yield cell, why, 1 + len(sets)

    def iterate_cells_of(self, rule: str) -> Iterator[Cell]:
        """Yield, in order, the cells that a rule excludes first; make no other."""
        for cell, why, count in self.iterate_groups():
            if why.rule == rule:
                yield cell
                if count > 1:
                    yield from vary_features(cell, self._bases[cell][1])

    def grouped(self) -> Iterator[tuple[Excluded, int]]:
        """Yield each exclusion with the number of cells that it holds for, without making them."""
        yield from ((why, 1 + len(sets)) for why, sets in self._bases.values())
        yield from ((why, 1) for why in self._cells.values())


def count_by_rule(excluded: Mapping[Cell, Excluded]) -> Counter[str]:
    """Count excluded cells by the rule that says so first."""
    if not isinstance(excluded, Exclusions):
        return Counter(why.rule for why in excluded.values())
    found: Counter[str] = Counter()
    for why, count in excluded.grouped():
        found[why.rule] += count
    return found


def vary_features(base: Cell, sets: Sets) -> Iterator[Cell]:
    """Yield the base cell with each of the sets."""
    return (make_cell(base.rig, base.engine, base.release, base.checkpoint, s) for s in sets)


def make_cell(rig: Rig, engine: Engine, release: Release, checkpoint: Checkpoint, features: frozenset[str]) -> Cell:
    return Cell(rig=rig, engine=engine, release=release, checkpoint=checkpoint, features=features)


@cache
def list_subsets(names: tuple[str, ...]) -> tuple[frozenset[str], ...]:
    """Every set of one feature or more."""
    return tuple(frozenset(c) for n in range(1, len(names) + 1) for c in combinations(names, n))
