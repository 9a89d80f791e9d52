"""Explains a file that is no evidence: what it looks like, and what was expected, in one error and not a thousand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from matrix.errors import ConfigError, Problem, find_nearest

SHOWN: Final = 3  # lines by number
NAMES: Final = (".jsonl", ".jsonl.gz", ".tar.xz")  # of evidence
HEAD_BYTES: Final = 512
MAGIC: Final[Mapping[bytes, str]] = {
    b"\x1f\x8b": "a gzip file: name it NAME.jsonl.gz",
    b"\xfd7zXZ": "an xz file: an archive of evidence is called NAME.tar.xz",
    b"PK\x03\x04": "a zip file: unpack it first",
    b"SQLite format 3": "an SQLite database: name the evidence that a history is made from",
    b"<?xml": "XML: the evidence of a run lies beside its JUnit file, as .jsonl",
    b"<testsuite": "JUnit XML: the evidence of a run lies beside it, as .jsonl",
    b"<!doctype html": "an HTML page: name the evidence that it was made from",
    b"\xef\xbb\xbf": "text with a byte order mark in front, which an editor writes",
}
EXPECTED: Final = "expected evidence, one JSON object a line, as `pytest --evidence FILE` writes it"


def explain_no_evidence(path: Path, head: bytes, lost: Mapping[int, str]) -> ConfigError:
    """Make the error of a file without any record. `head`: its beginning. `lost`: what is wrong, by line from 0."""
    if looks := _recognise(head):
        return ConfigError([Problem(str(path), 1, "", f"this is {looks}; {EXPECTED}")])
    problems = [Problem(str(path), place + 1, "", why) for place, why in [*lost.items()][:SHOWN]]
    if len(lost) > SHOWN:
        rest = f"and {len(lost) - SHOWN:,} more lines, none of which is a record; {EXPECTED}"
        problems.append(Problem(str(path), 0, "", rest, follows=True))
    return ConfigError(problems)


def _recognise(head: bytes) -> str:
    start = head.lstrip()
    for magic, looks in MAGIC.items():
        if start[: len(magic)].lower() == magic.lower():
            return looks
    if start[:1] == b"[" or start.rstrip() == b"{":
        return "JSON over several lines"
    return "no text" if b"\0" in head or not _is_text(head) else ""


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3  # the head may end within a character
    return True


def explain_unreadable(path: Path, error: OSError) -> ConfigError:
    """Make the error of a file that cannot be opened, with the nearest name beside it."""
    why = f"cannot be read: {error.strerror}. Did anything run? (pytest writes it, see --evidence)"
    return ConfigError([Problem(str(path), 0, "", f"{why}{_suggest_name(path)}")])


def _suggest_name(path: Path) -> str:
    try:
        around = [] if path.exists() else path.parent.iterdir()  # a link that leads nowhere is there, and not meant
        beside = [each for each in around if each.name.endswith(NAMES) and each != path]
        newest = sorted(beside, key=lambda each: each.lstat().st_mtime, reverse=True)
    except OSError:
        return ""
    if near := find_nearest(path.name, [each.name for each in beside]):
        return f"; did you mean {str(path.with_name(near))!r}?"
    # `make try` and a run with a name of its own leave their evidence beside the one that nobody wrote
    others = ", ".join(repr(str(each)) for each in newest[:SHOWN])
    return f"; evidence that is there, the newest first: {others}" if others else ""
