"""A named fact: what decides it, in predicates over snapshots. Data in matrix/facts.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.yaml import yamltext
from matrix.yaml.document import Document
from matrix.yaml.structure import structure_list

FACTS: Final = CHECKOUT / "matrix" / "facts.yaml"
# Predicate -> the keys that it must have, and those that it may have.
KEYS: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "registers": (frozenset({"architecture"}), frozenset({"module"})),
    "chooses": (frozenset({"architecture", "sm", "kv", "backend"}), frozenset()),
    "registers_parser": (frozenset({"kind", "name"}), frozenset()),
    "reads_key": (frozenset({"architecture", "key"}), frozenset()),
    "reads_env": (frozenset({"name"}), frozenset()),
    "has_flag": (frozenset({"option"}), frozenset({"choice"})),
    "pins": (frozenset({"library", "versions"}), frozenset()),
    "kernel_source": (frozenset({"of", "sm", "named"}), frozenset()),
    "compiled": (frozenset({"library", "sm"}), frozenset()),
    "text": (frozenset({"in", "matches"}), frozenset({"of"})),
    "file": (frozenset({"path", "sha256"}), frozenset()),
    "guard": (frozenset({"says"}), frozenset()),
    "parses": (frozenset({"pair", "case", "fault"}), frozenset()),
    "fact": (frozenset({"id"}), frozenset()),
}
NEGATION: Final = "not"


@dataclass(frozen=True, kw_only=True)
class Fact:
    """`all` of the predicates hold in a release, and so does `any` of those where there are some."""

    id: str
    says: str
    engine: str
    source: str  # where it was read first, or who reported it
    all: tuple[Mapping[str, Any], ...] = ()
    any: tuple[Mapping[str, Any], ...] = ()
    run: str = ""  # what was run to see it; nothing: expected, not run
    sms: tuple[int, ...] = ()  # of `dsa_sms`: the GPUs whose sparse attention it decides
    feature: str = ""  # of a release's `features`: the one that it decides
    key: str = ""  # of a release: the yes or no that it decides
    merged: int = 0  # the pull request that brought it (merges.yaml): decides where a release could not be read

    @property
    def predicates(self) -> tuple[Mapping[str, Any], ...]:
        return (*self.all, *self.any)

    @property
    def standing(self) -> str:
        return self.run or "expected, not run"


def split_predicate(predicate: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], bool]:
    """Kind, its keys, and whether it is negated."""
    # A second key is refused by `_wrong` before anything is judged by the first.
    (kind, value), *_ = predicate.items()
    # `not: {not: ...}` is the thing itself; what is no mapping is named by `_wrong`, with its line.
    if kind == NEGATION and isinstance(value, Mapping):
        inner, keys, negated = split_predicate(value)
        return inner, keys, not negated
    return kind, value, False


@cache
def load_facts(path: Path = FACTS) -> Mapping[str, Fact]:
    """Every fact by its id.

    Raises:
        ConfigError: each problem of the file with its line, and the nearest valid word.
    """
    doc = yamltext.read_document(path, path.name)
    problems = list(doc.problems)
    found: dict[str, Fact] = {}
    for index, fact in structure_list(Fact, doc, "facts", problems):
        if fact.id in found:
            problems.append(doc.problem(("facts", index, "id"), f"a second fact {fact.id!r}"))
        found[fact.id] = fact
        places = [("all", n) for n in range(len(fact.all))] + [("any", n) for n in range(len(fact.any))]
        for place, predicate in zip(places, fact.predicates, strict=True):
            problems += (doc.problem(("facts", index, *place), text) for text in _wrong(predicate))
    if not problems:  # what a predicate names can be followed only where predicates are well formed
        problems = [*_unknown_facts(doc, found), *_circles(doc, found)]
    if problems:
        raise ConfigError(problems)
    return found


def _wrong(predicate: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(predicate, Mapping) or len(predicate) != 1:
        yield f"expected one predicate with its keys, like {{chooses: {{...}}}}, got {predicate!r}"
        return
    kind, keys, _ = split_predicate(predicate)
    if kind not in KEYS:
        yield f"no predicate {kind!r}{suggest_nearest(kind, KEYS)}; there are {', '.join(KEYS)}"
    elif not isinstance(keys, Mapping):
        yield f"expected keys of {kind}, got {keys!r}"
    else:
        required, optional = KEYS[kind]
        yield from (f"{kind} wants {key!r}" for key in sorted(required - keys.keys()))
        yield from (
            f"{kind} has no {key!r}{suggest_nearest(str(key), required | optional)}"
            for key in keys.keys() - required - optional
        )
        yield from _bad_pattern(keys.get("matches", ""))


def _bad_pattern(text: object) -> Iterator[str]:
    try:
        re.compile(str(text))
    except re.error as error:
        yield f"matches: {text!r} is no regular expression: {error}"


def _circles(doc: Document, found: Mapping[str, Fact]) -> Iterator[Problem]:
    """Facts that come back to themselves by the facts they name."""
    named = {
        fact.id: [keys["id"] for kind, keys, _ in map(split_predicate, fact.predicates) if kind == "fact"]
        for fact in found.values()
    }
    for name in found:
        reached, waiting = set[str](), list(named[name])
        while waiting:
            one = waiting.pop()
            # Not recursive: a circle is what is looked for, and would not end.
            waiting += [] if one in reached else named.get(one, [])
            reached.add(one)
        if name in reached:
            yield doc.problem((), f"{name}: it names itself, through {', '.join(sorted(reached - {name})) or name}")


def _unknown_facts(doc: Document, found: Mapping[str, Fact]) -> Iterator[Problem]:
    for fact in found.values():
        named = [
            keys["id"] for kind, keys, _ in map(split_predicate, fact.predicates) if kind == "fact" and "id" in keys
        ]
        yield from (
            doc.problem((), f"{fact.id}: no fact {name!r}{suggest_nearest(name, found)}")
            for name in named
            if name not in found
        )


def text_probes(facts: Sequence[Fact], package: str) -> dict[str, tuple[str, str]]:
    """Key -> where to look and what must match, of every probe into the text of this package.

    Only these and `file` need the wheel itself; the key names the probe's content, so that an edited one is a new one.
    """
    found: dict[str, tuple[str, str]] = {}
    for fact in facts:
        for kind, keys, _ in map(split_predicate, fact.predicates):
            if kind == "text" and keys.get("of", fact.engine) == package:
                found[probe_key(keys)] = (keys["in"], keys["matches"])
    return found


def probe_key(keys: Mapping[str, Any]) -> str:
    """Return a text probe's name in a snapshot."""
    return f"{keys['in']} ~ {keys['matches']}"
