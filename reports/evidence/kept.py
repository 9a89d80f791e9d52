"""Keeps what a test sent to an engine and what it received, in one file for each test, named by its content.

    evidence.jsonl -> evidence.kept/<sha256 of the file>.jsonl.gz        `zcat` shows one

The first line is the header: version of the format, run, node id, cell, fingerprint, the options that decide what a
test asks. Each line behind it is an exchange: its kind, the question (an HTTP request as it was sent, a look into the
log, a load), `asked` (sha256 over kind and question) and the answer (status, headers, body and when each piece of it
came). The evidence's `kept` record names the file, so that the run's seal and a signature cover every reply.

Files are written whole and renamed, hence workers need no lock, a crash leaves no half of one, and runs are merged by
copying. They are read with a bound on both sides of the decompression, and never through a link.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import stat
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

VERSION: Final = 1
FOLDER: Final = ".kept"  # evidence.jsonl -> evidence.kept
SUFFIX: Final = ".jsonl.gz"
BODY_BYTES: Final = 16 << 20  # of one reply; the longest honest one, 2,048 tokens with 20 logprobs each, has about 4 MB
TEST_BYTES: Final = 128 << 20  # of one test, uncompressed: a release sweep of 128k prompts has about 40 MB
FILE_BYTES: Final = 64 << 20  # of one test's file
LOGS_BYTES: Final = 1 << 30  # of a test's looks into its log together: 20 looks at 32 MiB each are 640
LEVEL: Final = 6  # of gzip: 9 gains 1 % and takes three times as long
SHA256: Final = re.compile(r"[0-9a-f]{64}")
OWN: Final = ("tape", "run", "nodeid", "cell", "fingerprint")  # of a header; what else stands there is an option
HIDDEN: Final = "***"  # in place of a secret
MARKS: Final = ("lane", "redacted", "dropped")  # of an exchange, written where there is something to say
Json = Any
_numbers = count()


class Unreadable(ValueError):
    """The kept replies of a test cannot be used; the text names the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One question and its answer. `lane` separates requests of one moment."""

    kind: str
    asked: str
    question: Json
    answer: Json
    lane: str = ""
    redacted: bool = False
    dropped: str = ""  # why the answer is not here


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTape:
    """All exchanges of one test, and the identity of the test."""

    run: str
    nodeid: str
    cell: str = ""
    fingerprint: str = ""
    options: Mapping[str, Json] = field(default_factory=dict)
    exchanges: Sequence[Exchange] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The place of a tape: its address, and the size of its file in bytes."""

    sha256: str
    bytes: int


def folder_of(evidence: Path) -> Path:
    """Return the folder of kept replies for an evidence file, which may be packed (`.jsonl.gz`) without its replies."""
    return evidence.with_name(Path(evidence.name.removesuffix(".gz")).stem + FOLDER)


def is_kept_file(path: Path) -> bool:
    """Return whether a path is a test's file, by its folder and its name."""
    return path.parent.suffix == FOLDER and SHA256.fullmatch(path.name.removesuffix(SUFFIX)) is not None


def move_folder(old: Path, new: Path) -> None:
    """Move the kept replies along with their evidence; delete those of older evidence at the target.

    Raises:
        OSError: it cannot be moved, or is no folder of ours.
    """
    source, target = folder_of(old), folder_of(new)
    if target.is_dir() and not target.is_symlink():
        for file in target.iterdir():
            file.unlink()
        target.rmdir()
    if source.is_dir() and not source.is_symlink():
        source.rename(target)


def digest_question(kind: str, question: Json) -> str:
    """Compute the sha256 of a question: equal questions, equal address."""
    return hashlib.sha256(_format_line([kind, question])).hexdigest()


def write_tape(folder: Path, tape: KeptTape) -> Stored:
    """Compress and write one tape.

    Raises:
        OSError: the disk is full, or the folder cannot be made.
        Unreadable: it is larger than what a reader would take.
    """
    plain = b"".join(_format_lines(tape))
    packed = gzip.compress(plain, LEVEL, mtime=0)
    if len(plain) > TEST_BYTES or len(packed) > FILE_BYTES:
        raise Unreadable(f"{len(plain)} bytes are more than the {TEST_BYTES} that are kept of a test")
    sha256 = hashlib.sha256(packed).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{os.getpid()}.{threading.get_ident()}.{next(_numbers)}.draft"
    try:
        draft.write_bytes(packed)
        draft.replace(folder / f"{sha256}{SUFFIX}")
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return Stored(sha256=sha256, bytes=len(packed))


def read_tape(folder: Path, sha256: str) -> KeptTape:
    """Read one test's tape and check it against its address.

    Raises:
        Unreadable: it is absent, is no plain file, is not what its name says, is too large, or is of a later version.
    """
    if not SHA256.fullmatch(sha256):
        raise Unreadable(f"{sha256!r:.80} is no sha256")
    packed = _read_plain_file(folder / f"{sha256}{SUFFIX}")
    if hashlib.sha256(packed).hexdigest() != sha256:
        raise Unreadable(f"{sha256[:12]}{SUFFIX} has other content than its name says")
    lines = _parsed_lines(_unpack_gzip(packed))
    return _parse_tape(next(lines), lines)


