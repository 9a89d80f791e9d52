"""What a cell owes follows from its features, whether it is a canary, and the depth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.model import Cell
from matrix.planning.expand import expand_matrix
from matrix.planning.owed import CELL, DEPTHS, Owed, OwedItem, asked_by_marks, is_as_deep, parse_owed, read_owed
from matrix.yaml.load import load_matrix

PATTERN = f"suites/test_long.py::test_x[1024-{CELL}-hot]"
KINDS = {(c.features, c.checkpoint.canary): c for c in expand_matrix(load_matrix()).runnable}
cells = st.sampled_from(list(KINDS.values()))


def test_an_item_is_named_for_its_cell() -> None:
    item = OwedItem(pattern=PATTERN)
    assert (item.suite, item.test) == ("long", "test_x")
    assert item.nodeid("a.b") == "suites/test_long.py::test_x[1024-a.b-hot]"


@pytest.mark.parametrize(
    ("marks", "features", "canary"),
    [
        ([], set(), False),
        ([{"features": ["mtp"]}], {"mtp"}, False),
        ([{"features": ["mtp"]}, {"features": ["indexcache"], "canary": True}], {"mtp", "indexcache"}, True),
    ],
)
def test_marks_add_up(marks: list[dict[str, object]], features: set[str], canary: bool) -> None:
    found = asked_by_marks(marks)
    assert (set(found.features), found.canary) == (features, canary)


@given(cells)
def test_deeper_owes_all_that_is_owed_before_and_names_the_cell(cell: Cell) -> None:
    first, quick, full, release = (read_owed().nodeids(cell, d) for d in DEPTHS)
    assert first == quick  # alone; beside its base: test_beside.py
    assert set(quick) < set(full) < set(release)
    assert all(nodeid.endswith(f"[{cell.id}]") for nodeid in release)
    assert len(set(release)) == len(release)


@given(cells)
def test_a_feature_is_asked_about_exactly_where_it_is_requested(cell: Cell) -> None:
    owed = {i.test for i in read_owed().asked_of(cell, "quick")}
    assert ("test_drafts_are_accepted" in owed) is ("mtp" in cell.features)
    assert ("test_numbers_agree_with_the_reference" in owed) is cell.checkpoint.canary


def test_a_parametrised_test_is_owed_item_by_item() -> None:
    raw = {
        f"suites/test_long.py::test_x[{CELL}-{n}]": {"from_depth": d} for n, d in (("1k", "quick"), ("100k", "full"))
    }
    cell = next(iter(KINDS.values()))
    table: Owed = parse_owed(raw)
    assert table.nodeids(cell, "quick") == (f"suites/test_long.py::test_x[{cell.id}-1k]",)
    assert len(table.nodeids(cell, "release")) == 2
    assert ([*table.suites], [*table.tests]) == (["long"], ["test_x"])


def test_what_is_no_depth_reaches_nothing() -> None:
    assert [is_as_deep(word, "quick") for word in ("", "Quick", "deep", *DEPTHS)] == [False] * 4 + [True] * 3
    assert [is_as_deep(word, "full") for word in DEPTHS] == [False, False, True, True]
