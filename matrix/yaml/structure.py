"""Plain YAML data -> a frozen dataclass, by its annotations. Every problem is collected, with line and nearest word.

Written here rather than taken from a validation library: importing one cost 0.3 of the 1.0 s that planning the whole
matrix may take, and each of its messages had to be rewritten (docs/decisions/0004).

Understands str, int, float, bool, date, Any, Literal, enums, X | None, tuple[X, ...], Mapping[str, X] and dataclasses,
and for JSON, which has no dates, datetime as ISO 8601 text. Where a float is wanted an int will do; nothing else is
coerced: `"4"` is not a number and 1 is not a string.
"""

from __future__ import annotations

import types
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from matrix.checkout import name_in_checkout
from matrix.errors import ConfigError, Problem, find_nearest, suggest_nearest
from matrix.wording import cut_text
from matrix.yaml.document import Document, Loc
from matrix.yaml.yamltext import require_document

T = TypeVar("T")
SCALARS: dict[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "text"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    bool: ((bool,), "true or false"),
    date: ((date,), "a date like 2027-01-31"),
}

FEW = 4  # keys that a message can list
SHOWN_CHARS = 57  # of a value in a message


class Unstructured(Exception):
    """Internal: this value cannot be structured; its problems are already written down."""


def structure_data(kind: type[T], doc: Document, data: Any, at: Loc, problems: list[Problem]) -> T | None:
    """Build a `kind` from `data` (found at `at` in `doc`), or return None with at least one new problem."""
    try:
        return cast(T, _ShapeReader(doc, problems).read_value(kind, data, at))
    except Unstructured:
        return None


def structure_list(kind: type[T], doc: Document, key: str, problems: list[Problem]) -> Iterator[tuple[int, T]]:
    """Build each `kind` of the list under the document's key, with its place in the list; what cannot be built is a
    problem, and so is a document that was read and has no such list."""
    entries = doc.data.get(key) if isinstance(doc.data, dict) else None
    if not isinstance(entries, list):
        problems += [] if problems else [doc.problem((), f"expected one key {key!r} with a list")]
        return
    for index, entry in enumerate(entries):
        if (found := structure_data(kind, doc, entry, (key, index), problems)) is not None:
            yield index, found


def require_record(kind: type[T], path: Path) -> T:
    """Read the one `kind` that a file of this project is.

    Raises:
        ConfigError: every problem of the file, with its line.
    """
    document = require_document(path, name_in_checkout(path))
    problems: list[Problem] = []
    found = structure_data(kind, document, document.data, (), problems)
    if found is None or problems:
        raise ConfigError(problems)
    return found


def require_entries(path: Path, keys: Mapping[str, Collection[str]]) -> Mapping[str, Any]:
    """Read a file whose top-level keys hold lists of mappings; `keys`: list -> the keys that each entry must have, and
    `a.b` is the key b of the mapping a.

    Raises:
        ConfigError: every list, entry or key that is not there, with its line.
    """
    document = require_document(path, name_in_checkout(path))
    require_keys(document, keys)
    return cast(Mapping[str, Any], document.data)


def require_keys(document: Document, keys: Mapping[str, Collection[str]]) -> None:
    """Raise what `require_entries` raises, for a document that is read."""
    if problems := list(_find_missing(document, keys)):
        raise ConfigError(problems)


