"""One run's records -> an answer about its release. Trouble of the host, and another failure, are no answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from matrix.bisecting.posterior import Answer
from matrix.judging.status import ANSWERED_BAD, ANSWERED_GOOD, Status
from reports.evidence.cause_line import find_cause
from reports.evidence.defuse import defuse_line
from reports.evidence.summary import LAUNCHED
from reports.evidence.types import Found, Launch, Record, Result

SAID_CHARS: Final = 160
EXCEPTION: Final = re.compile(r"[\w.]*(?:Error|Exception|Interrupt)")


@dataclass(frozen=True, slots=True)
class FailureShape:
    """How a failure shows: a failure of another shape is another failure, and says nothing about this one."""

    test: str  # "" of a launch that failed, which any test may tell
    at: str
    how: str
    check: str  # of the first finding that is not ok; of a launch, the exception that it failed with

    @property
    def at_launch(self) -> bool:
        """Whether the engine did not start."""
        return not self.test

    def __str__(self) -> str:
        what = f"{self.test} " if self.test else "the launch "
        return f"{what}({', '.join(w for w in (self.at, self.how, self.check) if w)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What one run says of its release. `shape`: of the failure, where there is one."""

    answer: Answer
    why: str
    shape: FailureShape | None = None
    run: str = ""
    nodeid: str = ""


def observe_run(
    records: Sequence[Record],
    cell: str,
    test: str = "",
    wanted: FailureShape | None = None,
    ignored: frozenset[FailureShape] = frozenset(),
) -> Observed:
    """Judge the records of one run by one test of a cell, or by all its tests where `test` is empty.

    `wanted`: the failure that is searched for; without it any failure is bad but those `ignored`.
    """
    own = [r for r in records if isinstance(r, Result) and r.cell == cell and test in ("", r.test)]
    run = own[0].run if own else ""
    if why := _doubt_run(own, records, cell):
        return Observed(answer="none", why=why, run=run)
    # by shape, not by test: another failure of the wanted test says nothing of the one that is searched for
    failed = [(r, shape) for r in own if r.status in ANSWERED_BAD and (shape := shape_of(r, records)) not in ignored]
    for result, shape in failed:
        if wanted in (None, shape):
            return Observed(answer="bad", why=_describe_result(result), shape=shape, run=run, nodeid=result.nodeid)
    # what could have shown the failure; a pass elsewhere is no sign that it is gone
    decisive = [r for r in own if wanted is None or _is_about(r, wanted)]
    # of a wanted launch failure, any test that ran proves the launch, even where that test fails
    otherwise = [(r, shape) for r, shape in failed if not decisive or (r in decisive and not _is_launch(wanted))]
    if otherwise:
        result, shape = otherwise[0]
        why = f"it fails otherwise: {shape}: {_describe_result(result)}"
        return Observed(answer="none", why=why, shape=shape, run=run, nodeid=result.nodeid)
    # one skipped test among several keeps the release from being called good: the failure may have been there
    silent = [r for r in decisive if r.status not in ANSWERED_GOOD | ANSWERED_BAD] if decisive else own
    if silent:
        asked = "" if decisive else "it was not asked: "
        return Observed(answer="none", why=f"{asked}{_describe_result(silent[0])}", run=run, nodeid=silent[0].nodeid)
    why = ", ".join(sorted({str(r.status) for r in decisive}))
    return Observed(answer="good", why=why, run=run, nodeid=decisive[0].nodeid)


def _is_launch(wanted: FailureShape | None) -> bool:
    return wanted is not None and wanted.at_launch


def list_shapes(records: Sequence[Record], cell: str) -> frozenset[FailureShape]:
    """Return every way in which tests of a cell failed in a run."""
    own = (r for r in records if isinstance(r, Result) and r.cell == cell and r.status in ANSWERED_BAD)
    return frozenset(shape_of(r, records) for r in own)


def _doubt_run(own: Sequence[Result], records: Sequence[Record], cell: str) -> str:
    """Say why a run tells nothing of the release; empty where it does."""
    if not own:
        return f"nothing was asked of {cell}"
    launches = [r for r in records if isinstance(r, Launch)]
    if any(r.stub for r in launches):
        return "a stub engine answered"
    # a run that accepted another version or GPU than the cell's tells nothing of the cell's release
    accepted = sorted({str(part) for r in launches for part in r.cautions})
    return f"another {', '.join(accepted)} than the cell's was accepted" if accepted else ""


def _is_about(result: Result, wanted: FailureShape) -> bool:
    """Whether a result tells of the failure that is searched for: of its test, or, of a launch, that it succeeded."""
    if wanted.at_launch:
        # NOT_RUN_AS_KNOWN is bad without a launch: the known failure spared the boot, so it proves none
        return result.at not in LAUNCHED and result.status in ANSWERED_GOOD | ANSWERED_BAD - {Status.NOT_RUN_AS_KNOWN}
    return result.test == wanted.test


def shape_of(result: Result, records: Sequence[Record]) -> FailureShape:
    """Return how a failed result shows."""
    if result.at in LAUNCHED or result.status == Status.NOT_RUN_AS_KNOWN:
        # the exception alone: ports, ids and addresses behind it differ from boot to boot
        cause = find_cause(result.message).partition(":")[0]
        return FailureShape("", result.at or "before_ready", result.how, cause if EXCEPTION.fullmatch(cause) else "")
    checks = (
        r.check
        for r in records
        if isinstance(r, Found) and r.nodeid == result.nodeid and r.run == result.run and not r.ok
    )
    return FailureShape(result.test or result.nodeid, result.at, result.how, next(checks, ""))


def _describe_result(result: Result) -> str:
    return defuse_line(f"{result.status} {find_cause(result.message)}".strip(), SAID_CHARS)
