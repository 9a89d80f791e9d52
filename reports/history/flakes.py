"""Finds tests that fail now and then: one plan answered both ways and turned back, with the bounds of the failure rate.

A test that passed until some run and fails since is a change and no flake: `glm-matrix history bisect-start`.

Bounds are Clopper-Pearson, one-sided at 95 % each: 1 of 20 says between 0.3 % and 22 %.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Final

from matrix.judging.statistics import lower_bound, upper_bound
from matrix.judging.status import Status

GOOD: Final = frozenset({Status.PASS, Status.MEASURED, Status.XPASS})
BAD: Final = frozenset({Status.FAIL, Status.CRASH, Status.HANG, Status.FLAKE, Status.XFAIL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaky:
    """A test of a cell that one plan answered both ways. `runs` are those that failed, the first and the last."""

    cell: str
    nodeid: str
    fingerprint: str
    failures: int
    tries: int
    runs: tuple[str, str]
    since: str  # of the first failure

    @property
    def rate(self) -> float:
        return self.failures / self.tries

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest failure rate that these counts leave."""
        return lower_bound(self.failures, self.tries), upper_bound(self.failures, self.tries)


def find_flakes(connection: sqlite3.Connection, *, cells: str = "*") -> list[Flaky]:
    """Find every flaky test, the most certain rate first."""
    ever_bad = ", ".join(f"'{status}'" for status in sorted(BAD))  # few tests ever failed
    failed = f"SELECT DISTINCT cell, nodeid FROM results WHERE status IN ({ever_bad})"  # noqa: S608
    joined = f"results r JOIN ({failed}) f ON r.cell = f.cell AND r.nodeid = f.nodeid"
    rows = connection.execute(
        f"SELECT r.cell, r.nodeid, fingerprint, run, t, status FROM {joined} ORDER BY r.cell, r.nodeid, fingerprint, t"  # noqa: S608
    )
    found = [flaky for flaky in _group_rows(rows) if fnmatchcase(flaky.cell, cells)]
    # By the lower bound and not by the rate: one failure of two is a rate of a half, and says next to nothing.
    return sorted(found, key=lambda f: (-f.bounds[0], f.cell, f.nodeid))


def _group_rows(rows: Iterable[tuple[str, str, str, str, str, str]]) -> Iterator[Flaky]:
    key, own = ("", "", ""), list[tuple[str, str, str]]()
    for cell, nodeid, fingerprint, run, t, status in rows:
        if (cell, nodeid, fingerprint) != key:
            yield from _judge_answers(key, own)
            key, own = (cell, nodeid, fingerprint), []
        own.append((run, t, status))
    yield from _judge_answers(key, own)


def _judge_answers(key: tuple[str, str, str], own: Iterable[tuple[str, str, str]]) -> Iterator[Flaky]:
    answers = [(run, t, status) for run, t, status in own if status in GOOD or status in BAD]
    failed = [(run, t) for run, t, status in answers if status in BAD]
    # One turn is a change since some run; a flake turns back. A run's own FLAKE has turned within that run.
    if failed and (_count_turns([status in BAD for _, _, status in answers]) > 1 or _has_flake(answers)):
        cell, nodeid, fingerprint = key
        yield Flaky(
            cell=cell,
            nodeid=nodeid,
            fingerprint=fingerprint,
            failures=len(failed),
            tries=len(answers),
            runs=(failed[0][0], failed[-1][0]),
            since=failed[0][1],
        )


def _count_turns(bad: Sequence[bool]) -> int:
    """Count how often the answer changed from one run to the next."""
    return sum(a is not b for a, b in pairwise(bad))


def _has_flake(answers: Iterable[tuple[str, str, str]]) -> bool:
    return any(status == Status.FLAKE for _, _, status in answers)
