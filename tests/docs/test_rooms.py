"""What the README tells of the rooms: each that there is, its size, and the graph of their imports."""

from __future__ import annotations

import re

import pytest

from matrix.checkout import CHECKOUT
from tests.docs import rooms

README = (CHECKOUT / "README.md").read_text("utf-8")
ROW = re.compile(r"^\| `(?P<room>[\w/]+)/` \| [^|]{10,} \| (?P<lines>[\d,]+) \|$", re.MULTILINE)
TOLD = {row["room"]: int(row["lines"].replace(",", "")) for row in ROW.finditer(README)}
NEAR = 0.25  # rounded, and not rewritten for every commit
LEAST = 20  # a folder that holds nothing but an __init__.py is told by its rooms


def test_every_room_has_its_line() -> None:
    assert sorted(room for room, lines in rooms.count_lines().items() if lines >= LEAST) == sorted(TOLD)


@pytest.mark.parametrize("room", TOLD)
def test_the_size_of_a_room_is_about_what_is_told(room: str) -> None:
    assert rooms.count_lines()[room] == pytest.approx(TOLD[room], rel=NEAR, abs=100)


def test_the_graph_is_about_what_is_told_and_has_no_circle() -> None:
    told = re.search(r"today\s\*\*(\d+) rooms,\s(\d+) arrows,\s(\d+) floors\*\*", README)
    assert told, "README: the graph's figures"
    sheet = rooms.draw_first_sheet()
    assert sheet.find_circle() == [] and rooms.draw_modules().find_circle() == []
    assert (len(sheet.lines), sheet.floors) == (int(told[1]), int(told[3]))
    assert len(sheet.arrows) == pytest.approx(int(told[2]), abs=5)


def test_the_decision_tells_the_same_graph() -> None:
    page = (CHECKOUT / "docs" / "decisions" / "0032-rooms.md").read_text("utf-8")
    told = {name: int(now) for name, now in re.findall(r"^\| (rooms|arrows|floors) \|.* (\d+) \|$", page, re.MULTILINE)}
    sheet = rooms.draw_first_sheet()
    assert (told["rooms"], told["floors"]) == (len(sheet.lines), sheet.floors)
    assert told["arrows"] == pytest.approx(len(sheet.arrows), abs=5)
    kept = {room for room in sheet.lines if room not in {"cli", "lab", "ci"}}
    below = rooms.Sheet(
        lines={r: n for r, n in sheet.lines.items() if r in kept},
        arrows=frozenset((a, b) for a, b in sheet.arrows if {a, b} <= kept),
    )
    without = re.search(r"there are (\d+) rooms, (\d+) arrows and (\d+) floors", page)
    assert without and (len(below.lines), below.floors) == (int(without[1]), int(without[3]))
    assert len(below.arrows) == pytest.approx(int(without[2]), abs=3)


def test_a_circle_is_found_and_named() -> None:
    sheet = rooms.Sheet(lines={"a": 1, "b": 1, "c": 1}, arrows=frozenset({("a", "b"), ("b", "c"), ("c", "b")}))
    assert set(sheet.find_circle()) == {"b", "c"}


def test_a_floor_is_one_level_of_the_import_order() -> None:
    sheet = rooms.Sheet(lines={"a": 1, "b": 1, "c": 1}, arrows=frozenset({("a", "b"), ("a", "c")}))
    assert sheet.floors == 2 and sheet.find_circle() == []
