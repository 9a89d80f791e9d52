"""Reads lines that are as `reports.evidence.files.format_line` writes them, which nearly every line is, by orjson: a
third of the time of the strict reader (`matrix.judging.foreign_json`), which reads every other line and says what is
wrong with it.

orjson takes the last of two equal keys, and makes a float of an integer beyond 64 bits. Both show when the value is
written again: it is another line.
"""

from __future__ import annotations

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
