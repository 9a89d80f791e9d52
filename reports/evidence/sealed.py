"""Reads evidence with which of its runs are sealed, in one pass: the lines are hashed while they are parsed. To write
every record again, only to hash it, took as long as reading it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.evidence.attempts import order_files, split_runs
from reports.evidence.files import Seal, is_sealed, read_records
from reports.evidence.types import Lost, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRuns:
    """The records of a file in their order, and of each run, the runs by the time at which they began; those that are
    sealed."""

    records: list[Record]
    runs: dict[str, list[Record]]
    sealed: frozenset[str]


def read_sealed(path: Path) -> SealedRuns:
    """Read a file as `read_records` does.

    Raises:
        ConfigError: see `read_records`.
    """
    seals = dict[str, Seal]()
    records = read_records(path, lambda line, found: seals.setdefault(found.run, Seal()).add(found, line))
    runs = split_runs(records)
    # Lines that hash otherwise may still say what was sealed: only their spelling was another writer's. Behind a lost
    # line, whose run nobody knows, the records decide, among which a `Lost` stands.
    whole = not any(isinstance(r, Lost) for r in records)
    sealed = (run for run, own in runs.items() if (whole and seals[run].holds) or is_sealed(own))
    return SealedRuns(records=records, runs=runs, sealed=frozenset(sealed))


def read_sealed_files(paths: Sequence[Path]) -> tuple[list[Record], Mapping[str, bool]]:
    """Read several files in the order in which they began, and which of their runs are sealed or not. A run that stands
    in two of them is left out: only all its records can say it.

    Raises:
        ConfigError: see `read_records`.
    """
    read = [(path, read_sealed(path)) for path in paths]
    places = Counter(run for _, found in read for run in found.runs)
    sealed = {run: run in found.sealed for _, found in read for run in found.runs if places[run] == 1}
    ordered = order_files((path, found.records) for path, found in read)
    return [record for _, own in ordered for record in own], sealed
