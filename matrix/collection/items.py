"""Items of pytest, one per test and cell, that hold next to nothing until something asks for more.

A selection of a GPU has tens of thousands of items, and each xdist worker makes all of them to run a few. pytest's own
item holds 3 kB: its name, keywords, marks and parameters. `CellItem` knows its test (`Template`) and its cell
(`CellCase`), answers what every item is asked for (name, node id, marks, parameters) from these, and becomes what
pytest would have made as soon as it is asked for anything else, e.g. when it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

import pytest

from matrix.known.failures import KnownOfCell
from matrix.model import Cell
from matrix.planning.owed import CELL as PLACE
from matrix.planning.plan import Plan

PARAMETER: Final = "cell"
KNOWN = pytest.StashKey[KnownOfCell]()  # of an item: what is known of its cell, see reports.evidence.excuse


class AnyCell:
    """Stands in the parameters of a template where an item has its cell."""


ANY_CELL: Final = AnyCell()


@dataclass(kw_only=True, eq=False)
class CellCase:
    """What all items of a cell share."""

    cell: Cell
    marks: tuple[pytest.Mark, ...]
    make_plan: Callable[[Cell], Plan]
    gather_known: Callable[[Plan], KnownOfCell]
    rank: tuple[int, int] | None = field(default=None)  # of its launch, and of the cell, in the order of the run
    callspecs: dict[object, Any] = field(default_factory=dict)  # of its light items: equal for tests with equal shapes

    @cached_property
    def plan(self) -> Plan:
        return self.make_plan(self.cell)

    @cached_property
    def known(self) -> KnownOfCell:
        return self.gather_known(self.plan)

    def identify(self, test: str) -> list[tuple[str, object]]:
        """Return the properties by which reports know a test of this cell."""
        return [("cell", self.cell.id), ("fingerprint", self.plan.fingerprint), ("test", test)]


class Template:
    """A test, and one of its parameter sets where it has some: the item that pytest made, with a place for the cell."""

    def __init__(self, item: pytest.Function) -> None:
        self.item = item
        self.own_markers = tuple(item.own_markers)
        self.name = item.name.split(PLACE)
        self.nodeid = item.nodeid.split(PLACE)
        self.ihook = item.ihook
        self.function = item.obj if item.cls is None else None  # None: a method, which needs an instance of its own
        plain = item.callspec.params.keys() == {PARAMETER} and not item.callspec.marks
        # `_arg2scope` is private to pytest, which is pinned.
        scopes = {scope.value for scope in item.callspec._arg2scope.values()}
        self.of_function = scopes == {"function"}  # pytest orders tests by parameters of a wider scope
        self.shape: object = PARAMETER if plain else self  # tests that take nothing else look alike in their callspec

    @cached_property
    def inherited(self) -> tuple[tuple[Any, pytest.Mark], ...]:
        """Return the marks of its module and above, with the node that has them."""
        return tuple((node, mark) for node, mark in self.item.iter_markers_with_node() if node is not self.item)

    def make_item(self, case: CellCase) -> CellItem:
        # `from_parent` guards what a subclass's constructor takes, by four calls for each of 20,000 items.
        made: CellItem = object.__new__(CellItem)
        made.__init__(parent=self.item.parent, template=self, case=case)  # type: ignore[misc]
        return made


def is_template(item: object) -> bool:
    """Whether pytest made the item of our parameter, for no cell yet."""
    callspec = getattr(item, "callspec", None)
    return callspec is not None and callspec.params.get(PARAMETER) is ANY_CELL


class CellItem(pytest.Function):
    """One test of one cell."""

    __slots__ = ("case", "template", "whole")

    def __init__(self, *, parent: Any, template: Template, case: CellCase) -> None:
        # pytest's own constructor runs in `complete`. What it would set and is not set here is asked of __getattr__.
        self.whole = False
        self.template, self.case = template, case
        # What collection reads of every item; anything less would complete them all.
        self.parent, self.config, self.session, self.path = parent, parent.config, parent.session, parent.path

    def __getattr__(self, name: str) -> Any:
        # Dunders are looked up by copy and pickle before `whole` is there: asking for it would recurse.
        if name.startswith("__") or self.whole:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        match name:
            case "name":
                return self.case.cell.id.join(self.template.name)
            case "originalname" | "fixturenames":
                return getattr(self.template.item, name)
            case "_obj" if self.template.function is not None:
                return self.template.function
            case "callspec":
                return self._find_callspec()
        self.complete()
        return getattr(self, name)

    def complete(self) -> None:
        """Become the item that pytest would have made, with what reports read of it."""
        if self.whole:
            return
        # Read while the item is light: afterwards these names are pytest's own and not set yet.
        name, callspec, like = self.name, self._make_callspec(), self.template.item
        self.whole = True
        super().__init__(
            name=name,
            parent=self.parent,
            callspec=callspec,
            keywords={callspec.id: True},
            fixtureinfo=like._fixtureinfo,
            originalname=like.originalname,
        )
        self.user_properties += self.case.identify(self.originalname)
        self.stash[KNOWN] = self.case.known

    def _find_callspec(self) -> Any:
        """Return parameters to read: they are shared, so they cannot be written to."""
        known, shape = self.case.callspecs, self.template.shape
        if shape not in known:
            made = self._make_callspec()
            # Read only: a test that wrote to one would change the parameters of every other.
            known[shape] = replace(made, params=MappingProxyType(made.params), marks=tuple(made.marks))
        return known[shape]

    def _make_callspec(self) -> Any:
        """Return the template's parameters with the cell in its place."""
        like, cell = self.template.item.callspec, self.case.cell
        return replace(
            like,
            # By identity: a parameter of a test may be equal to anything.
            params={k: cell if v is ANY_CELL else v for k, v in like.params.items()},
            _idlist=[cell.id if word == PLACE else word for word in like._idlist],
            marks=[*like.marks, *self.case.marks],
        )

    @property
    def nodeid(self) -> str:
        return self.case.cell.id.join(self.template.nodeid)

    @property
    def ihook(self) -> Any:
        return self.template.ihook

    def iter_markers_with_node(self, name: str | None = None) -> Iterator[tuple[Any, pytest.Mark]]:
        if self.whole:
            yield from super().iter_markers_with_node(name)
            return
        # Nearest first, as pytest does: `get_closest_marker` takes the first.
        for marks in (self.template.own_markers, self.case.marks):
            for mark in marks:
                if name is None or mark.name == name:
                    yield self, mark
        for node, mark in self.template.inherited:
            if name is None or mark.name == name:
                yield node, mark

    @property
    def identity(self) -> dict[str, str]:
        """Return cell, fingerprint and test, as in its properties."""
        return {key: str(value) for key, value in self.case.identify(self.originalname)}

    def __repr__(self) -> str:
        return f"<{pytest.Function.__name__} {self.name}>"  # as `--collect-only` prints a test
