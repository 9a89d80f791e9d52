"""What a YAML file became: its plain data, the line of each value, and what is wrong with it.

A module of its own, because a file that was parsed on an earlier start is read without the YAML library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from matrix.errors import Problem

Loc = tuple[str | int, ...]


class Document:
    """One parsed file: `data`, and the 1-based line of each location in it."""

    __slots__ = ("_lines", "_place", "data", "name", "problems")

    def __init__(self, name: str, data: Any = None, place: Callable[[], dict[Loc, int]] | None = None) -> None:
        """Take data that was parsed on an earlier start, with what finds its lines."""
        self.name = name  # as shown to people, relative to the matrix folder
        self.data = data
        self.problems: list[Problem] = []
        self._lines: dict[Loc, int] = {}
        self._place = place

    @property
    def lines(self) -> dict[Loc, int]:
        """The line of each location. Most starts ask for none: those of a kept document are placed on demand."""
        if self._place is not None:
            self._lines, self._place = self._place(), None
        return self._lines

    def line(self, loc: Loc) -> int:
        """Return the line of `loc`, or of its nearest known ancestor."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)

    def problem(self, loc: Loc, message: str) -> Problem:
        return Problem(self.name, self.line(loc), ".".join(map(str, loc)), message)


def iterate_locations(data: Any, at: Loc = ()) -> Iterator[Loc]:
    """Yield the location of each value, a collection before its entries: the order in which a file holds them."""
    yield at
    if isinstance(data, dict):
        for key, value in data.items():
            yield from iterate_locations(value, (*at, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from iterate_locations(value, (*at, index))
