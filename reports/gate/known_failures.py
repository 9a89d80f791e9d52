"""Checks known failures again, from the evidence alone: today's entry must match what was recorded.

An entry that was renamed, retired, narrowed or given another signature since excuses nothing, and neither does a result
that did not record how it failed. A launch is reported once, however many tests it left unasked.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from fnmatch import fnmatchcase

from matrix.judging.status import Status
from matrix.known.failures import LAUNCH, remove_cell, speaks_of_test
from matrix.recorded import KnownFailure
from matrix.signature import extract_match
from reports.evidence.summary import CellRow, SettledTest
from reports.evidence.types import Result
from reports.expected import ExpectedCell
from reports.gate.allowances import NotRun
from reports.gate.policy import Policy

Found = Iterator[tuple[str, str]]  # rule, sentence


def tell_known_failures(cell: ExpectedCell, row: CellRow, today: date) -> Found:
    """Yield each overdue entry, and each result that names an entry which does not describe it."""
    for id_, known in cell.known_failures.items():
        if known.review_by < today:
            yield "expired", f"its known failure {id_} was to be reviewed by {known.review_by}: look again."
    for test in row.tests:
        for result in test.answers:
            if result.status is Status.XFAIL and (why := _explain_doubt(cell, test, result)):
                yield "xfail", f"{test.name} was expected to fail, but {why}."
    yield from _doubt_launch(cell, row)


def tell_not_run(policy: Policy, row: CellRow, today: date) -> Found:
    """Yield why a cell without any answer may not be missing: no clause of the policy holds for it."""
    for id_ in sorted({t.result.known_failure for t in row.tests if t.result}):
        clauses = [c for c in policy.not_run if allows_not_run(c, id_, row.cell)]
        if not clauses:
            yield "not_run", f"did not run, as its known failure {id_} says; no `not_run` of the policy allows that."
        elif (last := max(clauses, key=lambda c: c.until)).until < today:
            yield "not_run", f"did not run, as {id_} says; {last.owner} allowed that until {last.until} only."


def allows_not_run(clause: NotRun, known_failure: str, cell: str) -> bool:
    """Return whether a clause names this entry and this cell."""
    return clause.known_failure == known_failure and fnmatchcase(cell, clause.cells)


def _explain_doubt(cell: ExpectedCell, test: SettledTest, result: Result) -> str:
    """Explain why a recorded excuse does not hold today; empty where it does."""
    named = result.known_failure
    known = cell.known_failures.get(named)
    if known is None:
        return f"names {named!r}, which does not speak about this cell" if named else "names no known failure"
    asked = remove_cell(test.nodeid.partition("::")[2], cell.id)
    if known.fails.at == "test" and not speaks_of_test(known.fails, result.test, asked):
        return f"{named} is about {known.fails.test}"
    return _explain_mismatch(known, result)


def _explain_mismatch(known: KnownFailure, result: Result) -> str:
    fails = known.fails
    if not result.at or not result.how:
        return f"how it failed was not recorded, so {known.id} cannot be held against it: run it again"
    # Where and how first: a signature may fit the words of another failure.
    if (result.at, result.how) != (fails.at, fails.how):
        return f"{known.id} shows as {fails.how} at {fails.at}, and this was {result.how} at {result.at}"
    if fails.http_status is not None and result.http_status != fails.http_status:
        return f"{known.id} shows as HTTP {fails.http_status}, and this was HTTP {result.http_status}"
    # Held against the recorded match, not the message: reports shorten and redact messages.
    if not extract_match(fails.signature, result.matched):
        return f"the signature of {known.id} does not fit what was recorded"
    return ""


def _doubt_launch(cell: ExpectedCell, row: CellRow) -> Found:
    """Yield what is wrong with tests that report a known launch failure; one test of each run carries its words."""
    tests = [(t, t.result) for t in row.tests if t.status is Status.NOT_RUN_AS_KNOWN and t.result]
    if tests and row.launch and row.launch.outcome == "ok":
        yield "not_run", "says that it did not run, as known, but an engine was launched."
    told: dict[tuple[str, str], list[str]] = {}  # run and entry -> what is doubted of each test that carries the words
    for test, result in tests:
        of_launch = told.setdefault((result.run, result.known_failure), [])
        if result.matched:
            of_launch.append(_doubt_excuse(cell, test, result))
    for (_, id_), doubts in told.items():
        # One test of a run carries the launch's words for all; one that carries wrong ones makes the others doubtful,
        # too.
        if not doubts or any(doubts):
            why = next(filter(None, doubts), f"no test of its run recorded the words by which {id_} was known")
            yield "not_run", f"says that it did not run, as known, but {why}."


def _doubt_excuse(cell: ExpectedCell, test: SettledTest, result: Result) -> str:
    known = cell.known_failures.get(result.known_failure)
    if known is not None and known.fails.at not in LAUNCH:
        return f"{known.id} is not about the launch"
    return _explain_doubt(cell, test, result)
