"""Plain YAML data -> a frozen dataclass, by its annotations. Every problem is collected, with line and nearest word.

Written here rather than taken from a validation library: importing one cost 0.3 of the 1.0 s that planning the whole
matrix may take, and each of its messages had to be rewritten (docs/decisions/0004).

Understands str, int, float, bool, date, Any, Literal, enums, X | None, tuple[X, ...], Mapping[str, X] and dataclasses,
and for JSON, which has no dates, datetime as ISO 8601 text. Where a float is wanted an int will do; nothing else is
coerced: `"4"` is not a number and 1 is not a string.
"""

from __future__ import annotations

import types
from collections.abc import Hashable, Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from matrix.errors import Problem, suggest_nearest
from matrix.yaml.yamltext import Document, Loc

T = TypeVar("T")
SCALARS: dict[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "text"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    bool: ((bool,), "true or false"),
    date: ((date,), "a date like 2027-01-31"),
}


class Wrong(Exception):
    """Internal: this value cannot be structured; its problems are already written down."""


def structure_data(kind: type[T], doc: Document, data: Any, at: Loc, problems: list[Problem]) -> T | None:
    """Build a `kind` from `data` (found at `at` in `doc`), or return None with at least one new problem."""
    try:
        return cast(T, _Reader(doc, problems).value(kind, data, at))
    except Wrong:
        return None


@cache
def _read_hints(kind: Hashable) -> Mapping[str, Any]:
    return get_type_hints(cast(Any, kind))


class _Reader:
    def __init__(self, doc: Document, problems: list[Problem]) -> None:
        self.doc, self.problems = doc, problems

    def wrong(self, at: Loc, message: str) -> Wrong:
        self.problems.append(self.doc.problem(at, message))
        return Wrong()

    def value(self, hint: Any, data: Any, at: Loc) -> Any:
        origin = get_origin(hint)
        if hint is Any:
            return data
        if hint in SCALARS:
            return self.scalar(hint, data, at)
        if hint is datetime:
            return self.moment(data, at)
        if origin is Literal:
            return self.literal(get_args(hint), data, at)
        if isinstance(hint, type) and issubclass(hint, Enum):
            return hint(self.literal(tuple(m.value for m in hint), data, at))
        if origin in (Union, types.UnionType):
            return None if data is None else self.value(_without_none(hint), data, at)
        if origin is tuple:
            return self.sequence(get_args(hint)[0], data, at)
        if origin is Mapping:
            return self.mapping(get_args(hint)[1], data, at)
        if is_dataclass(hint):
            return self.record(cast(type[Any], hint), data, at)
        raise TypeError(f"no rule to read {hint!r} from YAML")

    def scalar(self, hint: Any, data: Any, at: Loc) -> Any:
        kinds, expected = SCALARS[hint]
        other = (isinstance(data, bool) and hint is not bool) or isinstance(data, datetime)  # a date with a time of day
        if not isinstance(data, kinds) or other:
            raise self.wrong(at, f"expected {expected}, got {_show_value(data)}")
        return data

    def moment(self, data: Any, at: Loc) -> datetime:
        if isinstance(data, datetime):
            return data
        with suppress(TypeError, ValueError):
            return datetime.fromisoformat(data)
        raise self.wrong(at, f"expected a time like 2027-01-31T09:00:00Z, got {_show_value(data)}")

    def literal(self, words: tuple[Any, ...], data: Any, at: Loc) -> Any:
        if not any(data == w and isinstance(data, type(w)) for w in words):
            raise self.wrong(at, f"{_show_value(data)} is not valid here{suggest_nearest(str(data), map(str, words))}")
        return data

    def sequence(self, hint: Any, data: Any, at: Loc) -> tuple[Any, ...]:
        if not isinstance(data, list | tuple):
            raise self.wrong(at, f"expected a list, got {_show_value(data)}")
        return tuple(self.each((hint, v, (*at, i)) for i, v in enumerate(data)))

    def mapping(self, hint: Any, data: Any, at: Loc) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            raise self.wrong(at, f"expected keys and values, got {_show_value(data)}")
        bad = [k for k in data if not isinstance(k, str)]
        if bad:
            raise self.wrong(at, f"expected text as key, got {_show_value(bad[0])}")
        return dict(zip(data, self.each((hint, v, (*at, k)) for k, v in data.items()), strict=True))

    def record(self, kind: type[Any], data: Any, at: Loc) -> Any:
        if not isinstance(data, dict):
            raise self.wrong(at, f"expected the keys of one {kind.__name__}, got {_show_value(data)}")
        known = {f.name: f for f in fields(kind)}
        before = len(self.problems)
        for key in data:
            if key not in known:
                self.wrong((*at, str(key)), f"unknown key {key!r}{suggest_nearest(str(key), known)}")
        for name, field in known.items():
            if name not in data and field.default is MISSING and field.default_factory is MISSING:
                self.wrong(at, f"missing key {name!r}")
        hints = _read_hints(cast(Hashable, kind))
        present = [name for name in known if name in data]
        values = self.each(((hints[n], data[n], (*at, n)) for n in present), strict=False)
        if len(self.problems) > before:
            raise Wrong
        return kind(**dict(zip(present, values, strict=True)))

    def each(self, parts: Any, *, strict: bool = True) -> list[Any]:
        """Every part, so that one wrong value does not hide the next."""
        found, failed = [], False
        for hint, data, at in parts:
            try:
                found.append(self.value(hint, data, at))
            except Wrong:
                found.append(None)
                failed = True
        if failed and strict:
            raise Wrong
        return found


def _without_none(hint: Any) -> Any:
    rest = [a for a in get_args(hint) if a is not type(None)]
    if len(rest) != 1:
        raise TypeError(f"no rule to read {hint!r} from YAML")
    return rest[0]


def _show_value(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 60 else f"{text[:57]}..."
