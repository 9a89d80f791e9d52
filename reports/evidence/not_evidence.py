"""Decides whether a pass is evidence: it must have recorded something that could have come out otherwise.

    PASS       a finding that could have failed, or a number; in the suites that are marked `proof` a proof will do
    MEASURED   a number

Anything else is NOT_EVIDENCE, and FAIL where one of its own findings is not ok. Asked when a test ends, and again of
every file: a status is a claim, and what it is drawn from lies beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from matrix.judging.status import Status
from reports.evidence.types import Found, Measured, Proof, Record, Result, suite_of

PROOF_SUITES: Final = frozenset(
    {"chunked_prefill", "effective", "indexcache", "mtp", "selection"}
)  # as suites/ marks them
CONTRADICTED: Final = "one of its own findings is not ok"
BLIND: Final = "it recorded nothing that could have come out otherwise, so that it passed shows nothing"
Key = tuple[str, str, str]  # run, cell, test


@dataclass(kw_only=True)
class RecordCounts:
    """How many records of each kind one test left."""

    findings: int = 0
    sensitive: int = 0  # of them
    failed: int = 0  # of them
    measurements: int = 0
    proofs: int = 0


def judge_pass(status: Status, seen: RecordCounts, suite: str) -> Status:
    """Judge a PASS or MEASURED by its records; return any other status unchanged."""
    if status in (Status.PASS, Status.MEASURED) and seen.failed:
        return Status.FAIL
    if status is Status.MEASURED:
        return status if seen.measurements else Status.NOT_EVIDENCE
    if status is not Status.PASS:
        return status
    if seen.findings:
        return status if seen.sensitive else Status.NOT_EVIDENCE
    shows = seen.measurements or (seen.proofs and suite in PROOF_SUITES)
    return status if shows else Status.NOT_EVIDENCE


def withdraw_empty_passes(records: Sequence[Record]) -> list[Record]:
    """Replace each pass that shows nothing by NOT_EVIDENCE, and each that contradicts itself by FAIL."""
    seen, nothing = _count_records(records), RecordCounts()
    return [_judge_result(r, seen.get(_key_of(r), nothing)) if isinstance(r, Result) and r.cell else r for r in records]


def _judge_result(result: Result, seen: RecordCounts) -> Result:
    if result.status not in (Status.PASS, Status.MEASURED):
        return result
    status = judge_pass(result.status, seen, suite_of(result.nodeid))
    if status is result.status:
        return result
    why = CONTRADICTED if status is Status.FAIL else BLIND
    return replace(result, status=status, message=f"recorded as {result.status}, but {why}")


def _count_records(records: Iterable[Record]) -> dict[Key, RecordCounts]:
    found: dict[Key, RecordCounts] = defaultdict(RecordCounts)
    for r in records:  # by isinstance alone, the most frequent kinds first: this is asked of each record of each cell
        if isinstance(r, Found):
            seen = found[r.run, r.cell, r.nodeid or r.test]  # `_key_of`, without a call
            seen.findings += 1
            seen.sensitive += r.sensitive
            seen.failed += not r.ok
        elif isinstance(r, Measured):
            found[r.run, r.cell, r.nodeid or r.test].measurements += 1
        elif isinstance(r, Proof):
            found[_key_of(r)].proofs += 1
    return found


def _key_of(r: Record) -> Key:
    return r.run, r.cell, r.nodeid or r.test