def _find_missing(document: Document, keys: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    data = document.data if isinstance(document.data, dict) else {}
    for name, needed in keys.items():
        if not isinstance(data.get(name), list):
            yield document.problem((name,), f"expected a key {name!r} with a list{suggest_nearest(name, data)}")
            continue
        for index, entry in enumerate(data[name]):
            for key in needed:
                if (at := _find_gap(entry, key.split("."))) is not None:
                    yield document.problem((name, index, *at[:-1]), f"missing key {at[-1]!r}")


def _find_gap(entry: Any, path: Sequence[str]) -> tuple[str, ...] | None:
    """Return the path to the first key that an entry lacks."""
    for depth, key in enumerate(path, 1):
        if not isinstance(entry, dict) or key not in entry:
            return tuple(path[:depth])
        entry = entry[key]
    return None


@cache
def _read_hints(kind: Hashable) -> Mapping[str, Any]:
    return get_type_hints(cast(Any, kind))


class _ShapeReader:
    def __init__(self, doc: Document, problems: list[Problem]) -> None:
        self.doc, self.problems = doc, problems

    def note_problem(self, at: Loc, message: str) -> Unstructured:
        self.problems.append(self.doc.problem(at, message))
        return Unstructured()

    def read_value(self, hint: Any, data: Any, at: Loc) -> Any:
        origin = get_origin(hint)
        if hint is Any:
            return data
        if hint in SCALARS:
            return self.read_scalar(hint, data, at)
        if hint is datetime:
            return self.read_time(data, at)
        if origin is Literal:
            return self.read_literal(get_args(hint), data, at)
        if isinstance(hint, type) and issubclass(hint, Enum):
            return hint(self.read_literal(tuple(m.value for m in hint), data, at))
        if origin in (Union, types.UnionType):
            return None if data is None else self.read_value(_without_none(hint), data, at)
        if origin is tuple:
            return self.read_list(get_args(hint)[0], data, at)
        if origin is Mapping:
            return self.read_mapping(get_args(hint)[1], data, at)
        if is_dataclass(hint):
            return self.read_record(cast(type[Any], hint), data, at)
        raise TypeError(f"no rule to read {hint!r} from YAML")

    def read_scalar(self, hint: Any, data: Any, at: Loc) -> Any:
        kinds, expected = SCALARS[hint]
        other = (isinstance(data, bool) and hint is not bool) or isinstance(data, datetime)  # a date with a time of day
        if not isinstance(data, kinds) or other:
            raise self.note_problem(at, f"expected {expected}, got {_show_value(data)}")
        return data

    def read_time(self, data: Any, at: Loc) -> datetime:
        found = data
        with suppress(TypeError, ValueError):
            found = datetime.fromisoformat(data)
        if isinstance(found, datetime) and found.tzinfo:  # without a zone it cannot be compared with another time
            return found
        raise self.note_problem(at, f"expected a time like 2027-01-31T09:00:00Z, got {_show_value(data)}")

    def read_literal(self, words: tuple[Any, ...], data: Any, at: Loc) -> Any:
        # with the type: 1 equals True, and "1" is neither
        if not any(data == w and isinstance(data, type(w)) for w in words):
            raise self.note_problem(
                at, f"{_show_value(data)} is not valid here{suggest_nearest(str(data), map(str, words))}"
            )
        return data

    def read_list(self, hint: Any, data: Any, at: Loc) -> tuple[Any, ...]:
        if not isinstance(data, list | tuple):
            raise self.note_problem(at, f"expected a list, got {_show_value(data)}")
        return tuple(self.read_each((hint, v, (*at, i)) for i, v in enumerate(data)))

    def read_mapping(self, hint: Any, data: Any, at: Loc) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            raise self.note_problem(at, f"expected keys and values, got {_show_value(data)}")
        bad = [k for k in data if not isinstance(k, str)]
        if bad:
            raise self.note_problem(at, f"expected text as key, got {_show_value(bad[0])}")
        return dict(zip(data, self.read_each((hint, v, (*at, k)) for k, v in data.items()), strict=True))

    def read_record(self, kind: type[Any], data: Any, at: Loc) -> Any:
        known = {f.name: f for f in fields(kind)}
        if not isinstance(data, dict):
            got = "nothing" if data is None else _show_value(data)
            keys = f"the keys {', '.join(known)}" if len(known) <= FEW else f"the keys of one {kind.__name__}"
            raise self.note_problem(at, f"expected {keys}, got {got}")
        before = len(self.problems)
        # `is ... is`: neither a default nor a factory
        missing = [n for n, f in known.items() if n not in data and f.default is f.default_factory is MISSING]
        for key in [k for k in data if k not in known]:
            # a missing key is what a misspelt one was meant to be; only else any key
            meant = find_nearest(str(key), missing) or find_nearest(str(key), known)
            hint = f"; did you mean {meant!r}?" if meant else suggest_nearest(str(key), known)
            self.note_problem((*at, str(key)), f"unknown key {key!r}{hint}")
            missing = [n for n in missing if n != meant]  # misspelt, not missing
        if missing:
            self.note_problem(at, f"missing key{'s' if missing[1:] else ''} {', '.join(map(repr, missing))}")
        hints = _read_hints(cast(Hashable, kind))
        present = [name for name in known if name in data]
        # not strict: wrong values and unknown keys of one record are told together
        values = self.read_each(((hints[n], data[n], (*at, n)) for n in present), strict=False)
        if len(self.problems) > before:
            raise Unstructured
        return kind(**dict(zip(present, values, strict=True)))

    def read_each(self, parts: Any, *, strict: bool = True) -> list[Any]:
        """Every part, so that one wrong value does not hide the next."""
        found, failed = [], False
        for hint, data, at in parts:
            try:
                found.append(self.read_value(hint, data, at))
            except Unstructured:
                found.append(None)
                failed = True
        if failed and strict:
            raise Unstructured
        return found


def _without_none(hint: Any) -> Any:
    rest = [a for a in get_args(hint) if a is not type(None)]
    if len(rest) != 1:
        raise TypeError(f"no rule to read {hint!r} from YAML")
    return rest[0]


def _show_value(data: Any) -> str:
    return cut_text(repr(data), SHOWN_CHARS)
