"""What the argument code of each release refuses or changes: the words of its errors, assertions and notes.

    snapshots/guards/sglang.json    "releases": "0.5.9 ... 0.5.23"
                                    ["stops", "0.5.22-", "arg_groups/parallel_hook.py:250", "--dcp-size > 1 does ..."]

A line has what the guard does, the releases that have it (an open end reaches to the newest one read), where it stands
in the first of them, and its words with `{}` for what the release fills in. One file holds all releases of an engine: a
release that changes nothing changes no line. `lab.snapshot` writes it; conditions and facts name guards by their words.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, Literal, get_args

from packaging.version import Version

from matrix.checkout import CHECKOUT, name_in_checkout
from matrix.errors import ConfigError, Problem

FOLDER: Final = CHECKOUT / "matrix" / "snapshots" / "guards"
# It ends the start, it says that a value is another one now, or it is a field with bounds (`says`: `name gt=0 le=1`).
Does = Literal["stops", "sets", "bounds"]
DOES: Final = get_args(Does)


@dataclass(frozen=True, kw_only=True)
class Guard:
    """One error, assertion or note. `at`: file:line in the first release that has it."""

    says: str
    does: Does
    at: str
    versions: frozenset[str]


@dataclass(frozen=True)
class GuardBook:
    """Every guard of an engine, and the releases that were read, oldest first."""

    engine: str
    releases: tuple[str, ...] = ()
    guards: tuple[Guard, ...] = field(default=())

    def held_by(self, version: str) -> tuple[Guard, ...] | None:
        """Return the guards of one release; None where that release was not read."""
        return tuple(g for g in self.guards if version in g.versions) if version in self.releases else None

    def cite(self, guard: Guard) -> str:
        """Return a guard's place: file:line in the first release that has it."""
        return f"{guard.at} of {min(guard.versions, key=Version)}"

    def matching(self, words: str) -> tuple[Guard, ...]:
        """Return the guards, of any release, whose words contain `words`."""
        return tuple(guard for guard in self.guards if words in guard.says)

    def with_release(self, version: str, found: Iterable[tuple[Does, str, str]]) -> GuardBook:
        """Return the book with one more release (or one that was read again); `found`: does, place and words."""
        order = tuple(sorted({*self.releases, version}, key=Version))
        # reversed: of several places with the same words the first in the source is kept
        new = {(does, says): at for does, at, says in reversed(list(found))}
        old = {(g.does, g.says): g for g in self.guards}
        guards: list[Guard] = []
        for does, says in sorted({*old, *new}, key=lambda key: (key[1], key[0])):
            before = old.get((does, says))
            # read again: the release loses what it was said to have before, so that a corrected reader heals old lines
            rest = (before.versions if before else frozenset()) - {version}
            versions = rest | {version} if (does, says) in new else rest
            if not versions:
                continue
            first = version == min(versions, key=Version)
            # the place belongs to the first release: a line number of the newest would move with every release
            at = new[does, says] if before is None or (first and (does, says) in new) else before.at
            guards.append(Guard(says=says, does=does, at=at, versions=versions))
        return GuardBook(self.engine, order, tuple(guards))


@cache
def read_guards(engine: str, folder: Path = FOLDER) -> GuardBook:
    """Read the guards of an engine, once per process; an empty book where there is no file.

    Raises:
        ConfigError: the file is not as `format_guards` writes it.
    """
    path = folder / f"{engine}.json"
    if not path.is_file():
        return GuardBook(engine)
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        order = tuple(raw["releases"].split())
        guards = tuple(
            Guard(does=does, versions=parse_spans(spans, order), at=at, says=says)
            for does, spans, at, says in raw["guards"]
            if does in DOES
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        text = f"expected `releases` and `guards` as glm-matrix snapshot writes them: {error}"
        raise ConfigError([Problem(name_in_checkout(path), 0, "", text)]) from error
    return GuardBook(engine, order, guards)


@cache
def parse_spans(text: str, order: tuple[str, ...]) -> frozenset[str]:
    """`0.5.9-0.5.12, 0.5.17-` -> the releases in it; an open end reaches to the newest."""
    found: set[str] = set()
    for span in text.split(", "):
        first, dash, last = span.partition("-")
        end = order.index(last) if last else (len(order) - 1 if dash else order.index(first))
        found |= set(order[order.index(first) : end + 1])
    return frozenset(found)


def format_spans(versions: Iterable[str], order: Sequence[str]) -> str:
    """Format releases as spans of neighbours, the inverse of `parse_spans`."""
    held = set(versions)
    spans: list[list[str]] = []
    for index, version in enumerate(order):
        if version not in held:
            continue
        if spans and order[index - 1] == spans[-1][-1]:
            spans[-1].append(version)
        else:
            spans.append([version])
    return ", ".join(_format_span(span, order[-1]) for span in spans)


def _format_span(span: Sequence[str], newest: str) -> str:
    if span[-1] == newest:
        return f"{span[0]}-"
    return span[0] if len(span) == 1 else f"{span[0]}-{span[-1]}"


def format_guards(book: GuardBook) -> str:
    """Format the whole file: one guard a line, in the order of their words."""
    rows = [[g.does, format_spans(g.versions, book.releases), g.at, g.says] for g in book.guards]
    lines = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in rows)
    head = f' "engine": {json.dumps(book.engine)},\n "releases": {json.dumps(" ".join(book.releases))}'
    return f'{{\n{head},\n "guards": [\n{lines}\n ]\n}}\n'


def save_guards(book: GuardBook, folder: Path = FOLDER) -> Path:
    """Write the file of an engine."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{book.engine}.json"
    path.write_text(format_guards(book), encoding="utf-8")
    read_guards.cache_clear()
    return path
