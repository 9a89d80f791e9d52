"""A cell beside its base is as good as the base's answers: excused, missing or another run's, they carry nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reports.evidence.summary import make_board
from reports.evidence.types import Record
from reports.expected import ExpectedCell
from reports.gate.base import link_runs, tell_uncarried
from tests.reports import world
from tests.reports.world import Json

BASE, CELL = "cpu.x.canary_bf16.baseline", "cpu.x.canary_q8_0.baseline"
EXPECTED = ExpectedCell(id=CELL, base=BASE, carried=("test_b",))


def result(cell: str, test: str, status: str = "PASS", run: str = "r1", *, of: str = "") -> Json:
    nodeid = f"suites/test_boot.py::{test}[{cell}{of}]"
    return {"kind": "result", "run": run, "cell": cell, "nodeid": nodeid, "test": test, "status": status}


def told(*fields: Json, expected: ExpectedCell = EXPECTED) -> list[str]:
    shown = [{**each, "run": field["run"]} for field in fields for each in world.with_evidence([field])]
    records: list[Record] = world.typed(shown)
    rows = {row.cell: row for row in make_board(records, {CELL: {}, BASE: {}}).rows}
    return [text for _, text in tell_uncarried(expected, rows, link_runs(records))]


def start(run: str, **more: Any) -> Json:
    return {"kind": "run", "run": run, "depth": "first", **more}


def test_a_base_that_passed_in_the_same_run_carries() -> None:
    assert told(start("r1"), result(CELL, "test_a"), result(BASE, "test_b")) == []


@pytest.mark.parametrize("status", ["XFAIL", "NOT_EVIDENCE", "FAIL", "SKIP_NO_HW"])
def test_a_base_that_did_not_pass_carries_nothing(status: str) -> None:
    (said,) = told(start("r1"), result(CELL, "test_a"), result(BASE, "test_b", status))
    assert f"test_b came to {status} there" in said and "--depth quick" in said


def test_a_base_without_a_result_carries_nothing() -> None:
    (said,) = told(start("r1"), result(CELL, "test_a"), result(BASE, "test_c"))
    assert "test_b has no result there" in said


def test_the_base_of_another_run_carries_nothing_unless_the_runs_are_one() -> None:
    fields = [result(CELL, "test_a"), result(BASE, "test_b", run="r0")]
    (said,) = told(start("r0"), start("r1"), *fields)
    assert "test_b is of another run" in said
    assert told(start("r0"), start("r1", retry_of="r0"), *fields) == []
    assert told(start("r0"), start("r1", continues={"r0": "00"}), *fields) == []


def test_a_cell_that_was_asked_itself_needs_no_base() -> None:
    assert told(start("r1"), result(CELL, "test_a"), result(CELL, "test_b")) == []
    assert told(start("r1"), result(CELL, "test_a"), expected=replace(EXPECTED, base="")) == []


def test_a_cell_that_did_not_run_is_told_elsewhere() -> None:
    assert told(start("r1"), result(BASE, "test_b", "FAIL")) == []


def test_a_base_carries_only_with_every_answer_to_a_test_of_several_questions() -> None:
    own, right = result(CELL, "test_a"), result(BASE, "test_b", of="-1")
    assert told(start("r1"), own, right, result(BASE, "test_b", of="-2")) == []
    (failed,) = told(start("r1"), own, right, result(BASE, "test_b", "FAIL", of="-2"))
    assert "test_b came to FAIL there" in failed
    (other,) = told(start("r0"), start("r1"), own, right, result(BASE, "test_b", run="r0", of="-2"))
    assert "test_b is of another run" in other
