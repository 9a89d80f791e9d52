"""Applies the known failures of a cell to what was asked of it, by the rules of a real run (reports.evidence.excuse).

A fault is not killed by a test that fails as known, and a healthy engine is not failed by one. Entries about a launch
are left out: the harness asks an engine that has started.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from matrix.judging.status import Status
from matrix.known.failures import KnownOfCell, match_known_failure, select_of_cell, speaks_of_test
from matrix.known.reach import can_meet
from matrix.planning.plan import Plan
from matrix.yaml.load import load_matrix
from reports.evidence.excuse import EXCUSABLE, PASSED
from reports.evidence.failure import describe_failure
from reports.evidence.finding import Finding
from reports.evidence.not_evidence import RecordCounts, judge_pass
from reports.evidence.outcome import classify_fault, find_unreadable_reply
from tests.suites.world import Outcome


def gather_known(plan: Plan, depth: str) -> KnownOfCell:
    """Gather what is known of a plan's cell at a depth, with the words of its launch that say nothing."""
    entries = tuple(k for k in select_of_cell(load_matrix(), plan.cell) if can_meet(k.value, plan.cell, depth))
    argv = plan.argv(model="", host="", port="", api_key_env="")
    return KnownOfCell(entries=entries, words=(plan.cell.id,), flags=tuple(argv))


def apply_known(outcome: Outcome, test: str, suite: str, known: KnownOfCell) -> Outcome:
    """Mark a failure that an entry describes, and a pass where an entry expects a failure always."""
    if outcome.error is None:
        return replace(outcome, contradicts=_find_contradicted(outcome, test, suite, known))
    return replace(outcome, known=_find_known(outcome.error, outcome.evidence.findings, test, known))


def _find_known(error: BaseException, findings: Sequence[Finding], test: str, known: KnownOfCell) -> str:
    if classify_fault(error, call=True) not in EXCUSABLE:
        return ""
    reply = find_unreadable_reply(error)
    # A reply that stopped the test is a finding of a real run too: an entry that fits the others does not fit it.
    told = [*findings, *([reply] if reply else [])]
    match = match_known_failure(known.entries, describe_failure(error, told, known, test=test, test_id=test))
    return match.known.value.id if match else ""


def _find_contradicted(outcome: Outcome, test: str, suite: str, known: KnownOfCell) -> str:
    if judge_pass(Status.PASS, _count_records(outcome), suite) not in PASSED:
        return ""
    always = (
        k.value for k in known.entries if k.value.expect == "always" and speaks_of_test(k.value.fails, test, test)
    )
    return next((entry.id for entry in always), "")


def _count_records(outcome: Outcome) -> RecordCounts:
    own = outcome.evidence
    return RecordCounts(
        findings=len(own.findings),
        sensitive=sum(f.sensitive for f in own.findings),
        failed=sum(not f.ok for f in own.findings),
        measurements=len(own.measurements),
        proofs=len(own.proofs),
    )
