"""What a cell owes and nobody answered is told suite by suite, and what had failed is not answered by a later pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from matrix.judging.status import Status
from reports.evidence.summary import CellRow, make_board
from reports.gate.owed import SHOWN, is_absent, tell_contradicted, tell_hidden, tell_missing
from tests.reports import world
from tests.reports.world import PLAIN


def row_owing(*tests: str) -> CellRow:
    """Return the row of a green cell that owes these tests too, as `suite::test`."""
    more = tuple(f"suites/test_{name}[{PLAIN}]" for name in tests)
    owed = {PLAIN: (*world.owed_by(PLAIN), *more)}
    return next(r for r in make_board(world.seal(world.green()), owed=owed).rows if r.cell == PLAIN)


def test_every_suite_with_an_absent_test_is_told_whatever_stands_before_it() -> None:
    found = [
        *tell_missing(row_owing("a.py::test_one", "b.py::test_two", "b.py::test_three", "c.py::test_four"), "quick")
    ]
    assert {rule for rule, _ in found} == {"missing"}
    assert [text for _, text in found] == [
        "test_one came to MISSING: it is owed at depth quick, and no result was recorded.",
        "2 tests of the suite b that it owes at depth quick came to MISSING, no result was recorded:"
        " test_three, test_two.",
        "test_four came to MISSING: it is owed at depth quick, and no result was recorded.",
    ]


def test_the_absent_tests_of_a_suite_are_counted_beyond_the_first_names() -> None:
    names = [f"a.py::test_{number:02}" for number in range(SHOWN + 3)]
    [(_, text)] = tell_missing(row_owing(*names), "full")
    assert text.startswith(f"{len(names)} tests of the suite a") and "test_09" in text and "test_10" not in text


def test_nothing_is_missing_of_a_cell_that_answered_all() -> None:
    row = row_owing()
    assert not [*tell_missing(row, "quick")] and not any(map(is_absent, row.tests))


@pytest.mark.parametrize("passed", ["PASS", "MEASURED"])
@pytest.mark.parametrize("ended", [None, "HOST_ERROR", "TEST_ERROR", "MISSING", "FAIL"])
@pytest.mark.parametrize("sensitive", [True, False])
def test_a_failed_check_is_answered_by_no_pass_but_by_a_result(passed: str, ended: str | None, sensitive: bool) -> None:
    """Whether or not the check could see the defect that the test is about: it saw something that is wrong."""
    row, records = _row_of(passed), world.typed(_needle("r0", ended, ok=False, sensitive=sensitive), "r0")
    told = [text for _, text in tell_hidden(row, records)]
    assert bool(told) is (ended != "FAIL")
    how = "that run was cut short" if ended is None else f"it came to {ended}"
    assert not told or f"had failed in run r0 (x.ok: a) when {how}, and no later pass" in told[0]
    assert not [*tell_hidden(row, world.typed(_needle("r0", ended, ok=True), "r0"))]


def test_a_result_of_another_run_is_no_answer() -> None:
    records = world.typed(_needle("r0", None, ok=False), "r0")
    assert [*tell_hidden(_row_of("PASS"), [*records, *world.typed(_needle("r9", "FAIL", ok=True), "r9")])]


@pytest.mark.parametrize("status", ["PASS", "MEASURED"])
def test_a_pass_beside_a_failed_check_of_its_own_run_is_told(status: str) -> None:
    """Without a replay nothing else would: the result alone says that all is well."""
    row, (mine, *_) = _row_of(status), _needle("r1", None, ok=False)
    [(rule, text)] = tell_contradicted(row, world.typed([mine, mine]))
    assert rule == "contradicted" and f"came to {status}, and its own run has a failed check: x.ok: a." in text
    assert not [*tell_contradicted(row, world.typed(_needle("r1", None, ok=True)))]
    assert not [*tell_contradicted(row, world.typed([mine], "r0"))], "of another run: tell_hidden"
    assert not [*tell_contradicted(_row_of("FAIL"), world.typed([mine]))]


def _needle(run: str, status: str | None, *, ok: bool, sensitive: bool = True) -> list[world.Json]:
    who = {"cell": PLAIN, "nodeid": world.nodeid("needle", PLAIN)}
    finding = {"kind": "finding", **who, "check": "x.ok", "ok": ok, "sensitive": sensitive, "expected": "b", "got": "a"}
    return [finding, *([world.result(PLAIN, "needle", status)] if status else [])]


def _row_of(status: str) -> CellRow:
    row = row_owing()
    return replace(row, tests=tuple(replace(t, status=Status(status)) for t in row.tests))
