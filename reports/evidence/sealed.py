"""Reads evidence with which of its runs are sealed, in one pass: the lines are hashed while they are parsed. To write
every record again, only to hash it, took as long as reading it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reports.evidence.attempts import split_runs
from reports.evidence.files import Seal, is_sealed, read_records
from reports.evidence.types import Lost, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRuns:
    """The records of each run of a file, the runs by the time at which they began, and those that are sealed."""

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
    return SealedRuns(runs=runs, sealed=frozenset(sealed))
