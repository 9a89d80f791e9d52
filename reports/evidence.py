"""The run's facts, one JSON object a line, appended whole by one writer. Opinions (gate, tables, diff) read this later.

Every record: {"kind", "t" (ISO 8601 UTC), "run" (id)} plus, where they apply, "cell", "fingerprint", "test" (function
name) and "nodeid" (pytest's, one per parameter set):

| kind        | fields                                                                                        |
|-------------|-----------------------------------------------------------------------------------------------|
| run         | argv, selection (cell ids), host (facts), versions, matrix_sha256, commit, xdist (bool)        |
| cell        | facts (rig, sm, engine, release, version, checkpoint, format, features), script,               |
|             | sha256 (of the canonical JSON of facts and script)                                             |
| expected    | tests (what must report for this cell: node ids, or function names standing for all their ids)  |
| launch      | outcome (ok, HostError, EngineExited, EngineNotReady, ...), launch_s, phases_s, message,       |
|             | versions (as the engine itself reports), log, command (redacted), stub (bool), attached (bool) |
| finding     | check, ok, sensitive, expected, got, item, detail, note (shown though it is ok), data          |
| measurement | name, value, unit, conditions                                                                  |
| proof       | feature, outcome (proven, refuted, unproven), rung, detail, data                               |
| kept        | sha256, bytes, exchanges (of the file with what the test asked and was told, see reports.kept), |
|             | dropped (what is not in it, and why)                                                          |
| result      | status (matrix.status.Status), duration_s, message, known_failure; of a failure also at, how,  |
|             | http_status, and matched (the lines that the known failure's signature fits)                   |
| end         | exit_code, interrupted, duration_s, launches, records, sha256 (seal over the run's lines)       |

The typed form of each is in `reports.record`; unknown fields are errors on the way in and on the way out.

A crash leaves whole lines: readers ignore nothing and a torn last line is an error that says so. `end` seals its run:
`records` lines stand before it and their bytes hash to `sha256`, so a line lost, edited or added later is seen.
Evidence of several runs is merged by concatenating files. Every string passes `reports.redact` before it is written.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from matrix.errors import ConfigError, HostError, Problem
from reports import kept, record, redact
from reports.record import Record

PREVIOUS = ".previous"  # evidence.jsonl -> evidence.previous.jsonl when a new run begins


def line_of(fields: Mapping[str, Any]) -> bytes:
    """Canonical JSON with its newline: sorted keys, no spaces, UTF-8; a lone surrogate becomes a JSON escape."""
    text = json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def digest(value: Mapping[str, Any]) -> str:
    """sha256 of a value's canonical JSON: equal content, equal address."""
    return hashlib.sha256(line_of(value)).hexdigest()


class EvidenceWriter:
    """The one writer of an evidence file. Whole lines, on disk before `append` returns.

    Raises:
        HostError: another process writes here, or the file ends in a torn line.
    """

    def __init__(self, path: Path, run_id: str, *, fresh: bool = False) -> None:
        self.path, self.run_id = path, run_id
        self.launches = 0
        self._records = 0
        self._hash = hashlib.sha256()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(path)
        if fresh and path.exists():
            previous = path.with_name(f"{path.stem}{PREVIOUS}{path.suffix}")
            path.replace(previous)
            kept.move_folder(path, previous)
        _refuse_torn(path, self._lock)
        self._file = path.open("ab")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Redact, check and write records in one go; `t` and `run` are added where they are absent."""
        lines = [self._line(fields) for fields in records]
        if not lines:
            return
        self._file.write(b"".join(lines))
        self._file.flush()
        os.fsync(self._file.fileno())

    def end(self, *, exit_code: int, interrupted: bool, duration_s: float) -> None:
        """Write the run's last record, which seals the others."""
        fields = {
            "kind": "end", "exit_code": exit_code, "interrupted": interrupted, "duration_s": round(duration_s, 3),
            "launches": self.launches, "records": self._records, "sha256": self._hash.hexdigest(),
        }  # fmt: skip
        self.append([fields])

    def close(self) -> None:
        self._file.close()
        self._lock.close()

    def _line(self, fields: Mapping[str, Any]) -> bytes:
        whole = redact.record({"t": record.now(), **fields, "run": self.run_id})
        line = line_of(record.dump(record.parse(whole)))
        self._records += 1
        self._hash.update(line)
        self.launches += whole["kind"] == "launch" and whole["outcome"] == "ok"
        return line


def _lock(path: Path) -> BinaryIO:
    lock = path.with_name(f".{path.name}.lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise HostError(
            f"{path} is being written by another run on this host.\n"
            f"Wait for that run, or give this one a file of its own: --evidence {path.with_name('mine.jsonl')}"
        ) from None
    return lock


def _refuse_torn(path: Path, lock: BinaryIO) -> None:
    with suppress(FileNotFoundError), path.open("rb") as file:
        if file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
            lock.close()
            raise HostError(f"{path} ends in a torn line: move it away (its run was killed while writing)")


def read(path: Path) -> list[Record]:
    """Every record of a file, typed, in order.

    Raises:
        ConfigError: naming file and line of every line that is torn, is not JSON or is not a record.
    """
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        why = f"cannot be read: {error.strerror}. Did anything run? (pytest writes it, see --evidence)"
        raise ConfigError([Problem(str(path), 0, "", why)]) from None
    problems: list[Problem] = []
    records: list[Record] = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(_parse(line))
        except ValueError as error:
            problems.append(Problem(str(path), number, "", str(error)))
    if problems:
        raise ConfigError(problems)
    return records


def _parse(line: bytes) -> Record:
    if not line.endswith(b"\n"):
        raise ValueError("torn line: the run was killed while writing it")
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    return record.parse(fields)


def sealed(records: Iterable[Record]) -> bool:
    """Whether one run's records are those that its `end` record sealed: none lost, edited or added."""
    own = list(records)
    if not own or not isinstance(last := own[-1], record.End) or last.records != len(own) - 1:
        return False
    return hashlib.sha256(b"".join(line_of(record.dump(r)) for r in own[:-1])).hexdigest() == last.sha256
