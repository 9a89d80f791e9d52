"""Reads large evidence cell by cell, so that a report of thousands of cells needs the memory of one.

A first pass looks for each line's cell with a pattern and parses only what belongs to all cells; a second pass parses
the lines of one cell at a time. The pattern is a guess about text that anybody may have written, so the second pass
checks it: where a line is not what the first pass took it for, or is damaged, or where runs retry one another, the
whole evidence is read at once, as every other reader does.
"""

from __future__ import annotations

import gc
import gzip
import io
import re
import tempfile
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from reports.evidence.defuse import make_visible
from reports.evidence.files import GZIP, GZIP_BYTES, open_plain_file, parse_line, parse_lines
from reports.evidence.types import Launch, Record, Run

CELL: Final = re.compile(rb'"cell":"([^"\\]+)"')
HARMFUL: Final = re.compile(rb'\\(?!["n])')  # an escape; of a backslash's own, the second one may stand before anything
NOTHING: Final = b"\n\n"  # no line begins with it
LAUNCH: Final = b'"kind":"launch"'
PIECE_BYTES: Final = 1 << 20
TOGETHER_BYTES: Final = 32 << 10  # of lines that are parsed as one list: fifty lines
STREAMED_BYTES: Final = 32 << 20  # smaller evidence is read at once; one run of 54 cells has 4.6 MB


class Unstreamable(Exception):
    """This evidence must be read at once; the text says why."""


@dataclass(slots=True)
class _Lines:
    """Where the lines of one cell stand: number of the file, offset and length of each piece, one after the other.

    A suite writes a cell's lines one after another, so that a piece holds about a hundred of them.
    """

    places: array[int] = field(default_factory=lambda: array("Q"))
    launches: array[int] = field(default_factory=lambda: array("Q"))


