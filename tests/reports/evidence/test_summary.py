"""Rows: what several attempts come to, and what speaks for a cell."""

from __future__ import annotations

import pytest

from matrix.judging.status import Status
from reports.evidence.summary import TOK_S, TTFT_MS, CellRow, make_board
from tests.reports import world
from tests.reports.world import PLAIN, Json


def row(*fields: Json) -> CellRow:
    return make_board(world.typed(world.with_evidence(fields))).rows[0]


@pytest.mark.parametrize(
    ("attempts", "settled"),
    [
        (["PASS"], "PASS"),
        (["FAIL", "PASS"], "FAIL"),  # nobody asked for another attempt
        (["CRASH", "XFAIL"], "CRASH"),
        (["PASS", "FAIL"], "FAIL"),
        (["HOST_ERROR", "PASS"], "HOST_ERROR"),
        (["TEST_ERROR", "PASS"], "TEST_ERROR"),
        (["NOT_ASKED", "PASS"], "NOT_ASKED"),
        (["HOST_ERROR", "FAIL"], "FAIL"),
        (["HOST_ERROR", "HOST_ERROR"], "HOST_ERROR"),
        (["SKIP_NO_HW", "PASS"], "PASS"),
        (["HOST_ERROR", "SKIP_NO_HW"], "HOST_ERROR"),
        (["XPASS", "PASS"], "XPASS"),
    ],
)
def test_attempts_settle(attempts: list[str], settled: str) -> None:
    tests = row(*(world.result(PLAIN, "needle", a) for a in attempts)).tests
    assert [t.status for t in tests] == [Status(settled)]


@pytest.mark.parametrize(
    ("statuses", "whole"),
    [(("PASS", "MEASURED"), "PASS"), (("MEASURED", "MEASURED"), "MEASURED"), (("PASS", "FAIL"), "FAIL")],
)
def test_a_measurement_does_not_speak_for_a_cell_that_was_judged(statuses: tuple[str, str], whole: str) -> None:
    found = row(world.result(PLAIN, "boot", statuses[0]), world.result(PLAIN, "needle", statuses[1]))
    assert found.status is Status(whole)


@pytest.mark.parametrize(("status", "noted"), [("PASS", True), ("XFAIL", True), ("FAIL", False)])
def test_a_note_is_of_green_tests_only(status: str, noted: bool) -> None:
    """What fails says everything in its findings."""
    finding = {"kind": "finding", "cell": PLAIN, "nodeid": world.nodeid("boot", PLAIN), "check": "c", "ok": True}
    found = row(world.result(PLAIN, "boot", status), {**finding, "expected": "", "got": "", "note": "slow once"})
    assert found.tests[0].notes == (("c: slow once",) if noted else ())


def test_a_function_name_may_stand_for_all_its_parameters() -> None:
    expected: Json = {"kind": "expected", "cell": PLAIN, "tests": ["test_finds_the_needle", "test_boots"]}
    found = {t.nodeid: t.status for t in row(expected, world.result(PLAIN, "needle")).tests}
    assert found == {world.nodeid("needle", PLAIN): Status.PASS, "test_boots": Status.MISSING}


def test_the_numbers_shown_are_the_fastest() -> None:
    def measured(name: str, value: float) -> Json:
        return {"kind": "measurement", "cell": PLAIN, "name": name, "value": value, "unit": "u"}

    found = row(*(measured(n, v) for n in (TOK_S[0], TTFT_MS[0]) for v in (2, 9, 4)))
    assert [m.value for names in (TOK_S, TTFT_MS) if (m := found.best(names))] == [9, 2]


def test_a_cell_that_shares_a_launch_shows_it() -> None:
    launch: Json = {"kind": "launch", "cell": "other", "fingerprint": "f0", "outcome": "ok", "launch_s": 3}
    rows = {r.cell: r for r in make_board(world.typed([launch, world.result(PLAIN, "boot")])).rows}
    assert rows[PLAIN].launch is rows["other"].launch is not None


def test_a_test_is_named_without_the_cell() -> None:
    needle = {**world.result(PLAIN, "needle"), "nodeid": f"suites/test_needle.py::test_x[{PLAIN}-1024-50]"}
    last = {**world.result(PLAIN, "needle"), "nodeid": f"suites/test_needle.py::test_x[1024-{PLAIN}]"}
    assert [t.name for t in row(needle, last, world.result(PLAIN, "boot")).tests] == [
        "test_x[1024-50]",
        "test_x[1024]",
        "test_boots",
    ]
