"""Indexes a run that was cut short and the run that asked the rest (`pytest --continue`) as one run.

    night.jsonl (killed) + rest.jsonl (continues it) -> one run, under the id of its last part

The parts may lie in several files, so they are joined after all files were read. A link counts as it does for the gate
(`reports.evidence.continuations`): the digest of what was left must fit. A last part whose link does not hold is left
out with the reason, and so are parts that have no end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from reports.evidence.attempts import split_runs
from reports.evidence.continuations import link_continuations
from reports.evidence.files import read_records
from reports.evidence.types import Launch, Measured, Record, Result, Run

SCHEMA: Final = """
CREATE TABLE continuing (run TEXT, path TEXT, named TEXT);
CREATE TABLE joined (part TEXT, path TEXT, run TEXT);
"""
TABLES: Final = ("continuing", "joined")
MOST_PARTS: Final = 1_000  # of one night


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedRun:
    """The records of all parts under one run id, or why they are not one run. `paths`: earlier part -> its file."""

    records: tuple[Record, ...] = ()
    paths: Mapping[str, str] = field(default_factory=dict)
    why: str = ""


def list_continued(own: Sequence[Record]) -> tuple[str, ...]:
    """List the runs that a run says it continues."""
    return tuple(dict.fromkeys(run for r in own if isinstance(r, Run) for run in r.continues))


def find_pending(connection: sqlite3.Connection) -> tuple[str, str] | None:
    """Find a last part, with its file, that was read and neither joined nor refused yet."""
    rows = connection.execute(
        "SELECT run, path, named FROM continuing c WHERE run NOT IN (SELECT run FROM runs)"
        " AND run NOT IN (SELECT part FROM joined)"
        " AND NOT EXISTS (SELECT 1 FROM refused f WHERE f.run = c.run AND f.path = c.path) ORDER BY run"
    ).fetchall()
    named = {named for _, _, named in rows}
    # two runs that name each other have no last part; one of them is refused, for its link cannot hold
    last = [(run, path) for run, path, _ in rows if run not in named] or [(run, path) for run, path, _ in rows]
    return last[0] if last else None


def list_linked_paths(connection: sqlite3.Connection) -> set[str]:
    """List the files that hold a part of a run: where any file changed, all of them are read again."""
    rows = connection.execute("SELECT path FROM continuing UNION SELECT path FROM joined")
    return {path for (path,) in rows}


def read_places(connection: sqlite3.Connection) -> dict[str, dict[str, str]]:
    """Read where the records of each run lie: run -> its parts, itself included -> file."""
    places = {run: {run: path} for run, path in connection.execute("SELECT run, path FROM runs")}
    for part, path, run in connection.execute("SELECT part, path, run FROM joined"):
        places[run][part] = path
    return places


def join_parts(folder: Path, connection: sqlite3.Connection, last: str) -> JoinedRun:
    """Read the parts of the run that ends with `last`.

    Raises:
        ConfigError: a file vanished meanwhile, or cannot be read.
    """
    tables = ("refused", "runs", "continuing")
    places = dict(row for table in tables for row in connection.execute(f"SELECT run, path FROM {table}"))  # noqa: S608
    parts: dict[str, list[Record]] = {}
    wanted = [last]
    while wanted and len(parts) < MOST_PARTS:
        if (run := wanted.pop()) in parts:
            continue
        own = split_runs(read_records(folder / places[run])).get(run) if run in places else None
        if own is None:
            return JoinedRun(why=f"it continues run {run}, which is not in this directory: add its file, too")
        parts[run] = own
        wanted += list_continued(own)
    if problems := link_continuations(r for own in parts.values() for r in own).problems:
        return JoinedRun(why="; ".join(problems))
    began = min(r.t for own in parts.values() for r in own)
    return JoinedRun(
        records=tuple(r for run, own in parts.items() for r in _rename_records(own, last, run == last, began)),
        paths={run: places[run] for run in parts if run != last},
    )


def _rename_records(own: Sequence[Record], last: str, is_last: bool, began: datetime) -> Iterator[Record]:
    """Yield what counts of a part. A test that its end cut in two was asked again: what it measured is left out."""
    answered = {r.nodeid for r in own if isinstance(r, Result)}
    for r in own:
        if isinstance(r, Result | Launch) or (isinstance(r, Measured) and r.nodeid in answered):
            yield replace(r, run=last)
        elif isinstance(r, Run) and is_last:
            yield replace(r, t=began)