def _format_lines(tape: KeptTape) -> Iterator[bytes]:
    own = {name: getattr(tape, name) for name in OWN[1:]}
    yield _format_line({**tape.options, "tape": VERSION, **own})
    last: dict[str, str] = {}
    for each in tape.exchanges:
        marks = {name: value for name in MARKS if (value := getattr(each, name))}
        always = {"kind": each.kind, "asked": each.asked, "question": each.question, "answer": _thin_answer(each, last)}
        yield _format_line({**always, **marks})


def _thin_answer(each: Exchange, last: dict[str, str]) -> Json:
    """Thin a log that was read before: of the same look, only the new text is written."""
    seen = _seen_value(each)
    if seen is None or not isinstance(text := seen.get("text"), str):
        return each.answer
    before, last[each.asked] = last.get(each.asked, ""), text
    if not before or not text.startswith(before):
        return each.answer
    return {"value": {**{k: v for k, v in seen.items() if k != "text"}, "more": text[len(before) :]}}


@dataclass(slots=True)
class _Logs:
    """Restores thinned logs: the latest text of each look, and the total size of all looks."""

    last: dict[str, str] = field(default_factory=dict)
    total: int = 0

    def restore_answer(self, each: Exchange) -> Json:
        """Restore the answer with the text that was there. Raises: Unreadable."""
        seen = _seen_value(each)
        if seen is None:
            return each.answer
        if isinstance(more := seen.get("more"), str):
            seen = {**{k: v for k, v in seen.items() if k != "more"}, "text": self.last.get(each.asked, "") + more}
        if isinstance(text := seen.get("text"), str):
            self.last[each.asked] = text
            self.total += len(text)
        if self.total > LOGS_BYTES:
            raise Unreadable(f"its logs grow to more than the {LOGS_BYTES} bytes that are read of a test's")
        return {"value": seen}


def _seen_value(each: Exchange) -> Mapping[str, Json] | None:
    """Return what a look into a log showed; None for another kind of exchange."""
    value = each.answer.get("value") if each.kind == "log" and isinstance(each.answer, Mapping) else None
    return value if isinstance(value, Mapping) and set(each.answer) == {"value"} else None


def _format_line(value: Json) -> bytes:
    """Format JSON with its newline. Lone surrogates and NaN belong to the engine's reply, and are kept."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _read_plain_file(path: Path) -> bytes:
    """Read at most FILE_BYTES of a plain file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Unreadable(f"{path.parent.name}/{path.name[:12]}... cannot be read: {error.strerror}") from None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        raise Unreadable(f"{path.name[:12]}... is no plain file")
    with os.fdopen(handle, "rb") as file:
        if found.st_size > FILE_BYTES:
            raise Unreadable(f"{path.name[:12]}... has {found.st_size} bytes, at most {FILE_BYTES} are read")
        return file.read(FILE_BYTES + 1)


def _unpack_gzip(packed: bytes) -> bytes:
    """Unpack at most TEST_BYTES, whatever size the file would expand to."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(packed, TEST_BYTES + 1)
    except zlib.error as error:
        raise Unreadable(f"it is not gzip: {error}") from None
    if len(plain) > TEST_BYTES:
        raise Unreadable(f"it unpacks to more than the {TEST_BYTES} bytes that are kept of a test")
    if not unpacker.eof or unpacker.unused_data:
        raise Unreadable("it is cut short, or more than one file in one")
    return plain


def _parsed_lines(plain: bytes) -> Iterator[Mapping[str, Json]]:
    """Yield the objects one at a time: millions of empty ones would fit into a file that is read."""
    for line in io.BytesIO(plain or b"[]"):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"it is not JSON: {error}") from None
        if not isinstance(found, dict):
            raise Unreadable("it holds no JSON objects")
        yield found


def _parse_tape(head: Mapping[str, Json], lines: Iterable[Mapping[str, Json]]) -> KeptTape:
    version = head.get("tape")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise Unreadable(f"it is of version {version!r:.20}, and versions up to {VERSION} are understood")
    if not all(isinstance(head.get(name), str) for name in OWN[1:]):
        raise Unreadable("its header does not say whose it is")
    logs = _Logs()
    exchanges = tuple(_parse_exchange(line, logs) for line in lines)
    options = {name: value for name, value in head.items() if name not in OWN}
    return KeptTape(**{name: head[name] for name in OWN[1:]}, options=options, exchanges=exchanges)


def _parse_exchange(line: Mapping[str, Json], logs: _Logs) -> Exchange:
    """Parse one exchange. Raises: Unreadable, also where the question's digest does not match."""
    texts = ("kind", "asked", "lane", "dropped")
    unknown = set(line) - set(Exchange.__dataclass_fields__)
    if unknown or not all(isinstance(line.get(name, ""), str) for name in texts):
        raise Unreadable("an exchange has other fields than this version knows")
    fields = {"kind": "", "asked": "", "question": None, "answer": None, **line}
    fields["redacted"] = bool(fields.get("redacted"))
    each = Exchange(**fields)
    # A question of which nothing was removed is whole, whatever its mark says. What was removed is held against the
    # question of today's test (fixtures.client.tape_redact.fits_question).
    whole = not (each.redacted and HIDDEN in json.dumps(each.question))
    if whole and digest_question(each.kind, each.question) != each.asked:
        raise Unreadable(f"an answer of kind {each.kind!r:.20} stands under another question than it was given to")
    return Exchange(**{**fields, "answer": logs.restore_answer(each)})
