"""For which cells a test's items are made: `for_cells`, `-m`, `-k` and the depth decide it before an item exists.

pytest would come to the same, item by item, from 350,000 of them. What a cell owes (`matrix.planning.owed`) does not
depend on any of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from matrix.collection.items import CellCase, Template
from matrix.errors import ConfigError
from matrix.model import Cell
from matrix.planning import select
from matrix.planning.narrowing import ExpressionNarrowing, compile_narrowing
from matrix.planning.owed import asked_by_marks
from matrix.yaml.load import load_matrix

Evaluate = Callable[[Callable[..., bool]], bool]
ASKED = pytest.StashKey[
    Callable[[Iterable[pytest.Mark]], bool]
]()  # whether this run asks a test with these marks at all; the suites' plugin says it
UNNAMED = frozenset({"pytestmark", "cache_parameters"})  # attributes of a function that are no keywords to pytest


@dataclass(slots=True)
class NotMade:
    """Items that this run does not make. Those of cells that `-m` excludes are not counted: most are never planned."""

    deeper: int = 0
    by_keyword: int = 0

    def explain(self, depth: str) -> list[str]:
        """Explain it in a line; none where every item was made."""
        said = [f"{self.deeper:,} that are not asked at --depth {depth}"] if self.deeper else []
        said += [f"{self.by_keyword:,} that -k leaves out"] if self.by_keyword else []
        return [f"not made, so not among the deselected: {' and '.join(said)}"] if said else []


NOT_MADE = pytest.StashKey[NotMade]()


@dataclass(kw_only=True)
class Wanted:
    """The options of one run, compiled."""

    by_mark: Evaluate | None
    by_keyword: Evaluate | None
    expression: str = ""  # what `by_mark` was compiled from
    kept: dict[tuple[object, ...], list[Cell]] = field(default_factory=dict)  # by marks: tests of one suite share them
    matching: dict[tuple[int, frozenset[str]], list[Cell]] = field(default_factory=dict)  # of all cells

    def list_cells(self, cells: Sequence[Cell], marks: Sequence[pytest.Mark]) -> list[Cell]:
        """List those of the cells that `-m`, `for_cells` and `cell` leave to a test with these marks."""
        names, asked = (
            frozenset(m.name for m in marks),
            asked_by_marks(m.kwargs for m in marks if m.name == "for_cells"),
        )
        facts = [m.kwargs for m in marks if m.name == "cell"]  # a user's own; the suites have none (tests.suites.owing)
        # `id`: the two lists live as long as the run, so that no other list has their number.
        key = (id(cells), names, asked, str(facts))
        if key not in self.kept:
            matching = self._match_marks(cells, names)
            wanted = (c for c in matching if asked.takes_cell(c))
            self.kept[key] = [c for c in wanted if all(select.matches_facts(c, f) for f in facts)]
        return self.kept[key]

    def _match_marks(self, cells: Sequence[Cell], names: frozenset[str]) -> Sequence[Cell]:
        """List the cells that `-m` leaves to a test, once for all tests that look alike to the expression."""
        if self.by_mark is None:
            return cells
        key = id(cells), frozenset(n for n in names if n in self.expression)  # it cannot ask for any other
        if key not in self.matching:
            by_mark, (_, asked) = self.by_mark, key
            self.matching[key] = [c for c in cells if by_mark(select.make_matcher(c, asked))]
        return self.matching[key]

    def list_keyword_cases(self, template: Template, cases: Sequence[CellCase]) -> list[CellCase]:
        """List the cases whose items `-k` leaves to a test."""
        if self.by_keyword is None:
            return list(cases)
        # pytest compares keywords in lower case, and as parts of names.
        shared = [name.lower() for name in list_keywords(template)]
        return [case for case in cases if self.by_keyword(_match_keywords(template, case, shared))]


def _match_keywords(template: Template, case: CellCase, shared: Sequence[str]) -> Callable[..., bool]:
    own = (case.cell.id.join(template.name).lower(), *(mark.name.lower() for mark in case.marks))

    def match(word: str, /, **arguments: object) -> bool:
        if arguments:
            raise pytest.UsageError("Keyword expressions do not support call parameters.")
        word = word.lower()
        return any(word in name for name in own) or any(word in name for name in shared)

    return match


def list_keywords(template: Template) -> Iterator[str]:
    """Yield what `-k` may match in every item of a test, as pytest gathers it: names above it, marks, attributes."""
    item = template.item
    for node in item.listchain()[:-1]:
        # pytest leaves out the session and its root folder, whose name is where the checkout lies.
        top = isinstance(node, pytest.Directory) and isinstance(node.parent, pytest.Session)
        if not isinstance(node, pytest.Session) and not top:
            yield node.name
    yield from item.listextrakeywords()
    attributes: Mapping[str, object] = item.function.__dict__
    yield from (name for name in attributes if not name.startswith("_") and name not in UNNAMED)
    yield from (mark.name for mark in item.iter_markers())


_WANTED = pytest.StashKey[Wanted]()
_NARROWING = pytest.StashKey[ExpressionNarrowing]()


def read_wanted(config: pytest.Config) -> Wanted:
    """Compile `-m` and `-k`, once.

    Raises:
        pytest.UsageError: `-m` does not parse.
    """
    if _WANTED not in config.stash:
        option = config.option
        by_mark = _compile_marks(option.markexpr) if option.markexpr else None
        by_keyword = _compile_keywords(option.keyword)
        config.stash[_WANTED] = Wanted(by_mark=by_mark, by_keyword=by_keyword, expression=option.markexpr)
    return config.stash[_WANTED]


def _compile_marks(text: str) -> Evaluate:
    try:
        return select.compile_expression(text)
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from None


def _compile_keywords(text: str) -> Evaluate | None:
    """Compile `-k`; None where it says nothing, or nothing that parses: then pytest refuses it in its own words."""
    try:
        return select.compile_expression(text.lstrip()) if text.strip() else None
    except ConfigError:
        return None


def may_match(config: pytest.Config, cell: Cell) -> bool:
    """Whether `-m` can select some test of the cell."""
    if not config.option.markexpr:
        return True
    if _NARROWING not in config.stash:
        config.stash[_NARROWING] = compile_narrowing(load_matrix(), config.option.markexpr)
    return config.stash[_NARROWING].keeps_cell(cell)


def is_asked(config: pytest.Config, marks: Iterable[pytest.Mark]) -> bool:
    """Whether this run asks tests with these marks at all: its depth, `--boots` and `--soak` decide."""
    return config.stash[ASKED](marks) if ASKED in config.stash else True


def names_tests(config: pytest.Config) -> bool:
    """Whether the command line names single tests: their items are made, so that pytest finds what was named."""
    return any("::" in argument for argument in config.args)
