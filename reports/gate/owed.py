"""Reports tests that a cell owes and that left no result: MISSING, each by name, suite by suite."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from matrix.planning.owed import Depth
from matrix.wording import list_first
from reports.evidence.summary import CellRow, SettledTest

SHOWN: Final = 10  # tests of one suite; the rest is counted


def tell_missing(row: CellRow, depth: Depth) -> Iterator[tuple[str, str]]:
    """Yield a rule and a sentence for each suite with an owed test that did not run."""
    absent = sorted((t for t in row.tests if is_absent(t)), key=lambda t: (t.suite, t.name))
    for suite, tests in groupby(absent, key=lambda t: t.suite):
        names = [t.name for t in tests]
        if len(names) == 1:
            yield "missing", f"{names[0]} came to MISSING: it is owed at depth {depth}, and no result was recorded."
            continue
        what = f"{len(names)} tests of the suite {suite} that it owes at depth {depth}"
        yield "missing", f"{what} came to MISSING, no result was recorded: {list_first(names, SHOWN)}."


def is_absent(test: SettledTest) -> bool:
    """Return whether a test recorded nothing; a skip without a status is MISSING as well, and has a message."""
    return test.result is None
