"""Shows how the numbers of each cell went over time, and whether the last one is beyond the noise before it."""

from __future__ import annotations

import json
import sqlite3
import statistics
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, Literal, NamedTuple

from reports.compare.slower import BASELINE_LAUNCHES, WATCHED, not_slower

LAUNCH: Final = "launch_s"
PASSED: Final = "tests_passed"
BARS: Final = "▁▂▃▄▅▆▇█"
LAST: Final = 40  # points of a line
READ_POINTS: Final = (
    "SELECT {named}, value, fingerprint, hardware FROM numbers"
    " WHERE cell = ? AND name = ? AND conditions = ? AND unit = ? ORDER BY t DESC LIMIT ?"
)
Row = tuple[str, str, float, str, str]  # of a `TrendPoint`
Word = Literal["slower", "faster", "as before", "too few to judge", "not judged"]


class TrendPoint(NamedTuple):
    """One launch or run: when, its run, and the value."""

    t: str
    run: str
    value: float
    fingerprint: str = ""
    hardware: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberTrend:
    """One number of one cell under one set of conditions, in the order of time."""

    cell: str
    name: str
    conditions: Mapping[str, Any]
    unit: str
    rows: Sequence[Row]  # as SQLite gives them: `trend` of half a year reads 200,000, and shows few of their fields

    @property
    def points(self) -> tuple[TrendPoint, ...]:
        return tuple(map(TrendPoint._make, self.rows))

    @property
    def last(self) -> TrendPoint:
        return TrendPoint._make(self.rows[-1])

    @property
    def earlier(self) -> list[float]:
        """The values before the last one, of the same plan on the same hardware."""
        *_, plan, hardware = self.rows[-1]  # another plan or another GPU is another thing that was measured
        return [row[2] for row in self.rows[:-1] if row[3] == plan and row[4] == hardware]

    @property
    def judged(self) -> tuple[Word, float | None]:
        """Whether the last value is beyond the noise of the earlier ones, and its ratio to their median."""
        earlier, value = self.earlier, self.rows[-1][2]
        ratio = value / median if earlier and (median := statistics.median(earlier)) else None
        if self.name not in WATCHED:
            return "not judged", ratio
        if len(earlier) < BASELINE_LAUNCHES:
            return "too few to judge", ratio
        more = WATCHED[self.name]
        better = ratio is not None and (ratio > 1 if more else ratio < 1)
        # Only one side of the noise is to be asked: of a better value whether it is, with more and less exchanged.
        found = not_slower(self.name, [value], earlier, more_is_better=more is not better)
        if not found.sensitive:
            return "not judged", ratio
        return ("as before" if found.ok else "faster" if better else "slower"), ratio

    @property
    def line(self) -> str:
        return draw_sparkline([row[2] for row in self.rows])


def read_trends(
    connection: sqlite3.Connection, *, cells: str, name: str, last: int = LAST, dated: bool = True
) -> Iterator[NumberTrend]:
    """Read the trends of the cells and numbers that fit these globs; not `dated`, the points of a measured number have
    neither a time nor a run, which a third of the reading goes into and a line in a table does not show."""
    read = READ_POINTS.format(named="t, run" if dated else "'', ''")
    series = connection.execute("SELECT cell, name, conditions, unit FROM series ORDER BY cell, name, conditions, unit")
    for cell, own, conditions, unit in series.fetchall():
        if not (fnmatchcase(cell, cells) and fnmatchcase(own, name)):
            continue
        # From the newest back, by the index: only the points that are drawn are read.
        if rows := connection.execute(read, (cell, own, conditions, unit, last)).fetchall():
            rows.reverse()
            yield NumberTrend(cell=cell, name=own, conditions=json.loads(conditions), unit=unit, rows=rows)
    yield from _read_launches(connection, cells, name, last)
    yield from _read_passes(connection, cells, name, last)


def _read_launches(connection: sqlite3.Connection, cells: str, name: str, last: int) -> Iterator[NumberTrend]:
    if not fnmatchcase(LAUNCH, name):
        return
    rows = connection.execute(
        "SELECT cell, t, run, launch_s, fingerprint FROM launches"
        " WHERE outcome = 'ok' AND launch_s > 0 ORDER BY cell, t"
    )
    yield from _group_numbers(rows, LAUNCH, "s", cells, last)


def _read_passes(connection: sqlite3.Connection, cells: str, name: str, last: int) -> Iterator[NumberTrend]:
    if not fnmatchcase(PASSED, name):
        return
    rows = connection.execute("SELECT cell, t, run, passed, fingerprint FROM passes ORDER BY cell, t")
    yield from _group_numbers(rows, PASSED, "tests", cells, last)


def _group_numbers(rows: Any, name: str, unit: str, cells: str, last: int) -> Iterator[NumberTrend]:
    """Group rows, which are in the order of their cells, into one trend a cell."""
    for cell, own in groupby(rows, key=itemgetter(0)):
        if fnmatchcase(cell, cells):
            found = [(t, run, float(value), plan, "") for _, t, run, value, plan in deque(own, maxlen=last)]
            yield NumberTrend(cell=cell, name=name, conditions={}, unit=unit, rows=found)


def draw_sparkline(values: Sequence[float]) -> str:
    """Draw one character for each value, from the smallest to the largest."""
    low, high = min(values), max(values)
    if not (span := high - low):
        return BARS[0] * len(values)
    steps = (len(BARS) - 1) / span
    return "".join([BARS[int((v - low) * steps + 0.5)] for v in values])
