"""Maps what pytest reports about one phase of a test to a Status, by whose fault comes first.

An expected failure is the engine's: a HostError or a bug of ours stays what it is (`reports.evidence.excuse` excuses
neither).
"""

from __future__ import annotations

import pytest

from matrix.errors import EngineError, EngineExited, EngineNotReady, EngineReplyMalformed, HostError, iterate_causes
from matrix.judging.status import GREEN, Status
from reports.evidence.finding import Finding
from reports.evidence.not_evidence import BLIND, CONTRADICTED, RecordCounts, judge_pass
from reports.evidence.outbox import Evidence
from reports.evidence.types import suite_of

STRICT_XPASS = "[XPASS(strict)]"  # how pytest words a strict xfail that passed (_pytest/skipping.py)
OURS = frozenset({Status.HOST_ERROR, Status.TEST_ERROR})


def status_of(report: pytest.TestReport, error: BaseException | None, evidence: Evidence | None) -> Status:
    """Return the status of one phase. Passed setups and teardowns are PASS; the worst phase decides for the test."""
    raised = classify_fault(error, call=report.when == "call")
    if raised in OURS:
        return raised
    if hasattr(report, "wasxfail"):
        return Status.XFAIL if report.skipped else Status.PASS
    if report.skipped:
        return _status_of_skip(read_reason(report))
    if report.failed and raised is None:
        return Status.XPASS if read_reason(report).startswith(STRICT_XPASS) else Status.TEST_ERROR
    if raised is not None:
        return raised
    return _judge_passed(report, evidence) if report.when == "call" else Status.PASS


def classify_fault(error: BaseException | None, *, call: bool) -> Status | None:
    """Classify whose fault an exception is; None for none and for skips and xfails, which are no faults."""
    chain = list(iterate_causes(error))
    for kind, status in ((HostError, Status.HOST_ERROR), (EngineExited, Status.CRASH), (EngineNotReady, Status.HANG)):
        if any(isinstance(e, kind) for e in chain):
            return status
    if error is None or isinstance(error, pytest.skip.Exception | pytest.xfail.Exception):
        return None
    if isinstance(error, EngineError):
        return Status.FAIL
    return Status.FAIL if call and isinstance(error, AssertionError | pytest.fail.Exception) else Status.TEST_ERROR


def find_unreadable_reply(error: BaseException | None) -> Finding | None:
    """Return the reply that stopped a test, as a finding that keeps it; None for any other end of a test."""
    malformed = (e for e in iterate_causes(error) if isinstance(e, EngineReplyMalformed) and e.received)
    if (found := next(malformed, None)) is None:
        return None
    return Finding(
        check="protocol.reply", ok=False, expected="a reply that can be read", got=found.received, detail=str(found)
    )


def _judge_passed(report: pytest.TestReport, evidence: Evidence | None) -> Status:
    """Judge a passed test: one that recorded nothing which could have come out otherwise has shown nothing."""
    seen = evidence.seen if evidence else RecordCounts()
    plain = Status.MEASURED if seen.measurements and not seen.findings else Status.PASS
    return judge_pass(plain, seen, suite_of(report.nodeid))


def _status_of_skip(why: str) -> Status:
    """Read the status from a skip's reason (`SKIP_NO_HW: needs 4 GPUs`). A skip is never green; without a status it
    is MISSING."""
    word = why.partition(":")[0].strip()
    return Status(word) if word in Status.__members__ and Status(word) not in GREEN else Status.MISSING


def read_reason(report: pytest.TestReport) -> str:
    """Read the reason as text: of the skip or xfail, or the failure as pytest prints it."""
    if wasxfail := getattr(report, "wasxfail", ""):
        return str(wasxfail).removeprefix("reason: ")
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return str(report.longrepr or "")


def make_message(report: pytest.TestReport, error: BaseException | None, status: Status | None = None) -> str:
    """Make the message of a result: the exception's own text where one exists, without the traceback."""
    if error is None and report.passed:
        return {Status.NOT_EVIDENCE: BLIND, Status.FAIL: f"it passed, but {CONTRADICTED}"}.get(
            status or Status.PASS, ""
        )
    if error is None or report.skipped:
        return read_reason(report)
    if isinstance(error, AssertionError):
        return str(error).partition("\nassert ")[0]  # what follows is pytest's rewriting of the expression
    return f"{type(error).__name__}: {error}"
