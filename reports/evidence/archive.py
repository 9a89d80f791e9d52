"""Packs evidence with its kept replies into one file, and unpacks or reads it without trusting it.

    NAME.tar.xz      NAME.jsonl, NAME.kept/<sha256>.jsonl.gz

The same evidence gives the same bytes, also from a packed file (.jsonl.gz). Whatever else an archive holds is refused,
and so is more than it may hold: a header may claim gigabytes too, and tarfile reads each header in one piece.
"""

from __future__ import annotations

import io
import lzma
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

from matrix.errors import ConfigError, Problem
from reports.evidence.files import open_plain_file, read_plain_bytes
from reports.evidence.kept import FOLDER, folder_of, is_kept_file

SUFFIX: Final = ".tar.xz"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
MEMBER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.jsonl|[A-Za-z0-9._-]+\.kept/[0-9a-f]{64}\.jsonl\.gz")
UNPACKED_BYTES: Final = 1 << 30
MEMBERS: Final = 200_000  # 5,000 cells of 27 tests
PIECE_BYTES: Final = 1 << 20  # at once, of a header too: names have up to 200 characters
OVERHEAD_BYTES: Final = 3 << 9  # of a member, beside its content: two headers and what fills the last block
BROKEN: Final = (OSError, tarfile.TarError, lzma.LZMAError, EOFError)


def pack_evidence(evidence: Path, target: Path, name: str = "") -> None:
    """Pack an evidence file and its kept replies. `name`: of the entry, where the file is not called after it.

    Raises:
        OSError: a file cannot be read or written.
    """
    name = name or target.name.removesuffix(SUFFIX)
    with tarfile.open(target, "w:xz", format=tarfile.PAX_FORMAT) as packed:
        _pack_entry(packed, read_plain_bytes(evidence), f"{name}.jsonl")
        for path in sorted(folder_of(evidence).glob("*.jsonl.gz")):
            if is_kept_file(path):
                with open_plain_file(path) as file:
                    _pack_entry(packed, file.read(), f"{name}{FOLDER}/{path.name}")


def _pack_entry(packed: tarfile.TarFile, data: bytes, name: str) -> None:
    entry = tarfile.TarInfo(name)  # time 0, nobody's, 0644
    entry.size = len(data)
    packed.addfile(entry, io.BytesIO(data))


def unpack_evidence(archive: Path, target: Path) -> Path:
    """Unpack an archive into a folder, and return the evidence file.

    Raises:
        ConfigError: it is no archive of evidence, or holds something else, or too much.
    """
    try:
        with _open_archive(archive) as packed:
            found = [path for path in _unpack_members(packed, archive, target) if path.suffix == ".jsonl"]
    except BROKEN as error:
        raise _make_refusal(archive, f"cannot be unpacked: {error}") from None
    if len(found) != 1:
        raise _make_refusal(archive, f"expected one evidence file in it, found {len(found)}")
    return found[0]


def read_lines(archive: Path, most_bytes: int) -> Iterator[bytes]:
    """Yield the lines of the first evidence file of at most so many bytes; the replies behind it are not unpacked.

    Raises:
        ConfigError: it is no archive.
    """
    try:
        with _open_archive(archive) as packed:
            for member in packed:
                if member.name.endswith(".jsonl") and member.size <= most_bytes:
                    yield from packed.extractfile(member) or ()
                    return
    except BROKEN as error:
        raise _make_refusal(archive, f"cannot be read: {error}") from None


class _BoundedReader:
    """The unpacked bytes of an archive, for tarfile: no more at once, and no more in all, than evidence can need.

    It moves forward only. A negative size (GNU's base-256 numbers can be) leads back to its own header, for ever.
    """

    def __init__(self, unpacked: IO[bytes]) -> None:
        self._unpacked = unpacked
        self.tell = unpacked.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= PIECE_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        self._require_room(self.tell() + size)
        return self._unpacked.read(size)

    def seek(self, place: int) -> int:
        if place < self.tell():
            raise tarfile.ReadError("a size below zero")
        self._require_room(place)
        return self._unpacked.seek(place)

    def _require_room(self, place: int) -> None:
        if place > UNPACKED_BYTES + MEMBERS * OVERHEAD_BYTES:
            raise tarfile.ReadError(f"more than {UNPACKED_BYTES >> 20} MiB")


@contextmanager
def _open_archive(archive: Path) -> Iterator[tarfile.TarFile]:
    with (
        open_plain_file(archive) as raw,
        lzma.open(raw) as unpacked,
        tarfile.open(fileobj=cast(IO[bytes], _BoundedReader(unpacked)), mode="r:") as packed,
    ):
        yield packed


def _unpack_members(packed: tarfile.TarFile, archive: Path, target: Path) -> Iterator[Path]:
    room = UNPACKED_BYTES
    for number, member in enumerate(packed):
        room -= member.size
        if number >= MEMBERS or room < 0:
            raise _make_refusal(archive, f"it holds more than {MEMBERS} files or {UNPACKED_BYTES >> 20} MiB")
        if not member.isreg() or not MEMBER.fullmatch(member.name) or ".." in member.name:
            if member.isdir():
                continue
            raise _make_refusal(archive, f"{member.name!r:.80} is neither evidence nor a kept reply")
        file = packed.extractfile(member)
        assert file is not None  # of a plain file there is one
        path = target / member.name
        path.parent.mkdir(parents=True, exist_ok=True)
        _copy(file, path)
        yield path


def _copy(file: IO[bytes], path: Path) -> None:
    with path.open("xb") as out:
        while piece := file.read(PIECE_BYTES):
            out.write(piece)


def _make_refusal(archive: Path, why: str) -> ConfigError:
    return ConfigError([Problem(str(archive), 0, "", why)])
