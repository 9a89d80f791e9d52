"""What YAML files became when they were parsed, kept in the user's cache by the digest of their text.

    <cache>/yaml/<digest of the text and of the parser>.json
        sha256 of the name and of the rest
        the data, as JSON, with the places of dates
        the lines of the values, in the order of `iterate_locations`

Parsing was a third of what a short command took. JSON holds data and nothing that runs. A text that changed, a parser
that changed, a torn file, another entry's content, or one that another user wrote has no valid entry: the text is
parsed. A cache that cannot be written costs time and says nothing. `GLM_MATRIX_NO_YAML_CACHE` switches both off.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime
from functools import cache, partial
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Final

from matrix import variables
from matrix.homes import list_user_caches
from matrix.yaml.document import Loc, iterate_locations

MOST_KEPT: Final = 1_000  # entries, about 10 MB; ours are 200
LARGEST_ENTRY: Final = 1 << 23  # bytes: a text has at most 1/16 of it
PARSER: Final = (
    "compose.py",
    "document.py",
    "key_looks.py",
    "kept.py",
)  # decide what a text becomes, and how it is written down
_OTHERS_WRITE: Final = 0o022
_COMPACT: Final = (",", ":")


def find_parsed(text: str) -> tuple[Any, Callable[[], dict[Loc, int]]] | None:
    """Return the data of a text and what places its lines; None where nothing valid is kept."""
    if (folder := locate_folder()) is None:
        return None
    key = _name_entry(text)
    # ValueError: no JSON, or no text; the others: JSON of another shape, which a valid digest excludes
    with suppress(OSError, ValueError, RecursionError, KeyError, IndexError, TypeError):
        data, lines = _open_entry(folder / f"{key}.json", key)
        return _decode(data), partial(_place_lines, data, lines)
    return None


def keep_parsed(text: str, data: Any, lines: Mapping[Loc, int]) -> None:
    """Keep what a sound text became, unless it would come back as something else."""
    folder = locate_folder()
    if folder is None or folder in _UNWRITABLE:
        return
    dates = [(loc, value.isoformat()) for loc, value in _walk(data) if _is_date(value)]
    try:
        held = json.dumps({"data": data, "dates": dates}, separators=_COMPACT, default=_hide_date)
    except (TypeError, ValueError):
        return  # e.g. a date with a time of day
    placed = json.dumps(list(lines.values()), separators=_COMPACT)
    # repr tells 1, 1.0 and true apart, which compare as equal
    if repr(_decode(held)) != repr(data) or tuple(iterate_locations(data)) != tuple(lines):
        return
    key, body = _name_entry(text), f"{held}\n{placed}".encode()
    try:
        _write_entry(folder, key, _sign(key, body) + b"\n" + body)
    except OSError:
        _UNWRITABLE.add(folder)  # asked once in a process, not for each file


_UNWRITABLE: Final[set[Path]] = set()


def locate_folder() -> Path | None:
    """Return the folder of the entries; None where the user has no home or wants no cache."""
    if os.environ.get(variables.NO_YAML_CACHE.name):
        return None
    return next((place / "yaml" for place in list_user_caches()), None)


def _name_entry(text: str) -> str:
    return hashlib.sha256(_digest_parser() + text.encode()).hexdigest()


@cache
def _digest_parser() -> bytes:
    """Digest what decides what a text becomes: Python, the YAML library, and our own code over it."""
    found = PathFinder.find_spec("yaml")  # its __init__ holds the version; importing it is what an entry spares
    library = Path(found.origin).read_bytes() if found is not None and found.origin is not None else b""
    own = (Path(__file__).with_name(name).read_bytes() for name in PARSER)
    parts = (sys.version.encode(), library, *own)
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


def _open_entry(path: Path, key: str) -> tuple[str, str]:
    """Return an entry's data and lines, both still JSON. Raises: OSError; ValueError: it is not what we wrote."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        info = os.fstat(file.fileno())
        # root's, too: an image may bring a cache along
        if not stat.S_ISREG(info.st_mode) or info.st_uid not in (0, os.geteuid()) or info.st_mode & _OTHERS_WRITE:
            raise ValueError("not a file of this user alone")
        digest, _, body = file.read(LARGEST_ENTRY).partition(b"\n")
    if digest != _sign(key, body):
        raise ValueError("torn, or another entry's")
    data, _, lines = body.decode().partition("\n")
    return data, lines


def _sign(key: str, body: bytes) -> bytes:
    return hashlib.sha256(key.encode() + body).hexdigest().encode()


def _decode(held: str) -> Any:
    both = json.loads(held)
    for loc, text in both["dates"]:
        at, steps = both, ["data", *loc]
        for step in steps[:-1]:
            at = at[step]
        at[steps[-1]] = date.fromisoformat(text)
    return both["data"]


def _place_lines(held: str, lines: str) -> dict[Loc, int]:
    # decoded again: whoever was given the data may have changed it
    return dict(zip(iterate_locations(_decode(held)), json.loads(lines), strict=True))


def _walk(data: Any, at: Loc = ()) -> Iterator[tuple[Loc, Any]]:
    yield at, data
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from _walk(value, (*at, key))


def _is_date(value: Any) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


def _hide_date(value: Any) -> None:
    """Write null in a date's place, which stands in a list of its own. Raises: TypeError: it is no date."""
    if not _is_date(value):
        raise TypeError(f"{type(value).__name__} is not kept")


def _write_entry(folder: Path, key: str, content: bytes) -> None:
    """Write an entry whole or not at all: two writers write the same, and the later one's file takes the name."""
    from tempfile import NamedTemporaryFile  # late: a start that finds everything does not need it

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _prune_once(folder)
    with NamedTemporaryFile(dir=folder, prefix=".", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            Path(file.name).replace(folder / f"{key}.json")
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


@cache
def _prune_once(folder: Path) -> None:
    """Remove the older half where there are too many: entries of texts that are no more, and of killed writers."""
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if entry.is_file(follow_symlinks=False)]
    if len(found) <= MOST_KEPT:
        return
    for entry in sorted(found, key=lambda e: e.stat(follow_symlinks=False).st_mtime)[: len(found) - MOST_KEPT // 2]:
        Path(entry.path).unlink(missing_ok=True)
