"""Builds a record from JSON that is as it should be, which nearly every line is. It takes a fourth of the time of the
reader that explains what is wrong (`matrix.yaml.structure`), and what is not plainly right here is read there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from datetime import datetime
from enum import Enum
from functools import cache, lru_cache
from sys import intern
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

R = TypeVar("R")
Convert = Callable[[Any], Any]
Builder = Callable[[Mapping[str, Any]], Any]
PLAIN: Final[Mapping[Any, tuple[type, ...]]] = {str: (str,), int: (int,), bool: (bool,), float: (float, int)}


# Thousands of records say the same in these: one text for all of them is two thirds of what a large board takes.
REPEATED: Final = frozenset(
    ("run", "cell", "fingerprint", "test", "nodeid", "check", "expected", "item", "name", "unit", "feature", "rung")
)


# Nearly all lines of a kind have one of a few sets of fields: what depends on these alone is found once for each set.
SHAPES: Final = 1_024


class Odd(Exception):
    """A value is not plainly of its field's type."""


def build_record(kind: type[R], data: Mapping[str, Any]) -> R | None:
    """Build a `kind`; None where any field is unknown, missing or not plainly of its type."""
    of: Any = kind  # not by `cast`, whose calls were a hundredth of a page
    builder: Any = _find_builder(of, tuple(data))
    try:
        return builder(data) if builder else None
    except (Odd, KeyError, TypeError, ValueError):
        return None


def find_line_builder(kinds: Mapping[str, type], kind: str, names: tuple[str, ...]) -> Builder | None:
    """Make what builds a record from a line with these fields, of which `kind` names one of `kinds`; None where it is
    not plainly one."""
    if kind not in kinds or "more" in names:
        return None
    return _find_builder(cast(Any, kinds[kind]), names, "kind")


@lru_cache(SHAPES)
def _find_builder(of: Hashable, names: tuple[str, ...], beside: str = "") -> Builder | None:
    """Make what builds a kind from a line with these fields, in this order; None where one is unknown or missing.
    The line may have one `beside` them, which is passed over.

    As a dataclass writes its own `__init__`, the function is written for these fields: a general one, which sets each
    field by its name, took as long as the JSON.
    """
    exact, converts, required = _read_fields(of)
    if not required <= set(names) - {beside} <= exact.keys() | converts.keys():
        return None
    # Every factory here gives one and the same object (`reports.evidence.types.EMPTY`).
    absent = {
        f.name: f.default if f.default_factory is MISSING else f.default_factory()
        for f in fields(cast(Any, of))
        if f.name not in names
    }
    known = {"draft": _make_draft(of), "kind": of, "new": object.__new__, "intern": intern, "Odd": Odd}
    known |= {f"type_{name}": kind for name, kind in exact.items()}
    known |= {f"as_{name}": convert for name, convert in converts.items()}
    known |= {f"default_{name}": value for name, value in absent.items()}
    code = compile("\n".join(_write_builder(names, absent, exact, beside)), f"<builds {of}>", "exec")
    exec(code, known)  # noqa: S102  of names of our own fields alone
    return cast(Builder, known["build"])


def _write_builder(
    names: Sequence[str], absent: Iterable[str], exact: Mapping[str, type], beside: str
) -> Iterator[str]:
    """Write the lines of a function that builds a record of these fields, without the one `beside` them."""
    # What is no text cannot be interned: that is a check as well.
    own = [name for name in names if name != beside]
    shared = {name for name in own if exact.get(name) is str and name in REPEATED}
    plain = {name: f"value_{name}" for name in names}
    yield "def build(data):"
    yield f" {', '.join(plain.values())}, = data.values()"
    for name in own:
        if name in exact and name not in shared:
            yield f" if type({plain[name]}) is not type_{name}: raise Odd"
        if exact.get(name) is dict:
            yield f" ''.join({plain[name]})"  # a key that is no text is a TypeError
    yield " made = new(draft)"
    for name in own:
        value = plain[name]
        made = f"intern({value})" if name in shared else value if name in exact else f"as_{name}({value})"
        yield f" made.{name} = {made}"
    yield from (f" made.{name} = default_{name}" for name in absent)
    yield " made.__class__ = kind"
    yield " return made"


@cache
def _make_draft(of: Hashable) -> type:
    """Make a class with the fields of a frozen one, whose instances can become instances of that: Python sets fields
    in a fourth of the time where no class on the way says how."""
    kind = cast(type[Any], of)
    own = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__, "__slots__": kind.__slots__}
    return type(f"Draft{kind.__name__}", kind.__bases__, own)


@cache
def _read_fields(of: Hashable) -> tuple[Mapping[str, type], Mapping[str, Convert], frozenset[str]]:
    """Return the fields that stay as they are, by type; how each other is converted; those without a default."""
    kind = cast(type[Any], of)
    hints = get_type_hints(kind)
    required = (f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING)
    exact = {name: dict if _holds_anything(hint) else hint for name, hint in hints.items() if _stays_as_it_is(hint)}
    converts = {f.name: _make_convert(hints[f.name]) for f in fields(kind) if f.name not in exact}
    return exact, converts, frozenset(required)


def _stays_as_it_is(hint: Any) -> bool:
    return hint in (str, int, bool) or _holds_anything(hint)


def _holds_anything(hint: Any) -> bool:
    """Return whether it is a mapping of any values. It stays the reader's own, which has one text for equal keys."""
    return get_origin(hint) is Mapping and get_args(hint)[1] is Any


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
    return _convert_mapping(_make_convert(get_args(hint)[1]))


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


def _convert_mapping(inner: Convert) -> Convert:
    def convert(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise Odd
        # What is no text cannot be interned: that is a check as well. Without a loop of ours, in half the time.
        return dict(zip(map(intern, value), map(inner, value.values()), strict=True))

    return convert
