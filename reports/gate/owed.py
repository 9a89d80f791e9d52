"""Reports tests that a cell owes and that left no result: MISSING, each by name, suite by suite.

A test that had found something wrong when its run was cut short has no result there, and one that met trouble of the
host or of ours behind its finding has a result that any retry supersedes. A later pass would hide that failure; so the
cell is red.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final

from matrix.judging.status import Status
from matrix.planning.owed import Depth
from matrix.wording import cut_line, list_first
from reports.evidence.attempts import INFRASTRUCTURE
from reports.evidence.summary import CellRow, SettledTest
from reports.evidence.types import Found, Record, Result

SHOWN: Final = 10  # tests of one suite; the rest is counted
SAID_CHARS: Final = 200
PASSED: Final = frozenset({Status.PASS, Status.MEASURED})


def tell_missing(
    row: CellRow, depth: Depth, takes: Callable[[str], bool] = lambda suite: True
) -> Iterator[tuple[str, str]]:
    """Yield a rule and a sentence for each suite that `takes` takes and that has an owed test that did not run."""
    absent = sorted((t for t in row.tests if is_absent(t) and takes(t.suite)), key=lambda t: (t.suite, t.name))
    for suite, tests in groupby(absent, key=lambda t: t.suite):
        names = [t.name for t in tests]
        if len(names) == 1:
            yield "missing", f"{names[0]} came to MISSING: it is owed at depth {depth}, and no result was recorded."
            continue
        what = f"{len(names)} tests of the suite {suite} that it owes at depth {depth}"
        yield "missing", f"{what} came to MISSING, no result was recorded: {list_first(names, SHOWN)}."


def tell_hidden(row: CellRow, records: Sequence[Record]) -> Iterator[tuple[str, str]]:
    """Yield a rule and a sentence for each passed test that failed a check in an attempt without an answer."""
    ended = {(r.run, r.nodeid): r.status for r in records if isinstance(r, Result)}
    passed = {test.nodeid: test.name for test in row.tests if test.status in PASSED}
    failed: dict[tuple[str, str], Found] = {}
    for r in records:
        unanswered = ended.get((r.run, r.nodeid), Status.MISSING) in INFRASTRUCTURE
        if isinstance(r, Found) and not r.ok and r.nodeid in passed and unanswered:
            failed.setdefault((r.run, r.nodeid), r)
    for (run, nodeid), found in failed.items():
        said = f"{found.check}: {found.detail or found.got}"
        end = f"it came to {status}" if (status := ended.get((run, nodeid))) else "that run was cut short"
        yield (
            "cut",
            f"{passed[nodeid]} had failed in run {run} ({said}) when {end}, and no later pass answers"
            " for it: run the cell anew.",
        )


def tell_contradicted(row: CellRow, records: Sequence[Record]) -> Iterator[tuple[str, str]]:
    """Yield a rule and a sentence for each passed test with a failed check in the very run that it passed in. No suite
    leaves one: an assertion was lost on the way, or the result was edited, and without a replay nobody would look."""
    passed = {(t.result.run, t.nodeid): t for t in row.tests if t.result and t.status in PASSED}
    for r in records:
        if isinstance(r, Found) and not r.ok and (test := passed.pop((r.run, r.nodeid), None)):
            said = cut_line(f"{r.check}: {r.detail or r.got}", SAID_CHARS)
            yield "contradicted", f"{test.name} came to {test.status}, and its own run has a failed check: {said}."


def is_absent(test: SettledTest) -> bool:
    """Return whether a test recorded nothing; a skip without a status is MISSING as well, and has a message."""
    return test.result is None
