"""JSON that an engine wrote, read once and strictly: what Python's reader lets pass, or dies of, is refused in one way.

sent                             Python alone                     here
200,000 brackets                 RecursionError                   refused
an integer of 5,000 digits       ValueError, or 40 kB of number   refused beyond 64 bits
a key twice in one object        the last wins                    refused, but where it need not be `unique`
bytes that are no UTF-8          surrogates, or UnicodeError      refused
NaN, Infinity                    a float                          a float to be judged, or refused: `numbers`
half of a surrogate pair         a lone surrogate                 kept: a check shall see what a user would
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

DEEPEST: Final = 100  # a chat completion has 8 levels, a tool's arguments few more
LARGEST_INTEGER: Final = 2**64  # no count, id or time needs more bits
_DIGITS: Final = len(str(LARGEST_INTEGER))


class UnreadableJson(ValueError):
    """The text is not JSON that a careful reader accepts."""


def parse_foreign_json(payload: bytes | str, *, numbers: bool = True, unique: bool = True) -> Any:
    """Parse one JSON value. `numbers`: NaN and Infinity become floats, to be judged where they are used. Not `unique`:
    a key may occur twice, and the last wins; such a text has no NaN either.

    Raises:
        UnreadableJson: in one line, what is wrong with it. No other exception comes out of any text.
    """
    try:
        text = payload.decode("utf-8") if isinstance(payload, bytes) else payload
        value = _decode_text((_LENIENT if numbers else _STRICT) if unique else _REPEATED, text)
        # counting brackets is cheap and rules out depth for nearly every reply; the walk is for the rest
        if text.count("[") + text.count("{") > DEEPEST:
            require_shallow(value)
    except UnreadableJson:
        raise
    except (RecursionError, MemoryError) as error:
        raise UnreadableJson(f"nested or long beyond reading ({type(error).__name__})") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are such
        raise UnreadableJson(str(error)) from None
    return value


def _decode_text(decoder: json.JSONDecoder, text: str) -> Any:
    """Decode as `decoder.decode` does, which looks for spaces around each of a million lines that have none."""
    if text[:1] == "{":
        value, end = decoder.raw_decode(text)
        if text[end:] in ("", "\n"):
            return value
    return decoder.decode(text)


def find_no_number(value: Any, *, but: str) -> str:
    """Find the key of a NaN or an infinity (for a list: the list's), except `but`, the name that may hold one; empty
    where every number is one. No recursion: `value` is as deep as `parse_foreign_json` allows."""
    left: list[tuple[str, Any]] = [("", value)]
    while left:
        key, each = left.pop()
        if isinstance(each, float) and not math.isfinite(each) and key != but:
            return repr(key)
        if isinstance(each, dict):
            left += each.items()
        elif isinstance(each, list):
            left += ((key, inner) for inner in each)
    return ""


def require_shallow(value: Any) -> None:
    """Refuse what is nested deeper than `DEEPEST`, without recursion of our own."""
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [inner for each in level for inner in _list_inner(each)]
        if not level:
            return
    raise UnreadableJson(f"nested more than {DEEPEST} levels deep")


def _list_inner(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [each for each in inner if isinstance(each, dict | list)]


def _parse_integer(digits: str) -> int:
    if len(digits) <= _DIGITS and abs(number := int(digits)) < LARGEST_INTEGER:
        return number
    raise UnreadableJson(f"an integer of {len(digits.lstrip('-'))} digits, beyond 64 bits")


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UnreadableJson(f"a key occurs twice: {twice[:40]!r}")
    return made


def _refuse_constant(name: str) -> float:
    raise UnreadableJson(f"{name} is not JSON")


_REPEATED: Final = json.JSONDecoder(parse_int=_parse_integer, parse_constant=_refuse_constant)
_LENIENT: Final = json.JSONDecoder(object_pairs_hook=_make_object, parse_int=_parse_integer)
_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_make_object, parse_int=_parse_integer, parse_constant=_refuse_constant
)
