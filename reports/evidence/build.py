"""Builds a record from JSON that is as it should be, which nearly every line is. It takes a fourth of the time of the
reader that explains what is wrong (`matrix.yaml.structure`), and what is not plainly right here is read there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from enum import Enum
from functools import cache, lru_cache
from itertools import repeat
from operator import call, itemgetter
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


# Nearly all lines of a kind have one of a few sets of fields: what depends on these alone is found once for each set.
SHAPES: Final = 1_024


class Odd(Exception):
    """A value is not plainly of its field's type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """How to build a record of the fields that a line has, in the line's order."""

    pick: Callable[[Mapping[str, Any]], tuple[Any, ...]]  # the values that stay as they are
    types: list[type]  # of these
    texts: tuple[int, ...]  # places of values that are shared
    converts: tuple[tuple[int, Convert], ...]  # places of values that are converted
    absent: tuple[Any, ...]  # the values of fields that the line does not have
    setters: tuple[Callable[[Any, Any], None], ...]  # of each field: the line's, then the absent ones


def build_record(kind: type[R], data: Mapping[str, Any]) -> R | None:
    """Build a `kind`; None where any field is unknown, missing or not plainly of its type."""
    shape = _find_shape(cast(Hashable, kind), tuple(data))
    if shape is None or [*map(type, shape.pick(data))] != shape.types:
        return None
    values = [*data.values()]
    for place in shape.texts:
        values[place] = intern(values[place])
    try:
        for place, convert in shape.converts:
            values[place] = convert(values[place])
    except (Odd, KeyError, TypeError, ValueError):
        return None
    values += shape.absent
    # What the class's own __init__ does, for half of the time: a frozen class sets each field by name there.
    made = object.__new__(kind)
    deque(map(call, shape.setters, repeat(made), values), maxlen=0)
    return made


@lru_cache(SHAPES)
def _find_shape(of: Hashable, names: tuple[str, ...]) -> _Shape | None:
    """Make the shape of a kind with these fields; None where one is unknown or missing."""
    exact, converts, required = _read_fields(of)
    if not required <= set(names) <= exact.keys() | converts.keys():
        return None
    plain = [name for name in names if name in exact]
    absent = [f for f in fields(cast(Any, of)) if f.name not in names]
    return _Shape(
        pick=itemgetter(*plain, *plain[:1]),  # of one name alone, the getter would give no tuple
        types=[exact[name] for name in (*plain, *plain[:1])],
        texts=tuple(n for n, name in enumerate(names) if exact.get(name) is str and name in REPEATED),
        converts=tuple((n, converts[name]) for n, name in enumerate(names) if name not in exact),
        # Every factory here gives one and the same object (`reports.evidence.types.EMPTY`).
        absent=tuple(f.default if f.default_factory is MISSING else f.default_factory() for f in absent),
        setters=tuple(getattr(of, name).__set__ for name in (*names, *(f.name for f in absent))),
    )


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
