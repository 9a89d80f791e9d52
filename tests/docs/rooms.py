"""The import graph of the rooms: `python -m tests.docs.rooms` prints what the README tells of it.

A room is a folder of the product. On the first sheet `fixtures/`, the largest, shows its own rooms (a module that lies
flat in it would be one as well), and every other top folder is one. An arrow is "imports", early or late; a floor is
one level of the import order. A `__main__` is an entrance and no part of its room: `glm-matrix` passes verbs that
are not its own on to the one command, which is above everything.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from matrix.checkout import CHECKOUT
from tests.mirror import ROOMS, imported_by, name_module

OPEN = "fixtures"  # whose rooms stand on the first sheet


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The graph of some rooms. `lines` counts every line of a room's Python files."""

    lines: dict[str, int]
    arrows: frozenset[tuple[str, str]]

    @property
    def floors(self) -> int:
        """Levels of the import order.

        Raises:
            CycleError: two rooms import each other.
        """
        sorter = TopologicalSorter({room: {b for a, b in self.arrows if a == room} for room in self.lines})
        sorter.prepare()
        count = 0
        while sorter.is_active():
            ready = sorter.get_ready()
            sorter.done(*ready)
            count += 1
        return count

    def find_circle(self) -> list[str]:
        """Return the rooms of one circle; empty if there is none."""
        try:
            assert self.floors
        except CycleError as error:
            return list(error.args[1])
        return []


def list_files() -> dict[str, Path]:
    """Map module name -> file, of the whole product; a package has the name of its folder."""
    files = (path for room in ROOMS for path in (CHECKOUT / room).rglob("*.py"))
    return {name_module(path).removesuffix(".__init__"): path for path in files}


def draw_modules() -> Sheet:
    """Every module is a room."""
    return _draw(list_files(), {name: name for name in list_files()})


def draw_first_sheet() -> Sheet:
    """Draw what a newcomer sees first. The open folder's own `__init__`, which holds nothing, is no room."""
    files = {name: path for name, path in list_files().items() if name != OPEN}
    return _draw(files, {name: _first_room(name) for name in files})


def count_lines() -> dict[str, int]:
    """Lines by room, two folders deep: `matrix/judging` with its `proof/`, `matrix` for its flat modules."""
    lines = Counter[str]()
    for path in list_files().values():
        lines["/".join(path.relative_to(CHECKOUT).parts[:-1][:2])] += len(path.read_text("utf-8").splitlines())
    return dict(lines)


def _first_room(module: str) -> str:
    top, *below = module.split(".")
    return f"{OPEN}/{below[0]}" if top == OPEN and below else top


def _draw(files: dict[str, Path], room_of: dict[str, str]) -> Sheet:
    lines = dict.fromkeys(room_of.values(), 0)
    arrows = set[tuple[str, str]]()
    for module, path in files.items():
        if path.name == "__main__.py":
            continue
        lines[room_of[module]] += len(path.read_text("utf-8").splitlines())
        arrows |= {(room_of[module], room_of[other]) for other in _known(imported_by(path), files)}
    return Sheet(lines=lines, arrows=frozenset((a, b) for a, b in arrows if a != b))


def _known(names: Iterable[str], files: dict[str, Path]) -> set[str]:
    """Return the modules among the names. `from a import b` names a and a.b: where a.b is a module, a is not meant."""
    found = {name for name in names if name in files}
    return {name for name in found if not any(other.rpartition(".")[0] == name for other in found)}


def main() -> None:
    for title, sheet in (("first sheet", draw_first_sheet()), ("modules", draw_modules())):
        floors = f"circle {circle}" if (circle := sheet.find_circle()) else f"{sheet.floors} floors"
        sys.stdout.write(f"{title}: {len(sheet.lines)} rooms, {len(sheet.arrows)} arrows, {floors}\n")
    for room, count in sorted(count_lines().items()):
        sys.stdout.write(f"  {room:32} {count:6}\n")


if __name__ == "__main__":
    main()