class CellReader:
    """Evidence files, read cell by cell. A context manager: it holds the files open.

    Raises:
        Unstreamable: from the constructor or from `read_cell`.
        OSError: a file cannot be read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.shared: list[Record] = []  # of no cell, and every launch
        self._cells: dict[str, _Lines] = {}
        self._newer: set[str] = set()
        self._files: list[BinaryIO] = []
        with ExitStack() as stack:
            for path in paths:
                self._files.append(stack.enter_context(_open_seekable(path)))
                self._index_file(len(self._files) - 1)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    @property
    def cells(self) -> Sequence[str]:
        """The cells in the order in which the files name them."""
        return list(self._cells)

    def read_cell(self, cell: str) -> Iterator[Record]:
        """Read the records of one cell with their texts made visible, without its launches, which are in `shared`."""
        for piece in self._read_pieces(self._cells[cell].places if cell in self._cells else _Lines().places):
            records = self._parse_lines(piece)
            if any(found.cell != cell or isinstance(found, Launch) for found in records):
                raise Unstreamable(f"a line of {cell} says that it is another's")
            if _is_plain(piece):  # one look at fifty lines: in most pieces none holds anything
                yield from records
            else:
                # `_is_plain` of each line, without a call and its search: a record that stays is returned as it is.
                yield from (
                    found if line.isascii() and b"\\" not in line and b"\x7f" not in line else make_visible(found)
                    for line, found in zip(io.BytesIO(piece), records, strict=True)
                )

    def read_original(self, cell: str) -> Iterator[Record]:
        """Read the records of one cell as they were written, its launches among them, in the order of the files."""
        known = self._cells[cell]
        places = sorted((*_split_pieces(known.places), *_split_pieces(known.launches)))
        for piece in self._read_pieces(array("Q", (n for place in places for n in place))):
            yield from self._parse_lines(piece)

    def read_all(self) -> Iterator[Record]:
        """Read every record as it was written, in the order of the files, and keep none."""
        for _, found in self.read_lines():
            yield found

    def read_lines(self) -> Iterator[tuple[bytes, Record]]:
        """Read every record with its line."""
        for file in self._files:
            file.seek(0)
            while lines := file.readlines(TOGETHER_BYTES):
                yield from zip(lines, self._parse_lines(b"".join(lines)), strict=True)

    def _read_pieces(self, places: array[int]) -> Iterator[bytes]:
        """Read whole lines, many together: tests that ran side by side leave a cell's lines in pieces of a dozen."""
        held, size = list[bytes](), 0
        for number, offset, length in _split_pieces(places):
            self._files[number].seek(offset)
            held.append(piece := self._files[number].read(length))
            size += length
            if size > TOGETHER_BYTES or not piece.endswith(b"\n"):  # a torn line is no beginning of the next one
                yield b"".join(held)
                held, size = [], 0
        yield b"".join(held)

    def _index_file(self, number: int) -> None:
        offset = 0
        seen: dict[bytes, array[int]] = {}  # by the name as it stands in the line
        # A suite writes a cell's lines one after another: what a line begins with says that it is the last one's cell.
        places, same, length = array("Q"), NOTHING, 0
        for line in self._files[number]:
            if line.startswith(same) and LAUNCH not in line and length < PIECE_BYTES:
                length += len(line)
                continue
            offset = _add_piece(places, number, offset, length)
            named, length = CELL.search(line), len(line)
            if named is None or LAUNCH in line:
                self._keep_shared(self._parse(line), (number, offset, length))
                places, same = array("Q"), NOTHING
                continue
            if (known := seen.get(named[1])) is None:
                cell = named[1].decode("utf-8", "replace")
                known = seen[named[1]] = self._cells.setdefault(cell, _Lines()).places
            places, same = known, b'{"cell":"%b",' % named[1]
        _add_piece(places, number, offset, length)

    def _keep_shared(self, found: Record, place: tuple[int, int, int]) -> None:
        if found.cell and not isinstance(found, Launch):
            raise Unstreamable("a record names its cell in an unusual way")
        if isinstance(found, Run) and found.retry_of:
            raise Unstreamable("a run retries another")
        if isinstance(found, Launch) and found.cell:
            self._cells.setdefault(found.cell, _Lines()).launches.extend(place)
        self.shared.append(make_visible(found))

    def _parse_lines(self, piece: bytes) -> list[Record]:
        try:
            return list(parse_lines(piece, self._newer))
        except ValueError as error:
            raise Unstreamable(str(error)) from None

    def _parse(self, line: bytes) -> Record:
        try:
            return parse_line(line, self._newer)
        except ValueError as error:
            raise Unstreamable(str(error)) from None


def _add_piece(places: array[int], number: int, offset: int, length: int) -> int:
    """Add a piece, and return where the next one begins."""
    if length:
        places.extend((number, offset, length))
    return offset + length


def _split_pieces(places: array[int]) -> Iterator[tuple[int, int, int]]:
    yield from zip(places[::3], places[1::3], places[2::3], strict=True)


def _is_plain(lines: bytes) -> bool:
    """Return whether no text of these lines can hold a character that must be made visible. Of escapes, only quotes and
    line breaks are harmless."""
    return lines.isascii() and b"\x7f" not in lines and HARMFUL.search(lines) is None


def is_large(paths: Sequence[Path]) -> bool:
    """Return whether these files are worth reading cell by cell."""
    sizes = [path.stat().st_size * (10 if path.suffix == GZIP else 1) for path in paths if path.is_file()]
    return sum(sizes) > STREAMED_BYTES


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Leave memory to reference counts: records and pages hold no cycles, and the search is a tenth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _open_seekable(path: Path) -> BinaryIO:
    """Open a plain file; a packed one is unpacked into a temporary file first."""
    raw = open_plain_file(path)
    if path.suffix != GZIP:
        return raw
    with ExitStack() as stack:
        plain = stack.enter_context(tempfile.TemporaryFile())
        try:
            with raw, gzip.open(raw) as packed:
                while piece := packed.read(PIECE_BYTES):
                    plain.write(piece)
                    if plain.tell() > GZIP_BYTES:  # the reader of the whole says so to a person
                        raise Unstreamable(f"{path} unpacks to more than {GZIP_BYTES >> 20} MiB")
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise Unstreamable(str(error)) from None
        plain.seek(0)
        stack.pop_all()
    return plain
