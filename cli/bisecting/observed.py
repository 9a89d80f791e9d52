"""One run's records -> an answer about its release. Trouble of the host, and another failure, are no answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matrix.bisecting.posterior import Answer
from matrix.judging.status import ANSWERED_BAD, ANSWERED_GOOD, Status
from reports.evidence.cause_line import find_cause
from reports.evidence.defuse import defuse_line
from reports.evidence.summary import LAUNCHED
from reports.evidence.types import Found, Launch, Record, Result

SAID_CHARS = 160


@dataclass(frozen=True, slots=True)
class Shape:
    """How a failure shows: a failure of another shape is another failure, and says nothing about this one."""

    test: str  # "" of a launch that failed, which any test may tell
    at: str
    how: str
    check: str  # of the first finding that is not ok

    def __str__(self) -> str:
        what = f"{self.test} " if self.test else "the launch "
        return f"{what}({', '.join(w for w in (self.at, self.how, self.check) if w)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What one run says of its release. `shape`: of the failure, where there is one."""

    answer: Answer
    why: str
    shape: Shape | None = None
    run: str = ""
    nodeid: str = ""


def observe_run(records: Sequence[Record], cell: str, test: str = "", wanted: Shape | None = None) -> Observed:
    """Judge the records of one run by one test of a cell, or by all its tests where `test` is empty.

    `wanted`: the failure that is searched for; without it any failure is bad.
    """
    own = [r for r in records if isinstance(r, Result) and r.cell == cell and test in ("", r.test)]
    run = own[0].run if own else ""
    if not own:
        return Observed(answer="none", why=f"nothing was asked of {cell}")
    if any(isinstance(r, Launch) and r.stub and r.cell in ("", cell) for r in records):
        return Observed(answer="none", why="a stub engine answered", run=run)
    failed = [(r, shape_of(r, records)) for r in own if r.status in ANSWERED_BAD]
    for result, shape in failed:
        if wanted in (None, shape):
            return Observed(answer="bad", why=_say(result), shape=shape, run=run, nodeid=result.nodeid)
    if failed:
        result, shape = failed[0]
        why = f"it fails otherwise: {shape}: {_say(result)}"
        return Observed(answer="none", why=why, shape=shape, run=run, nodeid=result.nodeid)
    silent = [r for r in own if r.status not in ANSWERED_GOOD]
    if silent:
        return Observed(answer="none", why=_say(silent[0]), run=run, nodeid=silent[0].nodeid)
    return Observed(answer="good", why=", ".join(sorted({str(r.status) for r in own})), run=run, nodeid=own[0].nodeid)


def shape_of(result: Result, records: Sequence[Record]) -> Shape:
    """Return how a failed result shows."""
    if result.at in LAUNCHED or result.status == Status.NOT_RUN_AS_KNOWN:
        return Shape("", result.at or "before_ready", result.how, "")
    checks = (
        r.check
        for r in records
        if isinstance(r, Found) and r.nodeid == result.nodeid and r.run == result.run and not r.ok
    )
    return Shape(result.test or result.nodeid, result.at, result.how, next(checks, ""))


def _say(result: Result) -> str:
    return defuse_line(f"{result.status} {find_cause(result.message)}".strip(), SAID_CHARS)
