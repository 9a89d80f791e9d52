"""Judges tests that were asked again (`pytest --retry-of RUN`): both answers, and whether a clause allows them. Pure.

A retry alone supersedes trouble of the host or of ours, and the verdict lists it. A failure of the engine is a flake:
red, unless a clause of the policy names its cell and test, matches its words, has an owner and an end that is not over,
and the failures stay within its rate. The rate divides by the questions that had to be asked, so that asking more often
does not lower it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase

from matrix.judging.status import GREEN
from matrix.signature import extract_match
from reports.evidence.asked_again import group_alike, name_tests
from reports.evidence.attempts import HOST_ERROR, INFRASTRUCTURE
from reports.evidence.finding import Finding
from reports.evidence.summary import CellRow, SettledTest
from reports.evidence.types import AFTER, CRASH, Found, Record, Result
from reports.gate.clauses import Flake
from reports.gate.policy import Policy

Said = tuple[str, str, str]  # cell, rule, sentence


@dataclass(frozen=True, kw_only=True)
class AskedAgain:
    """The reasons and notes that retries add to a verdict."""

    reasons: tuple[Said, ...] = ()
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How often a test failed, and out of how many questions."""

    failed: int
    asked: int

    @property
    def rate(self) -> float:
        """The share of failed attempts among all that count: the failed ones, and one answer to each question."""
        return self.failed / (self.failed + self.asked)

    def __str__(self) -> str:
        return f"{self.failed} of {self.failed + self.asked} attempts failed, {self.rate:.1%}"


def judge_attempts(policy: Policy, rows: Sequence[CellRow], records: Sequence[Record], today: date) -> AskedAgain:
    """Judge every test of these cells that has more than one answer."""
    bad = _gather_bad_findings(records)
    reasons: list[Said] = []
    told: list[str] = []
    for row in rows:
        for test in row.tests:
            if test.attempts is None or not test.attempts.failed:
                continue
            why = "" if _is_allowed(policy, test) else _explain_red(policy.flakes, test, rows, bad, today)
            reasons += [(row.cell, "flake", f"{test.name} came to {test.told}; {why}")] if why else []
            told += [] if why else [_tell_allowed(policy.flakes, test, rows, today)]
        told += _tell_superseded(row)
        reasons += ((row.cell, "launch", why) for why in _untold_launches(row))
    return AskedAgain(reasons=tuple(reasons), told=tuple(told))


def _is_allowed(policy: Policy, test: SettledTest) -> bool:
    """Return whether the policy would accept each failed answer without a retry."""
    return test.attempts is not None and all(r.status in policy.allow for r in test.attempts.failed)


def _explain_red(
    flakes: Sequence[Flake],
    test: SettledTest,
    rows: Sequence[CellRow],
    bad: Mapping[tuple[str, str, str], Sequence[str]],
    today: date,
) -> str:
    """Explain why a flake is red; empty where each failed attempt is allowed, or the standing answer is red by
    itself."""
    if test.attempts is None or not test.attempts.flaked:
        return ""
    for failed in test.attempts.failed:
        fitting = [c for c in _find_clauses(flakes, test) if _fits_clause(c, test, failed, bad)]
        if not fitting:
            return _explain_unallowed(flakes, test, failed)
        whys = [_explain_clause(clause, test, rows, today) for clause in fitting]
        if all(whys):
            return whys[0]
    return ""


def _explain_unallowed(flakes: Sequence[Flake], test: SettledTest, failed: Result) -> str:
    if not _find_clauses(flakes, test):
        return "a retry does not excuse an engine: no `flakes` of the policy allows that."
    return f"what was said in run {failed.run} does not fit the signature of the policy's `flakes` for this test."


def _explain_clause(clause: Flake, test: SettledTest, rows: Sequence[CellRow], today: date) -> str:
    """Explain why a matching clause does not hold; empty where it does."""
    share = measure_share(clause, _function_of(test), rows)
    if clause.until < today:
        return f"{clause.owner} allowed that until {clause.until} only."
    if share.asked < clause.least_asked:
        return f"of {share.asked} questions no rate can be told, {clause.least_asked} are wanted ({clause.owner})."
    if share.rate > clause.rate:
        return f"that is too often: {share}, at most {clause.rate:.1%} are allowed ({clause.owner})."
    return ""


