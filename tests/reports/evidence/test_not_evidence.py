"""A pass that recorded nothing which could have come out otherwise is no evidence, whoever wrote that it passed."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest

from matrix.checkout import CHECKOUT
from matrix.judging.status import Status
from reports.evidence.not_evidence import PROOF_SUITES
from reports.evidence.summary import make_board
from reports.gate import gate
from reports.gate.gate import Verdict
from tests.reports import world
from tests.reports.world import EXPECTED, NOW, PLAIN, POLICY, Json

FINDING = {"kind": "finding", "check": "x", "ok": True, "expected": "", "got": ""}
NUMBER = {"kind": "measurement", "name": "tok_s", "value": 1.0, "unit": "tok/s"}
PROOF = {"kind": "proof", "feature": "mtp", "outcome": "proven", "rung": "counter"}


def status_of(status: str, *recorded: Json, suite: str = "needle", **who: str) -> Status:
    """Return what one test comes to that recorded so much."""
    node = f"suites/test_{suite}.py::test_x[{PLAIN}]"
    own = [{**f, "cell": PLAIN, "nodeid": node, **who} for f in recorded]
    result = {"kind": "result", "cell": PLAIN, "nodeid": node, "test": "test_x", "status": status}
    found = {row.cell: row for row in make_board(world.typed([*own, result])).rows}[PLAIN].tests
    return next(t.status for t in found if t.nodeid == node)


@pytest.mark.parametrize(
    ("status", "recorded", "suite", "comes_to"),
    [
        ("PASS", [], "needle", "NOT_EVIDENCE"),
        ("PASS", [FINDING], "needle", "PASS"),
        ("PASS", [NUMBER], "throughput", "PASS"),
        ("PASS", [{**FINDING, "sensitive": False}], "needle", "NOT_EVIDENCE"),
        ("PASS", [{**FINDING, "sensitive": False}, NUMBER], "needle", "NOT_EVIDENCE"),
        ("PASS", [{**FINDING, "sensitive": False}, FINDING], "needle", "PASS"),
        ("PASS", [PROOF], "needle", "NOT_EVIDENCE"),
        ("PASS", [PROOF], "effective", "PASS"),
        ("PASS", [], "effective", "NOT_EVIDENCE"),
        ("PASS", [FINDING, {**FINDING, "ok": False}], "needle", "FAIL"),
        ("MEASURED", [NUMBER, {**FINDING, "ok": False}], "throughput", "FAIL"),
        ("XFAIL", [{**FINDING, "ok": False}], "needle", "XFAIL"),
        ("MEASURED", [], "throughput", "NOT_EVIDENCE"),
        ("MEASURED", [FINDING], "throughput", "NOT_EVIDENCE"),
        ("MEASURED", [NUMBER], "throughput", "MEASURED"),
        ("FAIL", [], "needle", "FAIL"),
        ("XFAIL", [], "needle", "XFAIL"),
        ("SKIP_NO_HW", [], "needle", "SKIP_NO_HW"),
    ],
)
def test_what_a_status_is_worth(status: str, recorded: list[Json], suite: str, comes_to: str) -> None:
    assert status_of(status, *recorded, suite=suite) is Status(comes_to)


def test_what_another_cell_or_test_recorded_is_not_its_own() -> None:
    assert status_of("PASS", FINDING, cell="other") is Status.NOT_EVIDENCE
    assert status_of("PASS", FINDING, nodeid="suites/test_needle.py::test_y") is Status.NOT_EVIDENCE


def test_what_another_run_recorded_is_not_its_own() -> None:
    fields = world.with_evidence([world.result(PLAIN, "boot")])
    one, two = world.typed(fields[:1], "r1"), world.typed(fields[1:], "r2")
    assert make_board([*one, *two]).rows[0].tests[0].status is Status.NOT_EVIDENCE


def without_finding(suite: str) -> list[Json]:
    return [f for f in world.green() if not (f["kind"] == "finding" and f["nodeid"] == world.nodeid(suite, PLAIN))]


def judged(fields: list[Json], *allow: Status) -> Verdict:
    return gate.judge_evidence(replace(POLICY, allow=(*POLICY.allow, *allow)), EXPECTED, world.seal(fields), now=NOW)


def test_the_gate_is_red_and_says_what_was_recorded() -> None:
    reason = judged(without_finding("needle")).reasons[0]
    assert "test_finds_the_needle came to NOT_EVIDENCE: recorded as PASS, but it recorded nothing" in reason.text


def test_a_suite_of_which_nothing_is_evidence_has_reported_nothing_real() -> None:
    (reason,) = judged(without_finding("needle"), Status.NOT_EVIDENCE).reasons
    assert "the suite needle is required and reported nothing real" in reason.text


def test_a_cell_of_which_nothing_is_evidence_is_not_green_under_any_policy() -> None:
    fields = [f for f in world.green() if f["kind"] != "finding"]
    expected = tuple(replace(c, suites=()) for c in EXPECTED)
    policy = replace(POLICY, allow=(*POLICY.allow, Status.NOT_EVIDENCE))
    verdict = gate.judge_evidence(policy, expected, world.seal(fields), now=NOW)
    assert [r.rule for r in verdict.reasons] == ["not_evidence"] * 2


def test_the_suites_that_may_show_proofs_alone_are_those_that_say_so() -> None:
    marked = set()
    for path in (CHECKOUT / "suites").glob("test_*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.Assign) and "pytest.mark.proof" in ast.unparse(node):
                marked.add(path.stem.removeprefix("test_"))
    assert marked == PROOF_SUITES
