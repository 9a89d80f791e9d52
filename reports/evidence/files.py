"""The run's facts, one JSON object a line, appended whole by one writer. Opinions (gate, tables, diff) read this later.

Every record: {"kind", "t" (ISO 8601 UTC), "run" (id)} plus, where they apply, "cell", "fingerprint", "test" (function
name) and "nodeid" (pytest's, one per parameter set):

| kind        | fields                                                                                        |
|-------------|-----------------------------------------------------------------------------------------------|
| run         | argv, selection (cell ids), host (facts), versions, matrix_sha256, commit, dirty (whether files |
|             | differed from it), diff_sha256 (of these differences), xdist (bool), depth, retry_of (the     |
|             | run that this one asks again), baselines (sha256 of each `--baseline` file), continues (run   |
|             | that was cut short -> sha256 of its records; this run asked the rest)                          |
| cell        | facts (rig, sm, engine, release, version, checkpoint, format, features), script,               |
|             | sha256 (of the canonical JSON of facts and script)                                             |
| expected    | tests (what must report for this cell: all that it owes at this depth, however the run was     |
|             | narrowed; node ids, or function names standing for all their ids)                             |
| launch      | outcome (ok, HostError, EngineExited, EngineNotReady, ...), launch_s, phases_s, message,       |
|             | versions (as the engine itself reports), log, command (redacted), stub (bool), attached (bool), |
|             | data (after a crash: number of the launch, after, cause)                                       |
| stop        | outcome (clean, trouble, hang, crash; ended: by itself before), exit_code, seconds, message:   |
|             | how the engine of a plan ended once it was asked to stop; one for each launch of ours         |
| finding     | check, ok, sensitive, expected, got, item, detail, note (shown though it is ok), data          |
| measurement | name, value, unit, conditions                                                                  |
| proof       | feature, outcome (proven, refuted, unproven), rung, detail, data                               |
| kept        | sha256, bytes, exchanges (of the file with what the test asked and was told:                   |
|             | reports.evidence.kept), dropped (what is not in it, and why)                                   |
| result      | status (matrix.judging.status.Status), duration_s, message, known_failure; of a failure also at, how,  |
|             | http_status, and matched (the lines that the known failure's signature fits)                   |
| end         | exit_code, interrupted, duration_s, launches, records, sha256 (seal over the run's lines),      |
|             | changed (whether the source was another one than at the start), source (what it had become)   |

The typed form of each is in `reports.evidence.types`; unknown fields are errors on the way in and on the way out.

A crash leaves whole lines, and so does a full disk. A line that is damaged all the same costs that line: readers keep
the rest, say which one is lost (`Lost`), and the gate is red for it. `end` seals its run:
`records` lines stand before it and their bytes hash to `sha256`, so a line lost, edited or added later is seen.
Evidence of several runs is merged by concatenating files. Each string passes `reports.evidence.redact` before that.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import io
import json
import logging
import os
import shutil
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from matrix.errors import ConfigError, HostError, Problem
from matrix.judging.foreign_json import UnreadableJson, parse_foreign_json
from reports.evidence import kept, redact
from reports.evidence import types as record
from reports.evidence.canonical import read_canonical, read_canonical_lines
from reports.evidence.defuse import defuse_line
from reports.evidence.no_evidence import HEAD_BYTES, explain_no_evidence, explain_unreadable
from reports.evidence.types import Lost, Record

LOGGER = logging.getLogger(__name__)
CANNOT_WRITE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM})
ROOM_BYTES = 16 << 20  # a night of 54 cells wrote 4.6 MB
GZIP = ".gz"  # the suffix of a packed file, which every reader takes
GZIP_BYTES = 1 << 30  # unpacked; 54 canary cells have 4.6 MB, 5,000 cells 420 MB
MOST_LOST = 1_000  # damaged lines of one file: more are no accident, and each costs memory and a line on the terminal
FIRST_LINE_BYTES = 1 << 20  # of a file, to see whether it is evidence; a run's record has 2 to 20 kB
PREVIOUS = ".previous"  # evidence.jsonl -> evidence.previous.jsonl when a new run begins


def format_line(fields: Mapping[str, Any]) -> bytes:
    """Format canonical JSON with its newline: sorted keys, no spaces, UTF-8; a lone surrogate becomes a JSON escape."""
    text = json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def digest_value(value: Mapping[str, Any]) -> str:
    """Compute the sha256 of a value's canonical JSON: equal content, equal address."""
    return hashlib.sha256(format_line(value)).hexdigest()


