"""Nine of ten public reports are told, and every row that names a test, an entry or a finding names one that exists."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from ci.reference.recall import (
    AIM,
    ROUNDS,
    RecallRow,
    Sibling,
    ToldRow,
    classify_row,
    judge_sibling,
    read_rows,
    read_siblings,
    share_told,
)
from matrix.checking.rules import read_checks

ROOT = Path(__file__).parents[2]
ROWS = read_rows()
PREDICTED = 33
ALL = [sibling for path in ROUNDS for sibling in read_siblings(path)]


@pytest.fixture(scope="module")
def told() -> list[ToldRow]:
    return [classify_row(row) for row in ROWS]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_report_is_told_as_its_row_says(row: RecallRow) -> None:
    """A row that asks gets its finding; only a row that says why is missed."""
    found = classify_row(row)
    assert (found.cls == "missed") == bool(row.missed), found.why


def test_nine_of_ten_are_told(told: list[ToldRow]) -> None:
    assert share_told(told) >= AIM


def test_some_are_known_by_more_than_a_report(told: list[ToldRow]) -> None:
    """What a wheel, a run or arithmetic decides is predicted; this number may only grow."""
    assert Counter(t.cls for t in told)["predicted"] >= PREDICTED


@pytest.mark.parametrize("sibling", ALL, ids=lambda sibling: sibling.id)
def test_a_line_that_nobody_has_reported_gets_its_right_answer(sibling: Sibling) -> None:
    assert sibling.first in ("right", "silent", "false alarm")
    assert judge_sibling(sibling) != "missed", sibling.right


def test_ids_are_unique() -> None:
    assert max(Counter(row.id for row in ROWS).values()) == 1
    assert max(Counter(sibling.id for sibling in ALL).values()) == 1


def test_what_a_row_names_exists() -> None:
    suites = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "suites").glob("test_*.py"))
    linter = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "matrix" / "preflight").rglob("*.py"))
    for row in ROWS:
        assert not row.suite or f"def {row.suite}(" in suites, row.suite
        assert not row.linter or row.linter in linter, row.linter


def test_no_check_is_about_one_report_by_name() -> None:
    """A check asks for facts of a line: no condition holds a report's number or a checkpoint's repository."""
    for check in read_checks():
        assert not re.search(r"#\d+|/GLM-", str(check.when)), check.id
        assert "model" not in check.when
