"""The verdict's own JUnit: as red as the gate, valid XML whatever was said, and never an old green one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.errors import HostError
from matrix.judging.status import Status
from reports.evidence import junit
from reports.expected import ExpectedCell
from reports.gate import gate
from reports.gate import junit as gate_junit
from reports.gate.allowances import NotRun
from reports.gate.gate import Reason, Verdict
from reports.gate.policy import Policy
from tests.reports import world
from tests.reports.gate.test_gate_laws import Case, runs
from tests.reports.world import EXPECTED, FEW, LAW, NOW, PLAIN, POLICY, WITH_MTP, Json


def judge(fields: list[Json], policy: Policy = POLICY, expected: Sequence[ExpectedCell] = EXPECTED) -> Verdict:
    return gate.judge_evidence(policy, expected, world.seal(fields), now=NOW)


def read(verdict: Verdict) -> ElementTree.Element:
    return ElementTree.fromstring(gate_junit.render_verdict(verdict))


def failures(whole: ElementTree.Element) -> dict[str, list[str]]:
    return {
        str(case.get("name")): [str(f.get("message")) for f in case.findall("failure")]
        for case in whole.iter("testcase")
    }


def broken(**change: Any) -> Verdict:
    """One test of the plain cell came out otherwise."""
    fields = [f | change if f["kind"] == "result" and f["cell"] == PLAIN else f for f in world.green()]
    return judge(fields)


def test_a_green_verdict_is_a_passing_case_for_the_run_and_for_each_cell() -> None:
    whole = read(judge(world.green()))
    assert failures(whole) == {"the run": [], PLAIN: [], WITH_MTP: []}
    suite = whole[0]
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("gate", "3", "0")


@pytest.mark.parametrize("status", ["NOT_EVIDENCE", "MISSING", "FLAKE", "SKIP_NO_HW", "HOST_ERROR"])
def test_what_pytest_calls_skipped_or_passed_is_a_failure_here(status: str) -> None:
    found = failures(read(broken(status=status)))
    assert found[PLAIN] and not found[WITH_MTP] and not found["the run"]


def test_an_unproven_feature_is_a_failure_of_its_cell() -> None:
    fields = [f | {"outcome": "unproven"} if f["kind"] == "proof" else f for f in world.green()]
    assert "nothing proves" in failures(read(judge(fields)))[WITH_MTP][0]


def test_an_absent_cell_and_a_missing_test_are_failures() -> None:
    rest = [f for f in world.green() if f.get("cell") != WITH_MTP]
    assert "no evidence" in failures(read(judge(rest)))[WITH_MTP][0]
    gone = [f for f in world.green() if not (f["kind"] == "result" and f["nodeid"] == world.nodeid("boot", PLAIN))]
    assert any("MISSING" in message for message in failures(read(judge(gone)))[PLAIN])


def test_what_is_about_the_run_is_a_case_of_its_own() -> None:
    records = world.typed(world.green())
    found = failures(read(gate.judge_evidence(POLICY, EXPECTED, records, now=NOW)))
    assert len(found["the run"]) == 1 and "never ended" in found["the run"][0]


def test_a_cell_that_may_be_missing_as_known_is_skipped_and_not_passed() -> None:
    known = {"status": "NOT_RUN_AS_KNOWN", "known_failure": "kf_boot", **world.DIED}
    fields = [f | known if f["kind"] == "result" and f["cell"] == PLAIN else f for f in world.green()]
    fields = [f | {"outcome": "EngineExited"} if f["kind"] == "launch" and f["cell"] == PLAIN else f for f in fields]
    expected = (replace(EXPECTED[0], known_failures={"kf_boot": world.KF_BOOT}), EXPECTED[1])
    clause = NotRun(known_failure="kf_boot", cells=PLAIN, owner="somebody", until=date(2099, 1, 1))
    verdict = judge(fields, replace(POLICY, not_run=(clause,)), expected)
    assert verdict.green, verdict.reasons
    whole = read(verdict)
    assert [c.get("name") for c in whole.iter("testcase") if c.find("skipped") is not None] == [PLAIN]
    assert whole[0].get("skipped") == "1"


@LAW
@given(runs())
def test_it_is_red_exactly_when_the_gate_is(run: Case) -> None:
    verdict = run.told(run.fields)
    whole = read(verdict)
    found = failures(whole)
    assert sum(map(len, found.values())) == len(verdict.reasons)
    assert set(found) == {"the run", *run.cells}
    assert int(whole[0].get("failures", "")) == sum(map(bool, found.values()))


@FEW
@given(st.text(st.characters(codec=None), max_size=60))
def test_whatever_was_said_it_is_xml(said: str) -> None:
    """Control characters, half characters and code points that XML does not have."""
    hostile = f"{said}\x00\x1b[2J\ud83d\ufffe\uffff]]><&\u202e" + "x" * 100_000
    verdict = broken(status="FAIL", message=hostile)
    told = replace(verdict, told=(hostile,), policy=replace(POLICY, title=hostile))
    assert failures(read(told))[PLAIN]
    assert len(gate_junit.render_verdict(told)) < 200_000
    ElementTree.fromstring(gate_junit.render_unjudged(hostile))


def test_many_reasons_of_a_cell_are_counted() -> None:
    many = tuple(Reason(cell=PLAIN, rule="status", text=f"test {n}") for n in range(1_500))
    found = failures(read(replace(judge(world.green()), reasons=many)))[PLAIN]
    assert (len(found), found[-1]) == (1_001, "and 500 more reasons.")


def test_a_reason_about_a_cell_that_nobody_asked_for_is_not_lost() -> None:
    stray = Reason(cell="another.cell", rule="x", text="is odd")
    assert failures(read(replace(judge(world.green()), reasons=(stray,))))["the run"] == ["is odd"]


def test_it_is_junit_for_our_own_reader(tmp_path: Path) -> None:
    path = tmp_path / "deep/gate.junit.xml"
    gate_junit.write_verdict(broken(status="FAIL"), path)
    assert junit.find_problems(path) == []
    (suite,) = junit.load_junit(path)
    assert (suite.tests, suite.failures, suite.errors) == (3, 1, 0)


def test_without_a_verdict_it_is_an_error(tmp_path: Path) -> None:
    gate_junit.write_unjudged(tmp_path / "g.xml", "no such file")
    whole = ElementTree.parse(tmp_path / "g.xml").getroot()
    assert whole[0].get("errors") == "1"
    assert [e.get("message") for e in whole.iter("error")] == ["no such file"]


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot be written"):
        gate_junit.write_unjudged(tmp_path / "file/g.xml")


def test_every_status_that_a_policy_cannot_allow_is_red_here_too() -> None:
    for status in (s for s in Status if s not in (*POLICY.allow, Status.NOT_RUN_AS_KNOWN)):
        assert failures(read(broken(status=status)))[PLAIN], status
