"""Changes pytest's report of a test that failed as a known failure describes.

A failure that an entry of its cell describes is XFAIL in a test and NOT_RUN_AS_KNOWN at the launch. A pass where the
entry expects a failure always is XPASS. Any other result keeps its status and lists the entries that were considered.
The first test of a cell reports a failed launch; the cell's other tests were not asked and name that test.

The plugin that collects tests (matrix.collection.plugin) puts what is known of a cell into the item's stash under
`KNOWN`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from matrix.collection.plugin import KNOWN
from matrix.errors import MatrixError, find_launch_error
from matrix.judging.status import Status
from matrix.known.failures import (
    LAUNCH,
    FailureMatch,
    KnownOfCell,
    explain_mismatches,
    match_known_failure,
    remove_cell,
    speaks_of_test,
)
from matrix.recorded import KnownFailure
from matrix.yaml.loaded import Loaded
from reports.evidence import outcome
from reports.evidence.failure import describe_failure
from reports.evidence.finding import Finding

EXCUSABLE = frozenset({Status.FAIL, Status.CRASH, Status.HANG})
PASSED = frozenset({Status.PASS, Status.MEASURED})
ROLLED_UP = frozenset({Status.NOT_ASKED, Status.NOT_RUN_AS_KNOWN})
SHOWN_ENTRIES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseOutcome:
    """The outcome of one phase of a test. The last four fields are recorded, so that the gate can check the entry
    again."""

    status: Status
    message: str = ""
    known_failure: str = ""
    at: str = ""
    how: str = ""
    http_status: int | None = None
    matched: str = ""

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that become evidence, next to status and message."""
        names = ("known_failure", "at", "how", "http_status", "matched")
        return {n: value for n in names if (value := getattr(self, n)) not in ("", None)}


@dataclass(slots=True)
class Launches:
    """Launches that this process has reported, by cell: the failures, and the entries that were contradicted."""

    failed: dict[str, list[tuple[MatrixError, PhaseOutcome, str]]] = field(default_factory=dict)
    contradicted: set[tuple[str, str]] = field(default_factory=set)


LAUNCHES = pytest.StashKey[Launches]()


def settle_phase(
    item: pytest.Item,
    report: pytest.TestReport,
    error: BaseException | None,
    status: Status,
    findings: Sequence[Finding],
) -> PhaseOutcome:
    """Settle the outcome of a phase, and change pytest's report where a known failure or a reported launch applies."""
    plain = PhaseOutcome(
        status=status, message=outcome.make_message(report, error, status) if status is not Status.PASS else ""
    )
    launches = item.config.stash.setdefault(LAUNCHES, Launches())
    known, cell = item.stash.get(KNOWN, KnownOfCell()), _name_cell(item)
    if launch := find_launch_error(error) if report.failed else None:
        return _settle_launch(item, report, launch, plain, launches.failed.setdefault(cell, []))
    if report.failed and error is not None and status in EXCUSABLE and report.when != "teardown":
        return _settle_failure(item, report, error, plain, findings)
    if report.when == "call" and status in PASSED:
        return _settle_pass(item, report, plain, known, launches)
    return plain


def _settle_launch(
    item: pytest.Item,
    report: pytest.TestReport,
    launch: MatrixError,
    plain: PhaseOutcome,
    failed: list[tuple[MatrixError, PhaseOutcome, str]],
) -> PhaseOutcome:
    """Report a failed launch once per cell; later tests of the cell were not asked."""
    if earlier := next(((told, where) for e, told, where in failed if e is launch), None):
        return _roll_up(report, *earlier)
    told = replace(plain, at=launch.at)
    if plain.status in EXCUSABLE:
        told = _settle_failure(item, report, launch, plain, ())
    failed.append((launch, told, item.nodeid))
    return told


def _roll_up(report: pytest.TestReport, told: PhaseOutcome, where: str) -> PhaseOutcome:
    known = told.status is Status.NOT_RUN_AS_KNOWN
    status = told.status if known else Status.NOT_ASKED
    why = f"as {told.known_failure} says" if known else f"{told.status}: {told.message.partition(chr(10))[0]}"
    message = f"not asked: the engine did not start, {why}; told by {where}"
    _mark_skipped(report, f"{status}: {message}", where.partition("::")[0])
    return PhaseOutcome(status=status, message=message, known_failure=told.known_failure if known else "", at=told.at)


def _settle_failure(
    item: pytest.Item, report: pytest.TestReport, error: BaseException, plain: PhaseOutcome, findings: Sequence[Finding]
) -> PhaseOutcome:
    known = item.stash.get(KNOWN, KnownOfCell())
    failure = describe_failure(error, findings, known, test=_name_test(item), test_id=item.name, cell=_name_cell(item))
    told = replace(plain, at=failure.at, how=failure.how, http_status=failure.http_status)
    if match := match_known_failure(known.entries, failure):
        return _excuse_failure(report, match, told)
    if considered := explain_mismatches(known.entries, failure)[:SHOWN_ENTRIES]:
        lines = "\n".join(f"  {line}" for line in considered)
        report.sections.append(("known failures that do not fit", lines))
        return replace(told, message=f"{told.message}\nKnown failures that do not fit:\n{lines}")
    return told


def _excuse_failure(report: pytest.TestReport, match: FailureMatch, told: PhaseOutcome) -> PhaseOutcome:
    entry, reason = match.known.value, _format_reason(match.known)
    status = Status.NOT_RUN_AS_KNOWN if entry.fails.at in LAUNCH else Status.XFAIL
    if status is Status.XFAIL:
        report.outcome, report.wasxfail = "skipped", reason
    else:
        _mark_skipped(report, f"{status}: {reason}", report.nodeid.partition("::")[0])
    return replace(told, status=status, message=reason, known_failure=entry.id, matched=match.text)


def _settle_pass(
    item: pytest.Item, report: pytest.TestReport, plain: PhaseOutcome, known: KnownOfCell, launches: Launches
) -> PhaseOutcome:
    """Turn a pass into XPASS where an entry expects a failure always. A launch that succeeded is reported once per
    cell."""
    if found := next(_find_contradicted(item, known, launches), None):
        message = f"{outcome.STRICT_XPASS} {_format_reason(found)}"
        report.outcome, report.longrepr = "failed", message
        return PhaseOutcome(status=Status.XPASS, message=message, known_failure=found.value.id, at=found.value.fails.at)
    return plain


def _find_contradicted(item: pytest.Item, known: KnownOfCell, launches: Launches) -> Iterator[Loaded[KnownFailure]]:
    test, cell, started = _name_test(item), _name_cell(item), "engine" in getattr(item, "fixturenames", ())
    for entry in (k for k in known.entries if k.value.expect == "always"):
        if speaks_of_test(entry.value.fails, test, remove_cell(item.name, cell)):
            yield entry
        elif (
            started and entry.value.fails.at in LAUNCH and (key := (cell, entry.value.id)) not in launches.contradicted
        ):
            launches.contradicted.add(key)
            yield entry


def _format_reason(known: Loaded[KnownFailure]) -> str:
    return f"{known.value.id}: {known.value.symptom} ({known.value.issue}) [{known.where()}]"


def _mark_skipped(report: pytest.TestReport, reason: str, path: str) -> None:
    """Mark a report as skipped at one path for all tests of a launch, so that pytest's summary folds them into one
    line."""
    report.outcome, report.longrepr = "skipped", (path, 0, reason)


def _name_test(item: pytest.Item) -> str:
    return str(getattr(item, "originalname", None) or item.name)


def _name_cell(item: pytest.Item) -> str:
    return next((str(v) for k, v in item.user_properties if k == "cell"), "")