class EvidenceWriter:
    """The one writer of an evidence file. It writes whole lines, on disk before `append` returns. Not `durable`: what
    can be derived again, for which nobody waits on a disk (300 times 4 ms in the replay of the CPU cells).

    Raises:
        HostError: another process writes here, the file ends in a torn line, is no evidence, or cannot be written to;
            from `append`, when it cannot be any more: then the file ends with the last record that is whole.
    """

    def __init__(self, path: Path, run_id: str, *, fresh: bool = False, durable: bool = True) -> None:
        self.path, self.run_id, self._durable = path, run_id, durable
        self.launches = 0
        self._records = 0
        self._hash = hashlib.sha256()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _refuse_foreign(path)
            _require_room(path)
            self._lock = _take_lock(path)
            if fresh and path.exists():
                previous = path.with_name(f"{path.stem}{PREVIOUS}{path.suffix}")
                path.replace(previous)
                kept.move_folder(path, previous)
            _refuse_torn(path, self._lock)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise HostError(_explain_unwritable(path, error)) from error
        self._whole = self._file.seek(0, os.SEEK_END)  # bytes, up to the end of the last whole record

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Redact, check and write records together; `t` and `run` are added where they are absent."""
        lines = [self._line(fields) for fields in records]
        if not lines:
            return
        try:
            self._write(b"".join(lines))
        except OSError as error:
            raise HostError(self._give_up(error)) from error

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) or 0 :]
        # on disk before `append` returns: a host that crashes loses no record that was reported as written
        if self._durable:
            os.fsync(self._file.fileno())
        self._whole += len(data)

    def _give_up(self, error: OSError) -> str:
        """Leave whole lines only, and the reason where there is room for one more: this run gets no end."""
        said = f"{_explain_unwritable(self.path, error)}\nWhat is there stays: {self._whole} bytes, whole records only."
        fields = {"kind": "result", "status": "HOST_ERROR", "message": said, "nodeid": "evidence"}
        with suppress(OSError):
            self._file.truncate(self._whole)
            self._write(self._line(fields))
        with suppress(OSError):
            self._file.truncate(self._whole)
        return said

    def end(
        self, *, exit_code: int, interrupted: bool, duration_s: float, changed: bool | None = None, source: str = ""
    ) -> None:
        """Write the run's last record, which seals the others. `changed`, `source`: see `End`."""
        fields = {
            "kind": "end",
            "exit_code": exit_code,
            "interrupted": interrupted,
            "duration_s": round(duration_s, 3),
            "launches": self.launches,
            "records": self._records,
            "sha256": self._hash.hexdigest(),
            "changed": changed,
            "source": source,
        }
        self.append([fields])

    def close(self) -> None:
        self._file.close()
        self._lock.close()

    def _line(self, fields: Mapping[str, Any]) -> bytes:
        whole = redact.redact_record({"t": record.format_now(), **fields, "run": self.run_id})
        line = format_line(record.dump_record(record.parse_record(whole)))
        self._records += 1
        self._hash.update(line)
        self.launches += whole["kind"] == "launch" and whole["outcome"] == "ok"
        return line


def _refuse_foreign(path: Path) -> None:
    """Refuse a place that holds something else: a new run would rename a directory, a device or somebody's file."""
    if path.suffix == GZIP:
        raise HostError(f"{path}: evidence is written unpacked. Name it {path.with_suffix('').name}, and pack it later")
    if not path.exists():
        return
    if not path.is_file():
        raise HostError(f"{path} is no plain file, and a new run would move it away. Name a file: --evidence FILE")
    with path.open("rb") as file:
        first = file.readline(FIRST_LINE_BYTES)
    if first and not all(word in first for word in (b'{"', b'"kind":"', b'"run":"')):
        raise HostError(
            f"{path} holds something else than evidence, and a new run would move it away. Name another file:"
            f" --evidence {path.with_name('mine.jsonl')}"
        )


def _require_room(path: Path) -> None:
    """Refuse a disk that is nearly full, before an engine loads for hours."""
    if (free := shutil.disk_usage(path.parent).free) < ROOM_BYTES:
        raise HostError(
            f"{path}: only {free >> 20} MiB are free there, {ROOM_BYTES >> 20} MiB are wanted for evidence.\n"
            "Free some space, or name another place: --evidence FILE"
        )


def _explain_unwritable(path: Path, error: OSError) -> str:
    return (
        f"{path}: evidence cannot be written: {error.strerror}.\n"
        "Free some space or mend that disk and run again, or name another place: --evidence FILE"
    )


def _take_lock(path: Path) -> BinaryIO:
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


def read_records(path: Path, see: Callable[[bytes, Record], None] | None = None) -> list[Record]:
    """Read every record of a file, typed, in order. A `Lost` record replaces each damaged line, and is logged. `see` is
    given each line that could be read.

    Raises:
        ConfigError: it cannot be read; has no record at all, and what it looks like; or more than MOST_LOST lines are
            damaged.
    """
    lost: dict[int, str] = {}  # by place, from 0
    records: list[Record | None] = []
    newer: set[str] = set()  # runs of a writer that knows more than this reader
    head = b""
    try:
        for place, line in enumerate(iterate_lines(path)):
            head = head or line[:HEAD_BYTES]
            try:
                records.append(found := parse_line(line, newer))
                if see:
                    see(line, found)
            except ValueError as error:
                records.append(None)
                lost[place] = str(error)
                if len(lost) <= MOST_LOST:
                    continue
                if not any(records):
                    break
                why = f"more than {MOST_LOST} of its lines are damaged, the first one: {next(iter(lost.values()))}"
                raise ConfigError([Problem(str(path), next(iter(lost)) + 1, "", why)]) from None
    except OSError as error:
        raise explain_unreadable(path, error) from None
    if lost and not any(records):
        raise explain_no_evidence(path, head, lost)
    return _with_lost(path, records, lost) if records else []


