"""The index of a directory of evidence: one SQLite file, made from the evidence and never the source of anything.

Opening it brings it up to date: new and changed files are read, vanished ones forgotten. Each file is one transaction,
so a crash leaves whole files. Two writers wait for each other, and the second finds the work done. An index of another
version, or a damaged one, is made anew. A run that continues another one is joined with it (`reports.history.joining`)
when all files were read. Where the directory cannot be written to, the index lies in the user's cache, and where that
cannot be written either, in memory.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, Final

from matrix.errors import ConfigError, HostError, Problem
from matrix.output import places
from reports.compare.baselines import name_hardware
from reports.evidence.defuse import defuse_line
from reports.evidence.sealed import SealedRuns, read_sealed
from reports.evidence.types import Launch, Measured, Record, Result, Run
from reports.history import joining, summaries

LOGGER: Final = logging.getLogger(__name__)
NAME: Final = ".history.sqlite3"
VERSION: Final = 6
# Versions whose rows are today's.
WITHOUT_SUMMARIES: Final = 4
WITHOUT_VALUES: Final = 5  # in the index of numbers
PATTERNS: Final = ("*.jsonl", "*.jsonl.gz")
KEPT: Final = ".kept"  # folders with the replies of a run
WAIT_S: Final = 60.0  # for another writer
POLL_S: Final = 0.05
# With all that a table of trends shows: to look for each of its 200,000 rows by a number was a third of the reading.
NUMBERS_BY_KEY: Final = (
    "CREATE INDEX numbers_by_key ON numbers (cell, name, conditions, unit, t, value, fingerprint, hardware)"
)
SCHEMA: Final = f"""
CREATE TABLE files (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER);
CREATE TABLE runs (run TEXT PRIMARY KEY, path TEXT, t TEXT, source TEXT, host TEXT);
CREATE TABLE refused (run TEXT, path TEXT, why TEXT);
CREATE TABLE results (run TEXT, t TEXT, cell TEXT, fingerprint TEXT, nodeid TEXT, status TEXT, message TEXT);
CREATE TABLE launches (run TEXT, t TEXT, cell TEXT, fingerprint TEXT, outcome TEXT, launch_s REAL, versions TEXT, stub INTEGER);
CREATE TABLE numbers (
  run TEXT, t TEXT, cell TEXT, fingerprint TEXT, name TEXT, conditions TEXT, value REAL, unit TEXT, hardware TEXT
);
CREATE INDEX results_by_test ON results (cell, nodeid, t);
{NUMBERS_BY_KEY};
CREATE INDEX launches_by_cell ON launches (cell, t);
CREATE INDEX results_by_status ON results (status);
CREATE INDEX results_by_run ON results (run);
CREATE INDEX numbers_by_run ON numbers (run);
CREATE INDEX launches_by_run ON launches (run);
"""  # noqa: E501
TABLES: Final = ("results", "launches", "numbers", "passes")
MESSAGE_CHARS: Final = 300
NOT_COMPARED: Final = ("client_fit", "attempt")  # of the client and of the test, not of what is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A run that is not indexed."""

    run: str
    path: str
    why: str

    def __str__(self) -> str:
        return defuse_line(f"{self.path}: run {self.run} is left out: {self.why}")


