"""Lists the cells for which conditions hold, and plans no others: a report of one cell judged 146,000 combinations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from matrix.condition import KEYS, Condition
from matrix.hardware import Rig
from matrix.model import Cell
from matrix.planning.expand import FEATURE_KEYS, Narrowing

OF_RIG: Final = frozenset({"rig", "gpu", "sm", "gpus", "interconnect"})
OF_BASE: Final = frozenset(KEYS) - FEATURE_KEYS - {"form"}  # of a cell without its features


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionNarrowing:
    """What conditions, of which any may hold, leave out before it is planned."""

    conditions: tuple[Condition, ...]

    def keeps_rig(self, rig: Rig) -> bool:
        return any(c.holds_so_far(rig.facts, OF_RIG) for c in self.conditions)

    def keeps_base(self, base: Cell) -> bool:
        return any(c.holds_so_far(base.facts, OF_BASE) for c in self.conditions)

    def keeps_cell(self, cell: Cell) -> bool:
        return any(c(cell.facts) for c in self.conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class RigNarrowing:
    """All cells of some rigs."""

    rigs: frozenset[str]

    def keeps_rig(self, rig: Rig) -> bool:
        return rig.id in self.rigs

    def keeps_base(self, base: Cell) -> bool:
        return base.rig.id in self.rigs

    def keeps_cell(self, cell: Cell) -> bool:
        return cell.rig.id in self.rigs


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    """What each of several ways to narrow keeps."""

    parts: Sequence[Narrowing]

    def keeps_rig(self, rig: Rig) -> bool:
        return all(p.keeps_rig(rig) for p in self.parts)

    def keeps_base(self, base: Cell) -> bool:
        return all(p.keeps_base(base) for p in self.parts)

    def keeps_cell(self, cell: Cell) -> bool:
        return all(p.keeps_cell(cell) for p in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """What one of several ways to narrow keeps."""

    parts: Sequence[Narrowing]

    def keeps_rig(self, rig: Rig) -> bool:
        return any(p.keeps_rig(rig) for p in self.parts)

    def keeps_base(self, base: Cell) -> bool:
        return any(p.keeps_base(base) for p in self.parts)

    def keeps_cell(self, cell: Cell) -> bool:
        return any(p.keeps_cell(cell) for p in self.parts)
