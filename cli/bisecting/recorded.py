"""Answers from evidence that exists: runs of the same cell on several releases, without an engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.bisecting.observed import FailureShape, Observed, observe_run
from matrix.errors import ConfigError, Problem
from matrix.model import Cell
from reports.evidence.attempts import order_files, split_runs
from reports.evidence.continuations import link_continuations
from reports.evidence.defuse import defuse_line
from reports.evidence.files import is_sealed, read_records
from reports.evidence.types import CellFacts, Record
from reports.history.index import find_evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """One run of the cell on some release."""

    version: str
    cell: str  # its id there
    run: str
    path: Path
    records: Sequence[Record]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRuns:
    """The runs of a cell by version, in the order of time. `left_out`: runs that were not read, and why."""

    runs: Mapping[str, tuple[RecordedRun, ...]]
    left_out: tuple[str, ...]


def list_files(paths: Iterable[Path]) -> list[Path]:
    """List the evidence files that are named; of a folder, all below it.

    Raises:
        ConfigError: there is no such file, or a folder without one.
    """
    found: dict[Path, None] = {}
    problems = []
    for path in paths:
        own = find_evidence(path) if path.is_dir() else [path]
        if not own:
            problems.append(Problem(str(path), 0, "", "no evidence is in it; expected .jsonl or .jsonl.gz files"))
        found |= dict.fromkeys(own)
    if problems:
        raise ConfigError(problems)
    return list(found)


def read_recording(paths: Sequence[Path], cell: Cell) -> RecordedRuns:
    """Read all runs of the cell, on whatever release: same rig, checkpoint and features.

    Raises:
        ConfigError: a file is no evidence, or no run of the cell is there.
    """
    told, left_out = list_runs([(path, read_records(path)) for path in paths], cell)
    if not told:
        where = ", ".join(map(str, paths))
        left = f"; {len(left_out)} runs are left out: {left_out[0]}" if left_out else ""
        message = f"no run of {cell.id} on any release is in {where}{left}"
        raise ConfigError([Problem("--evidence", 0, "", message)])
    return RecordedRuns(runs=group_runs(told), left_out=tuple(left_out))


def group_runs(told: Sequence[RecordedRun]) -> dict[str, tuple[RecordedRun, ...]]:
    """Group runs by version, in the order in which they are given."""
    versions = dict.fromkeys(t.version for t in told)
    return {v: tuple(t for t in told if t.version == v) for v in versions}


def list_runs(
    given: Sequence[tuple[Path, Sequence[Record]]], cell: Cell
) -> tuple[Sequence[RecordedRun], Sequence[str]]:
    """List the sealed runs of the cell in the order of time, and the others, each with why it is left out."""
    files = order_files(given)
    told, left_out, seen = list[RecordedRun](), list[str](), set[str]()
    # a run that was cut off has no seal, but whoever went on with it has read and answered for it
    continued = link_continuations(r for _, records in files for r in records).continued
    for path, records in files:
        for run, own in split_runs(records).items():
            if not is_sealed(own) and run not in continued:
                left_out.append(defuse_line(f"{path}: run {run} is not sealed: it has no end, or was changed since"))
            # a night's file and its copy in a folder are one run: counted twice, it would be two answers
            elif run not in seen:
                seen.add(run)
                told += _find_cells(path, run, own, cell)
    return told, left_out


def _find_cells(path: Path, run: str, records: Sequence[Record], cell: Cell) -> Iterator[RecordedRun]:
    # not the id, which holds the release
    wanted = (cell.engine.id, cell.rig.id, cell.checkpoint.id, sorted(cell.features))
    for record in records:
        if not isinstance(record, CellFacts):
            continue
        facts = record.facts
        own = tuple(str(facts.get(k)) for k in ("engine", "rig", "checkpoint"))
        if (*own, sorted(facts.get("features") or ())) == wanted:
            yield RecordedRun(version=str(facts.get("version")), cell=record.cell, run=run, path=path, records=records)


@dataclass(slots=True)
class Playback:
    """Hands out each run of a release once, the earliest first."""

    recording: RecordedRuns
    test: str
    wanted: FailureShape | None = None
    ignored: frozenset[FailureShape] = frozenset()
    given: dict[str, int] | None = None

    def ask(self, version: str) -> tuple[Observed, RecordedRun | None, bool]:
        """Return what the next run says, that run, and whether it was the release's last."""
        given = self.given = self.given or {}
        runs, at = self.recording.runs.get(version, ()), given.get(version, 0)
        if at >= len(runs):
            # the last: without this the search would ask a release without runs until its boots are used up
            return Observed(answer="none", why="no run of it is in the evidence"), None, True
        given[version] = at + 1
        told = runs[at]
        found = observe_run(told.records, told.cell, self.test, self.wanted, self.ignored)
        return found, told, at + 1 == len(runs)
