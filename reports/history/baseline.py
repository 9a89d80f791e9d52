"""Chooses earlier launches as a baseline: green cells of sealed runs, of the newest plan, on one hardware.

The result is evidence that `--baseline` and a gate's clause `throughput` read: the run, its launches and its numbers.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from matrix.errors import ConfigError, Problem
from matrix.judging.status import GREEN
from reports.compare.slower import BASELINE_LAUNCHES
from reports.evidence.files import iterate_lines, parse_line
from reports.evidence.types import Launch, Measured, Record, Run
from reports.history.index import iterate_distinct

MOST_RUNS: Final = 10  # of one cell; the newest
WANTED: Final = re.compile(rb'"kind"\s*:\s*"(?:run|launch|measurement)"')
NUMBER_OF: Final = re.compile(rb'\{"cell":"([^"\\]+)","conditions":')  # how a number begins, its keys sorted
OTHER: Final = re.compile(rb'"kind":"(?:finding|result|proof|cell|expected|kept|end)"')
DONE: Final = tuple(sorted(str(status) for status in GREEN))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRuns:
    """The runs that make the baseline of one cell, the oldest first."""

    cell: str
    runs: tuple[str, ...]

    @property
    def enough(self) -> bool:
        return len(self.runs) >= BASELINE_LAUNCHES


def choose_runs(connection: sqlite3.Connection, *, cells: str = "*", most: int = MOST_RUNS) -> list[ChosenRuns]:
    """Choose for each cell the newest green runs of its newest plan, on the hardware of the newest of them."""
    measured = [cell for (cell,) in iterate_distinct(connection, "numbers", ("cell",)) if fnmatchcase(cell, cells)]
    bad = _find_bad(connection)
    found: list[ChosenRuns] = []
    for cell in measured:
        own = [row for row in _read_runs(connection, cell) if not {(row[0], cell), row[:2]} & bad]
        if own:
            found.append(ChosenRuns(cell=cell, runs=tuple(_iterate_alike(own, most))))
    return found


def _read_runs(connection: sqlite3.Connection, cell: str) -> list[tuple[str, str, str]]:
    """Read run, plan and hardware of every run that measured a cell, the newest first."""
    return connection.execute(
        "SELECT run, fingerprint, hardware FROM numbers WHERE cell = ? GROUP BY run ORDER BY min(t) DESC", (cell,)
    ).fetchall()


def _find_bad(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Find what is no baseline: run and cell of a test that was not green, run and cell or plan of a failed start or a
    stub."""
    done = ", ".join(f"'{status}'" for status in DONE)
    found = set(connection.execute(f"SELECT DISTINCT run, cell FROM results WHERE status NOT IN ({done})"))  # noqa: S608
    for run, cell, fingerprint in connection.execute(
        "SELECT run, cell, fingerprint FROM launches WHERE stub OR outcome != 'ok'"
    ):
        found |= {(run, cell), (run, fingerprint)}
    return found


def _iterate_alike(own: Sequence[tuple[str, str, str]], most: int) -> Iterator[str]:
    _, fingerprint, hardware = own[0]
    fitting = [run for run, its_plan, its_hardware in own if (its_plan, its_hardware) == (fingerprint, hardware)]
    yield from reversed(fitting[:most])


def write_baseline(
    folder: Path, places: Mapping[str, Mapping[str, str]], chosen: Sequence[ChosenRuns], out: Path
) -> int:
    """Write the records of the chosen runs, and return their number. `places` maps a run to its parts and their files.

    Raises:
        ConfigError: a file vanished.
    """
    wanted: dict[str, set[str]] = {}
    files: dict[str, None] = {}
    for each in chosen:
        for part, path in (item for run in each.runs for item in places[run].items()):
            wanted.setdefault(part, set()).add(each.cell)
            files[path] = None
    out.parent.mkdir(parents=True, exist_ok=True)
    cells, count = {each.cell for each in chosen}, 0
    with out.open("wb") as file:
        for path in files:
            for line, record in _read_measured(folder / path, cells):
                if _is_wanted(record, wanted):
                    file.write(line)  # as it was sealed, with what a newer writer says beyond this program
                    count += 1
    return count


def _read_measured(path: Path, cells: Set[str]) -> Iterator[tuple[bytes, Record]]:
    """Yield the runs, launches and numbers of these cells with their lines, a quarter of a file at most; no other line
    is parsed.

    Raises:
        ConfigError: it vanished, or cannot be read.
    """
    newer: set[str] = set()
    try:
        for line in iterate_lines(path):
            # Only a line that names another kind, or another cell, spelled as our writer spells it, is passed over.
            if OTHER.search(line) and not WANTED.search(line):
                continue
            if (named := NUMBER_OF.match(line)) and named[1].decode("utf-8", "replace") not in cells:
                continue
            with suppress(ValueError):  # a damaged line is no number; whether its run is sealed, the index has asked
                yield line, parse_line(line, newer)
    except OSError as error:
        raise ConfigError([Problem(str(path), 0, "", f"cannot be read: {error.strerror}")]) from None


def _is_wanted(record: Record, wanted: Mapping[str, set[str]]) -> bool:
    own = wanted.get(record.run)
    if own is None:
        return False
    return isinstance(record, Run) or (isinstance(record, Launch | Measured) and record.cell in own)