@contextmanager
def open_index(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open the index of a directory, brought up to date.

    Raises:
        ConfigError: there is no such directory.
        HostError: another writer does not end.
    """
    if not folder.is_dir():
        raise ConfigError([Problem(str(folder), 0, "", "there is no such directory of evidence")])
    try:
        with closing(_connect(folder)) as connection:
            with _take_turn(folder):
                _refresh(connection, folder)
            yield connection
    except sqlite3.OperationalError as error:
        raise HostError(f"{place_index(folder)}: {error}. Another writer is at work, or the disk is full") from error


def list_refused(connection: sqlite3.Connection) -> list[Refusal]:
    """List the runs that are left out, and why."""
    rows = connection.execute("SELECT run, path, why FROM refused ORDER BY path, run")
    return [Refusal(run=run, path=path, why=why) for run, path, why in rows]


def iterate_distinct(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield each combination of values of these columns once, in order.

    It jumps through an index that begins with them: half a year has a million rows and 5,000 combinations, and DISTINCT
    reads every row.
    """
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    first = f"SELECT {names} FROM {table}"  # noqa: S608  names of ours
    row = connection.execute(f"{first} ORDER BY {names} LIMIT 1").fetchone()
    while row is not None:
        yield row
        row = connection.execute(f"{first} WHERE ({names}) > ({marks}) ORDER BY {names} LIMIT 1", row).fetchone()


def find_evidence(folder: Path) -> list[Path]:
    """Find the evidence files below a directory."""
    return sorted(
        path for pattern in PATTERNS for path in folder.rglob(pattern) if ".kept" not in str(path.parent.name)
    )


def place_index(folder: Path) -> Path:
    """Return the path of a directory's index: in it, or in the user's cache where this user cannot write it there."""
    path = folder / NAME
    if os.access(path if path.exists() else folder, os.W_OK):
        return path
    key = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    return places.locate_user_cache() / "history" / f"{key}.sqlite3"


def _connect(folder: Path) -> sqlite3.Connection:
    path = place_index(folder)
    with suppress(OSError):  # then SQLite says that it cannot open it
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        found = _prepare(sqlite3.connect(path, timeout=WAIT_S, isolation_level=None))
    except sqlite3.DatabaseError as error:
        if _is_busy(error):
            raise
        # Whatever is wrong with it: the evidence is the source, and an index that cannot be trusted is worth nothing.
        LOGGER.warning("%s", defuse_line(f"{path}: made anew: {error}"))
        try:
            path.unlink(missing_ok=True)
            found = _prepare(sqlite3.connect(path, timeout=WAIT_S, isolation_level=None))
        except (OSError, sqlite3.OperationalError):
            found = _prepare(sqlite3.connect(":memory:", isolation_level=None))
    return found


def _is_busy(error: sqlite3.DatabaseError) -> bool:
    return "locked" in str(error) or "busy" in str(error)


def _prepare(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Create the tables, or make them anew for another version."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == WITHOUT_SUMMARIES:
            summaries.summarise_all(connection)
        if version in (WITHOUT_SUMMARIES, WITHOUT_VALUES):
            connection.execute("DROP INDEX numbers_by_key")
            connection.execute(NUMBERS_BY_KEY)
        elif version != VERSION:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (name,) in names:
                connection.execute(f'DROP TABLE "{name}"')
            for statement in (SCHEMA + joining.SCHEMA + summaries.SCHEMA).split(";"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


@contextmanager
def _take_turn(folder: Path) -> Iterator[None]:
    """Wait until nobody else brings this index up to date: of two at once each forgets parts that the other joined.

    The lock lies on the directory itself, and the kernel takes it back from a writer that dies. A file system that
    locks no directory (NFS) leaves both to SQLite's transactions.

    Raises:
        HostError: another writer does not end within WAIT_S.
    """
    descriptor, until = os.open(folder, os.O_RDONLY), time.monotonic() + WAIT_S
    try:
        while not _lock_directory(descriptor):
            if time.monotonic() > until:
                raise HostError(f"{folder / NAME}: another writer has been at work for {WAIT_S:.0f} s")
            time.sleep(POLL_S)
        yield
    finally:
        os.close(descriptor)


def _lock_directory(descriptor: int) -> bool:
    """Return whether the turn is ours, or cannot be taken here at all."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _refresh(connection: sqlite3.Connection, folder: Path) -> None:
    known = {path: (size, mtime) for path, size, mtime in connection.execute("SELECT path, size, mtime_ns FROM files")}
    present: dict[str, tuple[int, int]] = {}
    paths: dict[str, Path] = {}
    for path in find_evidence(folder):
        stat, name = path.stat(), _make_storable(str(path.relative_to(folder)))
        present[name], paths[name] = (stat.st_size, stat.st_mtime_ns), path
    if known != present:  # a run that was refused as given twice may be alone now, and a part may have its rest
        again = {r.path for r in list_refused(connection)} | joining.list_linked_paths(connection)
        known = {path: stamp for path, stamp in known.items() if path not in again}
        with _transaction(connection):
            for path, _ in list(connection.execute("SELECT path, size FROM files")):
                if path not in known or path not in present:
                    _forget(connection, path)
    for name, stamp in present.items():
        if known.get(name) != stamp:
            _index_file(connection, paths[name], name, stamp)
    while pending := joining.find_pending(connection):
        _join_parts(connection, folder, *pending)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _forget(connection: sqlite3.Connection, path: str) -> None:
    for table in TABLES:
        connection.execute(f"DELETE FROM {table} WHERE run IN (SELECT run FROM runs WHERE path = ?)", (path,))  # noqa: S608
    for table in ("runs", "refused", "files", *joining.TABLES):
        connection.execute(f"DELETE FROM {table} WHERE path = ?", (path,))  # noqa: S608


def _index_file(connection: sqlite3.Connection, path: Path, name: str, stamp: tuple[int, int]) -> None:
    """Read one file outside the transaction, and write it inside; another writer may have been faster."""
    try:
        found, why = read_sealed(path), ""
    except ConfigError as error:
        found, why = SealedRuns(records=[], runs={}, sealed=frozenset()), "; ".join(p.message for p in error.problems)
    runs = {_make_storable(run): own for run, own in found.runs.items()}
    sealed = {*map(_make_storable, found.sealed)}
    with _transaction(connection):
        done = connection.execute("SELECT size, mtime_ns FROM files WHERE path = ?", (name,)).fetchone()
        if done == stamp:
            return
        _forget(connection, name)
        connection.execute("INSERT INTO files VALUES (?, ?, ?)", (name, *stamp))
        if why:
            connection.execute("INSERT INTO refused VALUES ('', ?, ?)", (name, why))
        for run, own in runs.items():
            if doubt := _doubt_run(connection, run, own, sealed=run in sealed):
                connection.execute("INSERT INTO refused VALUES (?, ?, ?)", (run, name, doubt))
            elif named := joining.list_continued(own):
                connection.executemany(
                    "INSERT INTO continuing VALUES (?, ?, ?)", [(run, name, _make_storable(each)) for each in named]
                )
            else:
                _insert_run(connection, name, run, own)


def _join_parts(connection: sqlite3.Connection, folder: Path, run: str, path: str) -> None:
    """Make one run of a last part and what it continues, or refuse the last part."""
    try:
        found = joining.join_parts(folder, connection, run)
    except ConfigError as error:
        found = joining.JoinedRun(why="; ".join(p.message for p in error.problems))
    with _transaction(connection):
        if joining.find_pending(connection) != (run, path):
            return  # another writer was faster
        if found.why:
            connection.execute("INSERT INTO refused VALUES (?, ?, ?)", (run, path, found.why))
            return
        # The parts were read as runs of their own, or as refused ones: what they held stands under the last part now.
        for part, place in found.paths.items():
            for table in (*TABLES, "runs", "refused"):
                connection.execute(f"DELETE FROM {table} WHERE run = ?", (part,))  # noqa: S608
            connection.execute("INSERT INTO joined VALUES (?, ?, ?)", (part, place, run))
        _insert_run(connection, path, run, found.records)


def _doubt_run(connection: sqlite3.Connection, run: str, own: Sequence[Record], *, sealed: bool) -> str:
    if sum(isinstance(r, Run) for r in own) != 1:
        return "it has no beginning, or several"
    if not sealed:
        return "it is not sealed: it has no end, or was changed since, and no run of this directory continues it"
    other = connection.execute("SELECT path FROM runs WHERE run = ?", (run,)).fetchone()
    return f"it is in {other[0]}, too" if other else ""


def _insert_run(connection: sqlite3.Connection, path: str, run: str, own: Sequence[Record]) -> None:
    start = next(r for r in own if isinstance(r, Run))
    source = {
        "commit": start.commit,
        "matrix_sha256": start.matrix_sha256,
        "depth": start.depth,
        "retry_of": start.retry_of,
    }
    host = {name: start.host[name] for name in ("description", "driver", "cuda") if start.host.get(name)}
    hardware = json.dumps(name_hardware(start.host))
    connection.execute(
        "INSERT INTO runs VALUES (?, ?, ?, ?, ?)", (run, path, _time(start), json.dumps(source), json.dumps(host))
    )
    connection.executemany("INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?)", map(_result_row, _of(own, Result)))
    connection.executemany("INSERT INTO launches VALUES (?, ?, ?, ?, ?, ?, ?, ?)", map(_launch_row, _of(own, Launch)))
    # A client that could not keep up measured itself. Evidence from before clients said so is taken.
    fit = [m for m in _of(own, Measured) if m.conditions.get("client_fit") is not False]
    connection.executemany(
        "INSERT INTO numbers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [_number_row(m, hardware) for m in fit]
    )
    summaries.summarise_run(connection, run)


def _of(own: Sequence[Record], kind: type[Any]) -> list[Any]:
    return [r for r in own if isinstance(r, kind) and r.cell]


def _result_row(r: Result) -> tuple[Any, ...]:
    return _as_row(r.run, _time(r), r.cell, r.fingerprint, r.nodeid, str(r.status), r.message[:MESSAGE_CHARS])


def _launch_row(r: Launch) -> tuple[Any, ...]:
    versions = json.dumps(dict(r.versions), sort_keys=True, default=str)
    return _as_row(r.run, _time(r), r.cell, r.fingerprint, r.outcome, r.launch_s, versions, r.stub)


def _number_row(r: Measured, hardware: str) -> tuple[Any, ...]:
    where = {k: v for k, v in r.conditions.items() if k not in NOT_COMPARED}
    conditions = json.dumps(where, sort_keys=True)
    return _as_row(r.run, _time(r), r.cell, r.fingerprint, r.name, conditions, r.value, r.unit, hardware)


def _time(r: Record) -> str:
    # In one zone and of one width, so that texts sort as the times do: every question orders by them.
    return r.t.astimezone(UTC).isoformat(timespec="milliseconds")


def _as_row(*values: Any) -> tuple[Any, ...]:
    """Return a row that SQLite can hold, whatever names a foreign file gives to runs, cells and numbers."""
    return tuple(_make_storable(value) if isinstance(value, str) else value for value in values)


def _make_storable(text: str) -> str:
    """Make a text that SQLite can hold: half characters become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
