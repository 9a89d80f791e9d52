"""Reads lines that are as `reports.evidence.files.format_line` writes them, which nearly every line is, by orjson: a
third of the time of the strict reader (`matrix.judging.foreign_json`), which reads every other line and says what is
wrong with it.

orjson takes the last of two equal keys, and makes a float of an integer beyond 64 bits. Both show when the value is
written again: it is another line. Many lines are read and written again as one list, in two thirds of the time.
"""

from __future__ import annotations

from functools import reduce
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from matrix.judging.foreign_json import DEEPEST, UnreadableJson, require_shallow

# Absent in an environment of an older lock, and on a platform without a wheel: the strict reader reads every line then.
_orjson: Final[Any] = import_module("orjson") if find_spec("orjson") else None
# What a number consists of. A backslash is followed by none of these, so that a text without them has its quotes, and
# hence its strings and keys, where they were.
_NUMERALS: Final = b"0123456789+-.e"
_AS_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")
# Digits of an integer beyond 64 bits. Python writes as many behind a point: 0.00012345678901234567.
_LONG: Final = b"0" * 20
# Between two lines that are read as one list. No line may hold it, so that each is a value of its own: the first half
# of one and the second half of the next could make another value together.
_SEAM: Final = "a line ends here"
_JOINT: Final = b',"%b",' % _SEAM.encode()
# orjson writes this many levels of lists and objects; with `_AROUND` lists around it, nothing deeper than DEEPEST.
_LEVELS: Final = 254
_AROUND: Final = _LEVELS - DEEPEST - 1  # lists, beside the one of the lines
_INNERMOST: Final[list[Any]] = []
_NEST: Final = reduce(lambda inner, _: [inner], range(_AROUND - 1), _INNERMOST)  # made once: as dear as a dozen lines


def read_canonical(line: bytes) -> Any:
    """Read a line that is canonical JSON; None for any other."""
    if _orjson is None:
        return None
    try:
        value = _orjson.loads(line)
        again = _orjson.dumps(value, option=_orjson.OPT_SORT_KEYS | _orjson.OPT_APPEND_NEWLINE)
        if again != line and not _differ_in_spelling(line, again):
            return None
        if _may_nest(line) and line.count(b"{") + line.count(b"[") > DEEPEST:
            require_shallow(value)
    except (ValueError, TypeError, RecursionError, UnreadableJson):  # orjson's own errors are of the first two kinds
        return None
    return value


def read_canonical_lines(lines: bytes) -> list[Any] | None:
    """Read whole lines that are canonical JSON, which nearly all are, to a value of each; None where any is not."""
    if _orjson is None or _JOINT in lines or not lines.endswith(b"\n"):
        return None
    text = b"[%b]" % lines[:-1].replace(b"\n", _JOINT)
    try:
        read = _orjson.loads(text)
        again = _write_again(read)
    except (ValueError, TypeError, RecursionError):
        return None
    values, seams = read[::2], read[1::2]
    if not len(values) == len(seams) + 1 == lines.count(b"\n") or seams.count(_SEAM) != len(seams):
        return None
    return values if again == text or _are_spelled_otherwise(text, again) else None


def _write_again(read: list[Any]) -> bytes:
    """Write a list of lines' values as it was read. What is nested too deep is a TypeError."""
    _INNERMOST.append(read)
    try:
        written: bytes = _orjson.dumps(_NEST)
    finally:
        _INNERMOST.clear()
    return written[_AROUND:-_AROUND]


def _are_spelled_otherwise(text: bytes, again: bytes) -> bool:
    """Return whether the lines that came back as others differ at most in how they spell floats."""
    lines, written = text.split(_JOINT), again.split(_JOINT)
    if len(lines) != len(written):
        return False
    return all(a == b or _differ_in_spelling(a, b) for a, b in zip(lines, written, strict=True))


def _differ_in_spelling(line: bytes, again: bytes) -> bool:
    """Return whether two lines differ at most in how they spell floats: Python writes 1e-05 where orjson writes
    0.00001. As many keys stand in both then, so none stands twice in the first."""
    if line.translate(None, _NUMERALS) != again.translate(None, _NUMERALS):
        return False
    digits = line.translate(_AS_ZERO)
    return digits.count(_LONG) == digits.count(b"." + _LONG)


def _may_nest(line: bytes) -> bool:
    """Return whether a list or a third object may begin in a line: to look for a bracket is half of counting them."""
    second = line.find(b"{", 1)
    return b"[" in line or (second > 0 and line.find(b"{", second + 1) > 0)