def iterate_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, unpacked where it is packed, with one of a plain file in memory at a time.

    Raises:
        OSError, ConfigError: see `read_plain_bytes`.
    """
    with open_plain_file(path) as raw:
        if path.suffix == GZIP:
            yield from io.BytesIO(_unpack_gzip(path, raw))
        else:
            yield from raw


def read_plain_bytes(path: Path) -> bytes:
    """Read a file, unpacked where its name ends in `.gz`.

    Raises:
        OSError: it cannot be opened, or is no plain file.
        ConfigError: it is no gzip file, is cut short, or unpacks to more than `GZIP_BYTES`.
    """
    with open_plain_file(path) as raw:
        return raw.read() if path.suffix != GZIP else _unpack_gzip(path, raw)


def open_plain_file(path: Path) -> BinaryIO:
    """Open a plain file for reading, never a pipe that nobody writes to or a device that does not end.

    Raises:
        OSError: it cannot be opened, or is no plain file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(mode := os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    is_directory = stat.S_ISDIR(mode)
    raise OSError(errno.EISDIR if is_directory else errno.EINVAL, "Is a directory" if is_directory else "no plain file")


def _unpack_gzip(path: Path, packed: BinaryIO) -> bytes:
    try:
        with gzip.open(packed) as file:
            plain = file.read(GZIP_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ConfigError([Problem(str(path), 0, "", f"no whole gzip file: {error}")]) from None
    if len(plain) > GZIP_BYTES:
        raise ConfigError([Problem(str(path), 0, "", f"it unpacks to more than {GZIP_BYTES >> 20} MiB")])
    return plain


def _with_lost(path: Path, records: Sequence[Record | None], lost: Mapping[int, str]) -> list[Record]:
    """Insert a `Lost` record in place of each line that could not be read."""
    beside = next(r for r in records if r)
    found: list[Record] = []
    for place, one in enumerate(records):
        beside = one or beside
        found.append(one or Lost(t=beside.t, run=beside.run, file=str(path), line=place + 1, why=lost[place]))
    for each in found:
        if isinstance(each, Lost):
            LOGGER.warning("%s", defuse_line(str(each)))
    return found


def parse_line(line: bytes, newer: set[str]) -> Record:
    """Parse one line of evidence. `newer` gathers the runs of a writer that knows more than this reader.

    Raises:
        ValueError: what is wrong with it, in one line.
    """
    if not line.endswith(b"\n"):
        raise ValueError("torn line: the run was killed while writing it")
    if (fields := read_canonical(line)) is None:
        try:
            fields = parse_foreign_json(line, numbers=False)
        except UnreadableJson as error:
            raise ValueError(f"not JSON: {error}") from None
    return _parse_value(fields, newer)


def parse_lines(lines: bytes, newer: set[str]) -> Iterator[Record]:
    """Parse whole lines as `parse_line` does each, in less time where all are as we write them."""
    values = read_canonical_lines(lines)
    if values is None:
        yield from (parse_line(line, newer) for line in io.BytesIO(lines))
        return
    for value in values:
        found = None if newer else record.parse_ordinary(value)
        yield _parse_value(value, newer) if found is None else found


def _parse_value(fields: Any, newer: set[str]) -> Record:
    if not isinstance(fields, dict):
        return record.parse_record(fields)
    if fields.get("kind") == "run":
        schema = fields.get("schema")
        newer |= {str(fields.get("run"))} if isinstance(schema, int) and schema > record.SCHEMA else set()
    return record.parse_own(fields, newer=bool(newer) and str(fields.get("run")) in newer)


class Seal:
    """Compares one run's records, given one by one, with what its `end` record sealed; holds the last one only."""

    def __init__(self) -> None:
        self._hash, self._count, self._whole = hashlib.sha256(), 0, True
        self._last: Record | None = None
        self._line = b""

    def add(self, found: Record, line: bytes = b"") -> None:
        """Add the next record; with its `line`, that is sealed, and not what this program would write today."""
        if self._last is not None and self._whole:  # behind a lost line nothing can hold any more
            self._hash.update(self._line or format_line(record.dump_record(self._last)))
            self._count += 1
        self._last, self._line, self._whole = found, line, self._whole and not isinstance(found, Lost)

    @property
    def holds(self) -> bool:
        """Whether these are the records that were sealed: none lost, edited or added."""
        return self.counts and isinstance(self._last, record.End) and self._last.sha256 == self._hash.hexdigest()

    @property
    def counts(self) -> bool:
        """Whether there is an end, and as many whole records before it as it counted."""
        return self._whole and isinstance(self._last, record.End) and self._last.records == self._count


def is_sealed(records: Iterable[Record]) -> bool:
    """Return whether one run's records are those that its `end` record sealed: none lost, edited or added."""
    seal = Seal()
    for each in records:
        seal.add(each)
    return seal.holds
