"""matrix/owed.json is what pytest collects of the suites today, cell by cell and depth by depth."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.planning.beside import owe_together
from matrix.planning.owed import CELL, COMMAND, DEPTHS, FILE, Depth, read_owed
from suites.asking import depth as suites_depth
from tests.suites import owing
from tests.suites.owing import collect, one_of_each_kind


def test_the_committed_table_is_what_the_suites_ask() -> None:
    assert FILE.read_text(encoding="utf-8") == owing.as_text(owing.owed()), COMMAND


@pytest.mark.parametrize("depth", DEPTHS[:-1])
def test_a_depth_collects_exactly_what_is_owed_there(depth: Depth) -> None:
    cells = one_of_each_kind()
    owed = {nodeid for own in owe_together(read_owed(), cells, depth).values() for nodeid in own}
    assert {item["nodeid"] for item in collect(depth, cells)} == owed


def test_the_depths_are_those_of_the_suites() -> None:
    assert tuple(suites_depth.DEPTHS) == DEPTHS


def item(nodeid: str, **more: Any) -> dict[str, Any]:
    return {"nodeid": nodeid, "cell": "a.b", "marks": [], "from_depth": "quick", **more}


def test_an_item_is_written_with_the_cells_place_in_it() -> None:
    found = owing._entry(item("s.py::test_x[1k-a.b-hot]", from_depth="full", marks=[{"features": ["mtp"]}]))
    assert found == (f"s.py::test_x[1k-{CELL}-hot]", {"from_depth": "full", "features": ["mtp"]})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (item("s.py::test_x[renamed]"), "does not hold the cell"),
        (item("s.py::test_x[a.b]", marks=[{"without": ["mtp"]}]), r"for_cells\(without=...\) narrows nothing"),
    ],
)
def test_an_item_from_which_nothing_follows_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        owing._entry(wrong)


def test_an_item_that_only_some_cells_of_a_kind_have_is_refused() -> None:
    cell, *_ = cells = one_of_each_kind()
    table = {f"s.py::test_x[{CELL}]": {"from_depth": "quick"}}
    wrong = [*owing._unlike(table, [item(f"s.py::test_x[{cell.id}]", cell=cell.id)], cells)]
    assert len(wrong) == len(cells) - 1
