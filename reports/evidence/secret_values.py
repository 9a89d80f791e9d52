"""Derives the forms in which a known secret may be printed: plain, in other case, encoded, or broken by line ends."""

from __future__ import annotations

import base64
import json
import re
from base64 import b32encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import quote, quote_plus

SHORTEST: Final = 6  # characters; anything shorter cannot be told from ordinary text
SHORTEST_CODE: Final = 8  # of an encoded form
BROKEN_FROM: Final = 8  # characters of a value that is also looked for in pieces and escapes
MOST_COMPILED: Final = 256  # values whose expressions are kept: 50 kB each
# Without one of these a text holds no broken or escaped value.
ESCAPED: Final = re.compile(
    "[\\r\\n\\t\\f\\v\\0\\x1b%\\\\&\\xad\\u2000-\\u206f\\u2500-\\u257f\\ufeff]|[\"'] ?\\+? ?[\"']"
)
# A value is spelt by at least so many short words in a row: '[72, 102', `Z x 9`, 5a:78:39.
SPELT: Final = re.compile(rf"(?:[^\s,:]{{1,4}}[\s,:]{{1,3}}){{{BROKEN_FROM - 1}}}")
_PREFIX = r"(?:\[[^\[\]\r\n]{1,80}\]:? ?|\([^()\r\n]{1,80}\) ?){0,3}"  # of the writer, in front of a line of a log
# As characters, and as the bytes of UTF-8: invisible ones, and the sides of a drawn box.
_UNSEEN = "(?:[\\0\\xad\\u2000-\\u206f\\ufeff]|\\xe2[\\x80\\x81][\\x80-\\xbf]|\\xef\\xbb\\xbf|\\xc2\\xad)"
_SIDE = "(?:[|\\u2500-\\u257f]|\\xe2[\\x94\\x95][\\x80-\\xbf])?"
_BREAK = (
    r"(?:\x1b\[[0-9;:?]{0,30}[A-Za-z]|\x1b\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|\x1b[()][A-Za-z0-9]|\\x00|\\[rnt]"
    rf"|[ \t]{{0,80}}{_SIDE}[ \t]{{0,8}}\\?[\r\n]{{1,2}}{_PREFIX}[ \t]{{0,8}}{_SIDE}[ \t]{{0,80}}|[\t\f\v]"
    rf"|{_UNSEEN}|[\"'] ?\+? ?[\"'])?"
)


def value_forms(value: str) -> set[str]:
    """List every text from which the value can be recovered, the value included."""
    raw = value.encode(errors="surrogatepass")
    forms = {value, value.upper(), value.lower(), json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    forms |= {repr(value)[1:-1], quote(value, safe="", errors="replace"), quote_plus(value, errors="replace")}
    forms |= {re.sub("%..", lambda m: m[0].lower(), f) for f in list(forms) if "%" in f}
    if len(raw) >= SHORTEST_CODE:
        forms |= {raw.hex(), raw.hex().upper(), *_base64_forms(raw), b32encode(raw).decode().rstrip("=")[:-1]}
    lines = [line.strip() for line in value.splitlines()]
    forms |= {line for line in lines if len(line) >= 16 and len(lines) > 1}  # a key in PEM, a line at a time
    return {f for f in forms if len(f) >= SHORTEST}


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Yield the part of the encoding that is independent of the neighbours, for each place in a group of three
    bytes."""
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        stable = whole[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        if len(stable) >= SHORTEST_CODE:
            yield from (stable, stable.replace("+", "-").replace("/", "_"))


def compile_forms(values: Iterable[str]) -> re.Pattern[str] | None:
    """Compile one expression for all forms of all values, longest first; None for no values."""
    forms = sorted({f for v in values for f in value_forms(v)}, key=lambda f: (-len(f), f))
    return re.compile("|".join(map(re.escape, forms))) if forms else None


def compile_broken(values: Iterable[str]) -> list[re.Pattern[str]]:
    """Compile an expression for each value, longest first, with line ends or colours between its characters, each
    possibly escaped."""
    return [_compile_broken(value) for value in _sort_longest(values)]


def compile_spelt(values: Iterable[str]) -> list[re.Pattern[str]]:
    """Compile an expression for each value, longest first, as a list: of characters, or of their numbers, decimal or
    hexadecimal."""
    return [_compile_spelt(value) for value in _sort_longest(values)]


def _sort_longest(values: Iterable[str]) -> list[str]:
    return sorted((v for v in values if len(v) >= BROKEN_FROM), key=lambda v: (-len(v), v))


# Each launch has a key of its own. One expression for all of them was compiled again with each new one: six launches
# of a worker spent 0.8 CPU seconds on that instead of 0.2.
@lru_cache(maxsize=MOST_COMPILED)
def _compile_broken(value: str) -> re.Pattern[str]:
    return re.compile(_BREAK.join(map(_match_character, value)))


@lru_cache(maxsize=MOST_COMPILED)
def _compile_spelt(value: str) -> re.Pattern[str]:
    return re.compile(r"[\s,:]{1,3}".join(map(_match_unit, value)))


def _match_unit(letter: str) -> str:
    """Match a character of a list; a character of several bytes has a place for each byte."""
    raw = letter.encode(errors="surrogatepass")
    numbers = r"[\s,:]{1,3}".join(rf"(?:{b}|(?i:(?:0x)?{b:02x}))" for b in raw)
    return rf"(?:[\"']?{re.escape(letter)}[\"']?|{numbers})"


def _match_character(letter: str) -> str:
    """Match a character as itself, or as a URL, JSON, Python and HTML may write it."""
    code, raw = ord(letter), letter.encode(errors="surrogatepass")
    url, python = ("".join(f"{lead}{b:02x}" for b in raw) for lead in ("%(?:25)?", r"\\x"))
    octal = "".join(rf"\\{b:03o}" for b in raw)
    return rf"(?:{re.escape(letter)}|(?i:{url}|{python}|{octal}|\\u{code:04x}|&\#{code};|&\#x{code:x};))"
