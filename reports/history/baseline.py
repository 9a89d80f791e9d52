"""Chooses earlier launches as a baseline: green cells of sealed runs, of the newest plan, on one hardware.

The result is evidence that `--baseline` and a gate's clause `throughput` read: the run, its launches and its numbers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from matrix.judging.status import GREEN
from reports.compare.slower import BASELINE_LAUNCHES
from reports.evidence.files import format_line, read_records
from reports.evidence.types import Launch, Measured, Record, Run, dump_record

MOST_RUNS: Final = 10  # of one cell; the newest
DONE: Final = tuple(sorted(str(status) for status in GREEN))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The runs that make the baseline of one cell, the oldest first."""

    cell: str
    runs: tuple[str, ...]

    @property
    def enough(self) -> bool:
        return len(self.runs) >= BASELINE_LAUNCHES


def choose_runs(connection: sqlite3.Connection, *, cells: str = "*", most: int = MOST_RUNS) -> list[Chosen]:
    """Choose for each cell the newest green runs of its newest plan, on the hardware of the newest of them."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for cell, run, fingerprint, hardware in connection.execute(_green_runs()):
        if fnmatchcase(cell, cells):
            found.setdefault(cell, []).append((run, fingerprint, hardware))
    return [Chosen(cell=cell, runs=tuple(_pick(own, most))) for cell, own in found.items()]


def _green_runs() -> str:
    """Select runs in which every test of a cell was green on a real engine, the newest first."""
    done = ", ".join(f"'{status}'" for status in DONE)
    return f"""
        SELECT n.cell, n.run, n.fingerprint, n.hardware FROM numbers n
        WHERE NOT EXISTS (SELECT 1 FROM results r WHERE r.run = n.run AND r.cell = n.cell AND r.status NOT IN ({done}))
        AND EXISTS (SELECT 1 FROM results r WHERE r.run = n.run AND r.cell = n.cell)
        AND NOT EXISTS (
            SELECT 1 FROM launches l WHERE l.run = n.run AND (l.stub OR l.outcome != 'ok')
            AND (l.cell = n.cell OR l.fingerprint = n.fingerprint)
        )
        GROUP BY n.cell, n.run ORDER BY n.cell, min(n.t) DESC
    """  # noqa: S608


def _pick(own: Sequence[tuple[str, str, str]], most: int) -> Iterator[str]:
    _, fingerprint, hardware = own[0]
    fitting = [run for run, its_plan, its_hardware in own if (its_plan, its_hardware) == (fingerprint, hardware)]
    yield from reversed(fitting[:most])


def write_baseline(folder: Path, places: Mapping[str, str], chosen: Sequence[Chosen], out: Path) -> int:
    """Write the records of the chosen runs, and return their number. `places` maps a run to its file.

    Raises:
        ConfigError: a file vanished.
    """
    wanted: dict[str, set[str]] = {}
    for each in chosen:
        for run in each.runs:
            wanted.setdefault(run, set()).add(each.cell)
    out.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with out.open("wb") as file:
        for path in dict.fromkeys(places[run] for run in wanted):
            for record in read_records(folder / path):
                if _is_wanted(record, wanted):
                    file.write(format_line(dump_record(record)))
                    count += 1
    return count


def _is_wanted(record: Record, wanted: Mapping[str, set[str]]) -> bool:
    own = wanted.get(record.run)
    if own is None:
        return False
    return isinstance(record, Run) or (isinstance(record, Launch | Measured) and record.cell in own)
