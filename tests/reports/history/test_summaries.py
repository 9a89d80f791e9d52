"""The tables that a question about everything reads, made from the rows of an index."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

from reports.history import index
from reports.history.index import open_index
from reports.history.trend import NumberTrend, read_trends
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


def test_a_trend_forgets_a_run_whose_file_is_gone(folder: Path) -> None:
    assert {len(t.points) for t in list_trends(folder)} == {3}
    for each in folder.glob("*.jsonl"):
        each.unlink()
    assert list_trends(folder) == []
