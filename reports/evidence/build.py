"""Builds a record from JSON that is as it should be, which nearly every line is. It takes a fourth of the time of the
reader that explains what is wrong (`matrix.yaml.structure`), and what is not plainly right here is read there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from enum import Enum
from functools import cache
from sys import intern
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

R = TypeVar("R")
Convert = Callable[[Any], Any]
PLAIN: Final[Mapping[Any, tuple[type, ...]]] = {str: (str,), int: (int,), bool: (bool,), float: (float, int)}


# Thousands of records say the same in these: one text for all of them is two thirds of what a large board takes.
REPEATED: Final = frozenset(
    ("run", "cell", "fingerprint", "test", "nodeid", "check", "expected", "item", "name", "unit", "feature", "rung")
)


class Odd(Exception):
    """A value is not plainly of its field's type."""


def build_record(kind: type[R], data: Mapping[str, Any]) -> R | None:
    """Build a `kind`; None where any field is unknown, missing or not plainly of its type."""
    exact, converts, required = _read_fields(cast(Hashable, kind))
    made = dict(data)
    try:
        for name, value in data.items():
            if (of := exact.get(name)) is None:
                made[name] = converts[name](value)
            elif type(value) is not of:
                return None
            elif of is str and name in REPEATED:
                made[name] = intern(str(value))
        return kind(**made) if required <= data.keys() else None
    except (Odd, KeyError, TypeError, ValueError):
        return None


@cache
def _read_fields(of: Hashable) -> tuple[Mapping[str, type], Mapping[str, Convert], frozenset[str]]:
    """Return the fields that stay as they are, by type; how each other is converted; those without a default."""
    kind = cast(type[Any], of)
    hints = get_type_hints(kind)
    required = (f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING)
    exact = {name: hint for name, hint in hints.items() if hint in (str, int, bool)}
    converts = {f.name: _make_convert(hints[f.name]) for f in fields(kind) if f.name not in exact}
    return exact, converts, frozenset(required)


def _make_convert(hint: Any) -> Convert:
    origin = get_origin(hint)
    if hint is Any:
        return lambda value: value
    if hint is datetime:
        return _read_moment
    if hint is str:
        return _require_text
    if hint in PLAIN:
        return _require_type(*PLAIN[hint])
    if origin is Literal:
        return _require_word(get_args(hint))
    if origin in (Union, UnionType):
        (inner,) = (each for each in get_args(hint) if each is not NoneType)
        return _allow_none(_make_convert(inner))
    if origin is tuple:
        return _convert_list(_make_convert(get_args(hint)[0]))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _require_member(hint)
    return _convert_mapping(_make_convert(get_args(hint)[1]), anything=get_args(hint)[1] is Any)


def _read_moment(value: Any) -> datetime:
    found = datetime.fromisoformat(value)
    if found.tzinfo is None:
        raise Odd
    return found


def _require_text(value: Any) -> str:
    """Return a text that stands in a list: names of tests, of which each cell lists the same."""
    if type(value) is str:
        return intern(value)
    raise Odd


def _require_type(*kinds: type) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) in kinds:
            return value
        raise Odd

    return convert


def _require_word(words: tuple[Any, ...]) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) is str and value in words:
            return value
        raise Odd

    return convert


def _require_member(kind: type[Enum]) -> Convert:
    members = {each.value: each for each in kind}
    return members.__getitem__


def _allow_none(inner: Convert) -> Convert:
    return lambda value: None if value is None else inner(value)


def _convert_list(inner: Convert) -> Convert:
    def convert(value: Any) -> tuple[Any, ...]:
        if type(value) is list:
            return tuple(map(inner, value))
        raise Odd

    return convert


def _convert_mapping(inner: Convert, *, anything: bool) -> Convert:
    def convert(value: Any) -> dict[str, Any]:
        if type(value) is not dict or any(type(key) is not str for key in value):
            raise Odd
        return {intern(key): each if anything else inner(each) for key, each in value.items()}

    return convert
