"""What a cell owes beside its base: at depth `first` a run asks one cell whole, and of its relatives what they change.

`matrix/beside.yaml` holds the rule. A cell has a base only where the base is in its company: the cells that a run
selected or a policy requires. Whoever does not know a cell's company passes none, and the cell owes everything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from matrix.checkout import CHECKOUT
from matrix.condition import compile_condition
from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.model import Cell
from matrix.planning.owed import FIRST, Depth, Owed, OwedItem, read_owed
from matrix.yaml.document import Loc
from matrix.yaml.structure import require_record
from matrix.yaml.yamltext import require_document

FILE: Final = CHECKOUT / "matrix" / "beside.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """Cells for which `when` holds have the cell of `checkpoint` without features as their base."""

    when: Mapping[str, Any]  # a condition, as recipes have it
    checkpoint: str  # the base's
    why: str  # they may stand beside it


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Tests by function name that can see a difference, and the reason why the others cannot."""

    tests: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The rule, as its file says it."""

    bases: tuple[Base, ...]
    every: Difference  # what each cell owes, however it differs
    features: Mapping[str, Difference]  # by feature; a cell with a feature that is not here has no base
    templates: Mapping[str, Difference]  # by `thinking`, where it is not the base's; without an entry, no base

    def find_base(self, cell: Cell, company: Iterable[Cell]) -> Cell | None:
        """Find the cell's base among `company`; None where the cell owes everything."""
        # Nobody has said what such a feature changes, so nothing of the base may stand for the cell.
        if not cell.features <= self.features.keys():
            return None
        places = {b.checkpoint for b in self.bases if compile_condition(b.when)(cell.facts)}
        wanted = (cell.rig.id, cell.release.id, frozenset[str]())
        found = (c for c in company if c.checkpoint.id in places and (c.rig.id, c.release.id, c.features) == wanted)
        base = next((c for c in found if c != cell), None)  # the canary of the base is one of the places itself
        alike = base is None or base.checkpoint.thinking == cell.checkpoint.thinking
        return base if alike or cell.checkpoint.thinking in self.templates else None

    def name_tests(self, cell: Cell) -> frozenset[str]:
        """Name the functions that the cell owes beside its base, if its features ask them at all."""
        differences = [self.every, *(self.features[f] for f in cell.features)]
        differences += [each for thinking, each in self.templates.items() if thinking == cell.checkpoint.thinking]
        return frozenset(test for each in differences for test in each.tests)


@cache
def read_beside(file: Path = FILE) -> Beside:
    """Read the rule, once per process.

    Raises:
        ConfigError: every problem of the file, with its line; a test must be one that `quick` asks.
    """
    beside = require_record(Beside, file)
    if problems := list(_find_unknown_tests(file, beside, read_owed())):
        raise ConfigError(problems)
    return beside


def _find_unknown_tests(file: Path, beside: Beside, owed: Owed) -> Iterator[Problem]:
    document = require_document(file, file.name)
    # A test that only a deeper run asks is not left out beside a base, so naming it would be without effect.
    known = {i.test for i in owed.items if i.from_depth == "quick"}
    places: dict[Loc, Difference] = {("every",): beside.every}
    places |= {("features", feature): each for feature, each in beside.features.items()}
    places |= {("templates", thinking): each for thinking, each in beside.templates.items()}
    for at, each in places.items():
        for i, test in enumerate(each.tests):
            if test not in known:
                yield document.problem((*at, "tests", i), f"quick asks no test {test!r}{suggest_nearest(test, known)}")


def find_bases(cells: Collection[Cell], depth: Depth, beside: Beside | None = None) -> dict[Cell, Cell]:
    """Find the base of each of `cells` that has one among them. Only `first` knows bases."""
    if depth != FIRST:
        return {}
    rule = beside or read_beside()
    return {cell: base for cell in cells if (base := rule.find_base(cell, cells))}


def list_owed(owed: Owed, cell: Cell, depth: Depth, base: Cell | None = None) -> tuple[OwedItem, ...]:
    """List what the cell owes at this depth, in the suites' order; with a base, only what it changes."""
    items = owed.asked_of(cell, depth)
    if base is None:
        return items
    return tuple(i for i in items if sees_what_changes(cell, i.test, asks_features=bool(i.asked.features)))


def sees_what_changes(cell: Cell, test: str, *, asks_features: bool) -> bool:
    """Tell whether a test sees what `cell` changes beside its base.

    A test that is asked for a feature alone (`asks_features`) always does: the base has no feature.
    """
    return asks_features or test in read_beside().name_tests(cell)


def owe_together(
    owed: Owed, cells: Collection[Cell], depth: Depth, company: Collection[Cell] | None = None
) -> dict[str, tuple[str, ...]]:
    """List the node ids that each of `cells` owes, by cell id, where all of `company` (default: they) are asked."""
    bases = find_bases(cells if company is None else company, depth)
    return {c.id: tuple(i.nodeid(c.id) for i in list_owed(owed, c, depth, bases.get(c))) for c in cells}
