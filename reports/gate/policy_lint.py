"""Finds what is wrong with a policy beyond its structure: numbers, names, and requirements that no test can meet.
Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final

from matrix.errors import Problem, suggest_nearest
from matrix.model import Cell
from matrix.planning.beside import list_owed
from matrix.planning.owed import DEPTHS, Depth, Owed, OwedItem
from matrix.yaml.document import Document, Loc
from matrix.yaml.known_shape import LONGEST

LARGEST: Final = 1_000_000_000  # of any number in a policy: 114,000 years in hours
CONDITIONS: Final = frozenset({"when"})  # their numbers are facts of cells: `sm: 0` is a CPU
Names = Mapping[str, Sequence[str]]  # `suites` and `tests` of a clause


def find_wrong_numbers(doc: Document, data: Any = None, at: Loc = ()) -> Iterator[Problem]:
    """Yield every number that is none, or that excuses everything or nothing: .nan, .inf, 0, -1."""
    found = doc.data if not at else data
    if isinstance(found, Mapping):
        for key, value in found.items():
            if key not in CONDITIONS:
                yield from find_wrong_numbers(doc, value, (*at, str(key)))
    elif isinstance(found, list):
        for i, value in enumerate(found):
            yield from find_wrong_numbers(doc, value, (*at, i))
    # True is an int in Python: `red: true` is no number of 1.
    elif isinstance(found, int | float) and not isinstance(found, bool) and not 0 < found <= LARGEST:
        yield doc.problem(at, f"expected a positive, finite number (at most {LARGEST:,}), got {_show_number(found)}")


def find_ageless(doc: Document, max_age_h: float) -> Iterator[Problem]:
    """Find an age that no run reaches before everything that excuses it has ended."""
    # What is no number for any clause is told already.
    if LARGEST >= max_age_h > (most := LONGEST.total_seconds() / 3600):
        yield doc.problem(("max_age_h",), f"{max_age_h:g} h is no age: a run counts for {most:g} h at most")


def find_endless(doc: Document, today: date, data: Any = None, at: Loc = ()) -> Iterator[Problem]:
    """Every `until` that is so far away that nobody looks again."""
    found = doc.data if not at else data
    inner = found.items() if isinstance(found, Mapping) else enumerate(found) if isinstance(found, list) else ()
    for key, value in inner:
        # A datetime is a date in Python, and the structure refuses it with a better message.
        if key == "until" and isinstance(value, date) and not isinstance(value, datetime) and value > today + LONGEST:
            yield doc.problem((*at, key), f"{value} is no end: an allowance lasts {LONGEST.days} days at most")
        yield from find_endless(doc, today, value, (*at, key if isinstance(key, int) else str(key)))


def find_unknown_names(doc: Document, clauses: Iterable[tuple[Loc, Names]], owed: Owed) -> Iterator[Problem]:
    """Every suite and test that does not exist, with the nearest one that does."""
    for at, named in clauses:
        for kind, known in (("suites", owed.suites), ("tests", owed.tests)):
            for j, name in enumerate(named.get(kind, ())):
                if name not in known:
                    yield doc.problem((*at, kind, j), f"no {kind[:-1]} is {name!r}{suggest_nearest(name, known)}")


def find_unaskable(
    wanted: Names, cells: Sequence[Cell], owed: Owed, depth: Depth, bases: Mapping[Cell, Cell] = MappingProxyType({})
) -> Iterator[tuple[Loc, str]]:
    """Where a requirement wants of some of its cells what no run at this depth asks of them, beside their bases."""
    for kind, of in (("suites", _suite_of), ("tests", _test_of)):
        for j, name in enumerate(wanted[kind]):
            own = Owed(items=tuple(i for i in owed.items if of(i) == name))
            if without := [c for c in cells if not list_owed(own, c, depth, bases.get(c))]:
                yield (kind, j), _explain_unaskable(name, without, own, depth)


def _explain_unaskable(name: str, without: Sequence[Cell], own: Owed, depth: Depth) -> str:
    more = f" and {len(without) - 1} more of these cells" if len(without) > 1 else ""
    deeper = (d for d in DEPTHS[DEPTHS.index(depth) + 1 :] if all(own.asked_of(c, d) for c in without))
    if from_depth := next(deeper, None):
        return f"{name} is not asked of {without[0].id}{more} at depth {depth}; say `depth: {from_depth}`"
    return f"{name} is never asked of {without[0].id}{more}, so no run could be green"


def _suite_of(item: OwedItem) -> str:
    return item.suite


def _test_of(item: OwedItem) -> str:
    return item.test


def _show_number(number: float) -> str:
    text = repr(number) if isinstance(number, float) or abs(number) < 10**20 else "a very large one"
    return text if text not in ("nan", "inf", "-inf") else f".{text}".replace(".-", "-.")
