"""Makes text of engines and models harmless where it is shown: one form for terminals, one for Markdown.

A model can print anything: escape sequences that clear the screen or paint GREEN, overrides that reverse a line,
letters without width, half characters that crash printing, a mention that notifies a user, ten megabytes. Evidence
keeps the original; every printer calls this module.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    R = TypeVar("R", bound=DataclassInstance)

MOST_CHARS: Final = 20_000  # shown of one text, anywhere
# Control, format (bidi, zero width, tags), surrogate, private, unassigned, line and paragraph separators.
OBEYED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
PASSED: Final = "\n\t"
# Of other categories, and without any width: grapheme joiner, Hangul and Khmer fillers, Mongolian selectors.
BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
ZERO_WIDTH: Final = "\u200b"  # ours: it takes a mention or a link apart where nothing else does
MARKS: Final = "\\`*_[]|#$~"
_ODD: Final = re.compile(r"[^\t\n -~]")  # what may be obeyed; plain ASCII, nearly everything, is not looked at twice
_COMMAND: Final = re.compile(r"(?m)^(\s*)(::|##\[)")  # what a CI runner obeys at the beginning of a log's line
# Where GitHub and its like see a link, an address, a mention or an issue in plain text, escaped or not.
_LINK: Final = re.compile(
    r"(?i)(?<=:)(?=//)|(?<=\bwww)(?=\.)|(?<=\bmailto:)|(?<=\bxmpp:)|(?<=@)(?=\S)|(?<=#)(?=\d)|(?<=\bGH-)(?=\d)"
)


class _Visible(dict[int, str]):
    """A table for str.translate: a character that terminals obey becomes its escape, any other stays. Filled on
    first use."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        obeyed = char in BLANK or (unicodedata.category(char) in OBEYED and char not in PASSED)
        self[code] = _escape_code(code) if obeyed else char
        return self[code]


def _escape_code(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_VISIBLE: Final = _Visible()
_NO_TEXT: Final = frozenset({bool, int, float, datetime, type(None)})


def cut_to(text: str, most: int = MOST_CHARS) -> str:
    """Cut a text to its beginning, with its whole length where something was cut.

    >>> cut_to("abcdef", 3)
    'abc... (6 characters)'
    """
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def defuse_for_terminal(text: str, most: int = MOST_CHARS) -> str:
    """Make a text that moves no cursor and hides nothing; its own line breaks are kept.

    >>> defuse_for_terminal("a\\x1b[2J\\u202eb")
    'a\\\\x1b[2J\\\\u202eb'
    """
    return _disarm(cut_to(text, most))


def defuse_line(text: str, most: int = MOST_CHARS) -> str:
    """Defuse a text for a terminal and join it into one line, so that no second line can imitate ours."""
    return _disarm(" ".join(cut_to(text, most).split()))


def _disarm(text: str) -> str:
    """Make visible what a terminal obeys, and harmless what a CI runner does; most texts hold neither."""
    # Python calls each character of `OBEYED` unprintable; the blank ones are to be looked for, where there are any.
    harmless = text.isprintable() and (text.isascii() or BLANK.isdisjoint(text))
    plain = text if harmless else text.translate(_VISIBLE)
    return _COMMAND.sub(r"\1\\\2", plain) if "::" in plain or "##[" in plain else plain


def defuse_for_markdown(text: str, most: int = MOST_CHARS) -> str:
    """Escape text for Markdown, its HTML and the places that render it (mentions, issue numbers, bare links)."""
    line = defuse_line(text, most).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in MARKS:
        line = line.replace(mark, f"\\{mark}")
    return _LINK.sub(ZERO_WIDTH, line)


def defuse_for_code(text: str, most: int = MOST_CHARS) -> str:
    """Format an inline code span: nothing in it is markup, mention or link, and no backtick can end it."""
    clean = defuse_line(text, most).replace("`", "'").replace("|", "\\|") or " "
    return f"`{clean}`"


def make_visible(record: R) -> R:
    """Make the control characters in a record's texts visible; `data`, which nothing prints, is unchanged."""
    shown = _list_shown(type(record))
    # One look at all texts together: of nearly every record nothing has to be changed.
    others = [repr(value) for value in shown.read_others(record) if value]
    if _is_plain("".join(shown.read_texts(record))) and _is_plain("".join(others)):
        return record
    values = [(name, getattr(record, name)) for name in shown.names]
    changed = {name: made for name, value in values if (made := _make_value_visible(value)) is not value}
    return replace(record, **changed) if changed else record


def _is_plain(text: str) -> bool:
    """Return whether a text, or the `repr` of a value, surely holds nothing to be made visible."""
    return text.isascii() and text.isprintable() and "\\" not in text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """The printed fields of a kind of record, and what reads them: those that are texts, and those that may hold
    some."""

    names: tuple[str, ...]
    read_texts: Callable[[Any], tuple[Any, ...]]
    read_others: Callable[[Any], tuple[Any, ...]]


@cache
def _list_shown(kind: type[DataclassInstance]) -> _Shown:
    hints = get_type_hints(kind)
    names = tuple(f.name for f in fields(kind) if f.name != "data" and hints[f.name] not in _NO_TEXT)
    texts = [name for name in names if hints[name] is str]
    others = [name for name in names if hints[name] is not str]
    return _Shown(names=names, read_texts=_make_getter(texts), read_others=_make_getter(others))


def _make_getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Make what reads these attributes as a tuple; `attrgetter` does so only of two or more."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda record: tuple(getattr(record, name) for name in names)


def _make_value_visible(value: Any) -> Any:
    """Make a value visible; return the same object where nothing changes."""
    if type(value) in _NO_TEXT:
        return value
    if isinstance(value, str):
        if (
            (value.isascii() and value.isprintable())
            or not _ODD.search(value)
            or (made := value.translate(_VISIBLE)) == value
        ):
            return value
        return made
    if isinstance(value, Mapping):
        seen = {_make_value_visible(k): _make_value_visible(v) for k, v in value.items()}
        same = len(seen) == len(value) and all(k in value and seen[k] is value[k] for k in seen)
        return value if same else seen
    if isinstance(value, tuple):
        shown = tuple(map(_make_value_visible, value))
        return value if all(a is b for a, b in zip(shown, value, strict=True)) else shown
    return value
