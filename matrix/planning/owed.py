"""What a cell owes: every test that the suites ask of it at a depth, by name. Generated data, and what follows from it.

`owed.json` is written by `python -m tests.suites.owing`, which collects the suites as pytest does, without a selection;
a test keeps it fresh. What a run was narrowed to (`-k`, `-m`, `--deselect`, `--lf`, `-x`, a node id) changes nothing
here, nor does what evidence says of itself: a cell and a depth are all that counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from matrix.checkout import CHECKOUT
from matrix.model import Cell
from matrix.planning.claimed import holds_claims

FILE: Final = CHECKOUT / "matrix" / "owed.json"
COMMAND: Final = "python -m tests.suites.owing"
CELL: Final = "{cell}"  # in an item's id, where the cell's own stands
Depth = Literal["first", "quick", "full", "release"]
FIRST: Final = "first"  # what quick asks of a cell alone; beside its base, less: matrix/planning/beside.py
DEPTHS: Final[tuple[Depth, ...]] = (FIRST, "quick", "full", "release")  # each asks what those before it ask, and more
SHALLOWEST: Final = "quick"  # of a test: what is asked at all is asked of a cell alone
ASKED_KEYS: Final = frozenset({"features", "canary", "claims"})  # of `for_cells`


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFilter:
    """Of which cells a test is asked: those with all the features and claims, and canaries only where it says so."""

    features: frozenset[str] = frozenset()
    canary: bool = False
    claims: frozenset[str] = frozenset()  # names of matrix/planning/claimed.py

    def takes_cell(self, cell: Cell) -> bool:
        if not self.features <= cell.features or (self.canary and not cell.checkpoint.canary):
            return False
        return holds_claims(cell, self.claims)


def asked_by_marks(marks: Iterable[Mapping[str, Any]]) -> CellFilter:
    """Merge the keywords of a test's `for_cells` marks."""
    said = list(marks)
    features = frozenset(f for m in said for f in m.get("features", ()))
    claims = frozenset(c for m in said for c in m.get("claims", ()))
    return CellFilter(features=features, canary=any(m.get("canary") for m in said), claims=claims)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedItem:
    """One item of the suites: a test function, and one of its parameter sets where it has some."""

    pattern: str  # node id with CELL in it, e.g. suites/test_boot.py::test_answers_first_token[{cell}]
    from_depth: Depth = SHALLOWEST
    asked: CellFilter = CellFilter()

    @property
    def suite(self) -> str:
        """`suites/test_needle.py::test_x[{cell}]` -> `needle`."""
        return self.pattern.partition("::")[0].rpartition("/")[2].removesuffix(".py").removeprefix("test_")

    @property
    def test(self) -> str:
        """The function's name."""
        return self.pattern.partition("[")[0].rpartition("::")[2]

    def nodeid(self, cell_id: str) -> str:
        return self.pattern.replace(CELL, cell_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """Every item of the suites."""

    items: tuple[OwedItem, ...]

    @property
    def suites(self) -> frozenset[str]:
        return frozenset(i.suite for i in self.items)

    @property
    def tests(self) -> frozenset[str]:
        return frozenset(i.test for i in self.items)

    def asked_of(self, cell: Cell, depth: Depth) -> tuple[OwedItem, ...]:
        """Every item that is asked of the cell alone at this depth, in the suites' order."""
        deepest = max(DEPTHS.index(depth), DEPTHS.index(SHALLOWEST))
        return tuple(i for i in self.items if DEPTHS.index(i.from_depth) <= deepest and i.asked.takes_cell(cell))

    def nodeids(self, cell: Cell, depth: Depth) -> tuple[str, ...]:
        """List the node ids that the cell owes alone at this depth."""
        return tuple(i.nodeid(cell.id) for i in self.asked_of(cell, depth))


def parse_owed(raw: Mapping[str, Mapping[str, Any]]) -> Owed:
    """Parse the table from its JSON data: pattern -> from_depth, features, canary, claims."""
    return Owed(
        items=tuple(
            OwedItem(pattern=pattern, from_depth=said["from_depth"], asked=asked_by_marks([said]))
            for pattern, said in raw.items()
        )
    )


@cache
def read_owed(file: Path = FILE) -> Owed:
    """Read the generated table, once per process."""
    return parse_owed(json.loads(file.read_text(encoding="utf-8")))


def is_as_deep(found: str, wanted: Depth) -> bool:
    """Whether a run at depth `found` asks all that `wanted` asks; a word that is no depth reaches nothing."""
    return found in DEPTHS and DEPTHS.index(found) >= DEPTHS.index(wanted)