def measure_share(clause: Flake, function: str, rows: Sequence[CellRow]) -> Share:
    """Measure how often one test failed in the clause's cells, out of all that had to be asked there: what a cell owes,
    and not what a run says of itself, which could say more."""
    own = [row for row in rows if fnmatchcase(row.cell, clause.cells)]
    answers = (r for row in own for t in row.tests if _function_of(t) == function for r in t.answers)
    return Share(
        failed=sum(r.status not in GREEN | INFRASTRUCTURE for r in answers),
        asked=sum(name_function(name) == function for row in own for name in row.owed or row.expected),
    )


def name_function(nodeid: str) -> str:
    """Return the function of a node id: `suites/test_x.py::test_y[cell-1024]` -> `test_y`."""
    return (nodeid.partition("::")[2] or nodeid).partition("[")[0]


def _function_of(test: SettledTest) -> str:
    return name_function(test.nodeid)


def _find_clauses(flakes: Sequence[Flake], test: SettledTest) -> list[Flake]:
    return [c for c in flakes if fnmatchcase(test.cell, c.cells) and _function_of(test) in c.tests]


def _gather_bad_findings(records: Sequence[Record]) -> dict[tuple[str, str, str], list[str]]:
    """Gather each failed finding by run, cell and node id, without question and expectation."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for r in records:
        if isinstance(r, Found) and not r.ok:
            said = Finding(check=r.check, ok=False, expected="", got=r.got, detail=r.detail).explain()
            found.setdefault((r.run, r.cell, r.nodeid), []).append(said)
    return found


def _fits_clause(
    clause: Flake, test: SettledTest, failed: Result, bad: Mapping[tuple[str, str, str], Sequence[str]]
) -> bool:
    """Return whether every text of a failed attempt matches the clause."""
    # Findings where there are any: the message of an assertion repeats the question, which a signature could fit by
    # accident.
    texts = bad.get((failed.run, test.cell, test.nodeid)) or [failed.message]
    return all(extract_match(clause.signature, text) for text in texts)


def _tell_allowed(flakes: Sequence[Flake], test: SettledTest, rows: Sequence[CellRow], today: date) -> str:
    """Describe both answers, and the clauses that allow them."""
    holding = [c for c in _find_clauses(flakes, test) if not _explain_clause(c, test, rows, today)]
    allowed = [
        f" Allowed until {c.until} by {c.owner} ({c.issue}): {measure_share(c, _function_of(test), rows)},"
        f" at most {c.rate:.1%}."
        for c in holding
        if test.attempts is not None and test.attempts.flaked
    ]
    return f"{test.cell}: {test.name} came to {test.told}.{''.join(allowed)}"


def _tell_superseded(row: CellRow) -> Iterator[str]:
    """Yield one line for all tests of a cell with equal answers."""
    retried = (t for t in row.tests if t.attempts and t.attempts.superseded and not t.attempts.failed)
    for tests in group_alike(retried):
        yield f"{row.cell}: {name_tests(tests)} came to {tests[0].told}."


def _untold_launches(row: CellRow) -> Iterator[str]:
    """Yield launches that a retry supersedes and no test reports: one that failed, or that followed a crash. Such a
    launch is excused only together with the test that reports it."""
    told = {r.run for t in row.tests if t.attempts for r in t.attempts.failed}
    for launch in row.launches:
        if launch in row.standing or launch.run in told:
            continue
        if launch.outcome not in ("ok", HOST_ERROR):
            yield f"its engine did not start in run {launch.run} ({launch.outcome}), which no test of that run tells."
        elif launch.data.get(AFTER) == CRASH:
            yield f"its engine crashed in run {launch.run}, which no test of this cell tells and no retry excuses."
