"""The plugin in real pytest runs, alone and under xdist: what every test, finding and launch becomes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from junitparser import TestSuite

from matrix.checkout import CHECKOUT
from reports.evidence import junit
from reports.evidence.types import End, Expected, Found, Launch, Measured, Proof, Record, Result
from tests.reports.evidence.small_run import STATUSES, both, of, records, start
from tests.reports.evidence.xsd import Schema


@both
def test_every_outcome_becomes_its_status(folder: Path) -> None:
    found = {(r.test, r.cell): r.status for r in records(folder) if isinstance(r, Result)}
    assert found == {(test, cell): status for test, status in STATUSES.items() for cell in "ab"}


@both
def test_the_junit_of_a_run_is_of_our_schema(folder: Path) -> None:
    assert Schema(CHECKOUT / "reports/evidence/junit.xsd").find_problems(folder / "junit.xml") == []


@both
def test_what_must_report_is_what_was_collected(folder: Path) -> None:
    expected = {r.cell: set(r.tests) for r in records(folder) if isinstance(r, Expected)}
    assert expected == {c: {f"test_suite.py::{t}[{c}]" for t in STATUSES} for c in "ab"}


@both
@pytest.mark.parametrize(("kind", "count"), [(Found, 28), (Measured, 2), (Proof, 4), (Launch, 2)])
def test_what_a_test_records_arrives_with_its_identity(folder: Path, kind: type[Record], count: int) -> None:
    found = of(kind, folder)
    assert len(found) == count
    assert {r.cell for r in found} == {"a", "b"}
    if kind is not Launch:  # recorded through the outbox, as a session fixture would
        assert all(r.test and r.nodeid.startswith("test_suite.py::") and r.fingerprint == f"f{r.cell}" for r in found)


@both
def test_the_message_of_a_failure_is_its_own_words(folder: Path) -> None:
    said = {r.test: r.message for r in records(folder) if isinstance(r, Result)}
    assert said["test_fails"].splitlines()[0] == "x.y: NOT OK"
    assert "\nassert " not in said["test_fails"]
    assert said["test_on_a_crash"] == "EngineExited: no engine: ***"
    shown = (folder / "out").read_text()
    assert "HostError: no engine" in shown
    assert "errors.HostError: no engine" not in shown, "a host's lack has no traceback"
    assert said["test_elsewhere"] == "SKIP_NO_HW: needs 4 GPUs"


@both
def test_a_reply_that_cannot_be_read_is_kept_and_obeyed_by_nothing(folder: Path) -> None:
    kept = {r.cell: r for r in records(folder) if isinstance(r, Found) and r.check == "protocol.reply"}
    assert {(c, r.ok, r.got) for c, r in kept.items()} == {(c, False, "half \ud83d of it") for c in "ab"}
    case = next(c for s in junit.load_junit(folder / "junit.xml") for c in s if c.name == "test_gets_garbage[a]")
    told = f"{case.result[0].text} {case.result[0].message} {(folder / 'out').read_text()}"
    assert "\\ud83d \\x1b[2J GREEN" in told
    assert not {"\x1b", "\ud83d"} & set(told)


@both
def test_junit_is_complete_and_has_a_suite_per_launch(folder: Path) -> None:
    assert junit.find_problems(folder / "junit.xml", records(folder)) == []
    suites = {s.name: _properties(s) for s in junit.load_junit(folder / "junit.xml")}
    assert set(suites) == {"a", "b", junit.NO_CELL}
    assert suites["a"]["commit"] == "c0ffee"
    cases = [c for s in junit.load_junit(folder / "junit.xml") for c in s]
    assert {junit.read_properties(c).get("status") for c in cases if c.name == "test_on_a_crash[a]"} == {"CRASH"}
    noted = {c.name: note for c in cases if (note := junit.read_properties(c).get("note"))}
    assert noted == {f"test_passes_with_a_note[{c}]": "x.y: slow once" for c in "ab"}


def _properties(suite: TestSuite) -> dict[str, str]:
    return {p.name: p.value for p in suite.properties()}  # type: ignore[no-untyped-call]


@both
def test_no_secret_is_written(folder: Path) -> None:
    assert "s3cr3t" not in (folder / "e.jsonl").read_text()
    assert "s3cr3t" not in (folder / "junit.xml").read_text()


AGAIN = """
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(r.failed for r in reports):
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    return True
"""
ONCE = """
from reports.evidence.finding import Finding
asked = []

def test_fails_at_first(cell, evidence):
    asked.append(cell)
    found = evidence.finding(Finding(check="x.y", ok=len(asked) > 1, expected="1", got="2"))
    assert found.ok, found.explain()
"""


@pytest.mark.parametrize("options", [(), ("-n1",)], ids=["alone", "xdist"])
def test_an_attempt_whose_reports_a_plugin_throws_away_counts(tmp_path: Path, options: Sequence[str]) -> None:
    """As plugins do that run a failed test again: pytest knows the last attempt only, and the run passed."""
    (tmp_path / "again.py").write_text(AGAIN)
    run = start(tmp_path, ONCE, ("-p", "again", *options), PYTHONPATH=f"{CHECKOUT}{os.pathsep}{tmp_path}")
    out, _ = run.communicate()
    said = [(r.cell, str(r.status)) for r in records(tmp_path) if isinstance(r, Result)]
    assert said == [("a", "FAIL"), ("a", "PASS"), ("b", "PASS")], out
    assert [r.ok for r in records(tmp_path) if isinstance(r, Found)] == [False, True, True]
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
    assert [r.exit_code for r in records(tmp_path) if isinstance(r, End)] == [1]
    assert "test_suite.py::test_fails_at_first[a]: FAIL, PASS" in out and "[b]: " not in out


def test_tests_without_cells_leave_no_evidence(tmp_path: Path) -> None:
    start(tmp_path, "def test_x(): pass", ["--collect-only"]).communicate()
    assert not (tmp_path / "e.jsonl").exists()
