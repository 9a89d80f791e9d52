"""The tables that a question about everything reads, made from the rows of an index."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

from reports.history import index
from reports.history.index import open_index
from reports.history.trend import READ_POINTS, NumberTrend, read_trends
from tests.reports.history.test_history import run_fields, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a run that passed, one that failed and one that passed."""
    for number, status in enumerate(("PASS", "FAIL", "PASS")):
        write(tmp_path, number, run_fields(status))
    return tmp_path


def list_trends(folder: Path) -> list[NumberTrend]:
    with open_index(folder) as connection:
        return list(read_trends(connection, cells="*", name="*"))


def test_an_index_without_summaries_gets_them_from_its_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading half a year of evidence again would take an hour."""
    before = list_trends(folder)
    assert [p.value for t in before if t.name == "tests_passed" for p in t.points] == [1.0, 0.0, 1.0]
    with open_index(folder) as connection:
        connection.execute("DROP TABLE series")
        connection.execute("DROP TABLE passes")
        connection.execute("PRAGMA user_version = 4")
    monkeypatch.setattr(index, "read_sealed", Mock(side_effect=AssertionError("read again")))
    assert list_trends(folder) == before


def test_an_index_of_the_last_version_gets_its_values_without_reading_a_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list_trends(folder)
    with open_index(folder) as connection:
        connection.execute("DROP INDEX numbers_by_key")
        connection.execute("CREATE INDEX numbers_by_key ON numbers (cell, name, conditions, unit, t)")
        connection.execute("PRAGMA user_version = 5")
    monkeypatch.setattr(index, "read_sealed", Mock(side_effect=AssertionError("read again")))
    assert list_trends(folder) == before
    with open_index(folder) as connection:
        asked = READ_POINTS.format(named="'', ''")
        (plan,) = connection.execute(f"EXPLAIN QUERY PLAN {asked}", ("", "", "", "", 1)).fetchall()
        assert "USING COVERING INDEX numbers_by_key" in plan[-1]


def test_a_table_and_data_of_a_trend_say_the_same_but_for_when_and_where(folder: Path) -> None:
    with open_index(folder) as connection:
        for dated, not_ in zip(
            *(read_trends(connection, cells="*", name="*", dated=d) for d in (True, False)), strict=True
        ):
            assert [p.t for p in dated.points] and all(p.run for p in dated.points)
            assert (dated.line, dated.judged, dated.unit) == (not_.line, not_.judged, not_.unit)
            assert [p.value for p in dated.points] == [p.value for p in not_.points]


def test_a_trend_forgets_a_run_whose_file_is_gone(folder: Path) -> None:
    assert {len(t.points) for t in list_trends(folder)} == {3}
    for each in folder.glob("*.jsonl"):
        each.unlink()
    assert list_trends(folder) == []
