"""docs/reference/guards.md: what the engines' argument code refuses or changes, and what of it `check` tells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Final

from ci.reference.markdown import format_code, format_table
from matrix.checking.rules import CHECKS, read_checks
from matrix.checking.worded import is_about, read_words
from matrix.facts.model import load_facts, split_predicate
from matrix.preflight.guards import Guard, GuardBook, format_spans, read_guards
from matrix.preflight.snapshot import release_id, snapshot_for
from matrix.yaml.structure import require_entries

REASONS: Final = Path(__file__).parent / "guards.yaml"
ENGINES: Final = ("sglang", "vllm", "trtllm")
TOLD: Final = "told"
OPEN: Final = "open"
HEAD: Final = """# Guards

What the argument code of every release that was read refuses or changes before a worker starts, out of the wheels
(`matrix/snapshots/guards/`), and what `glm-matrix check` makes of it. *Told* is what a check names by its words, what
its own words make a rule about flags (a bound, a flag that wants another, two that exclude each other), or what `told`
in `ci/reference/guards.yaml` says a check finds otherwise; bounds of numbers are told of every flag. The reasons of the
other columns are patterns in the same file; what none of them catches and no check names is *open*, and listed below. A
guard is counted once for each of its texts, whatever the number of releases that have it: with the newest one
({newest}) where it has the text, else under the earlier ones. TensorRT-LLM's modules check themselves while they load
and run, so that most of its guards are no matter of a line.

"""


@dataclass(frozen=True, kw_only=True)
class PlacedGuard:
    """A guard and why it is told, left out or open; `newest`: the newest release has it."""

    guard: Guard
    why: str
    newest: bool


@cache
def _reasons() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((entry["why"], re.compile(entry["matches"])) for entry in _read_reasons()["reasons"])


@cache
def list_told_otherwise() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """List the checks that tell a guard without naming its words, each with the pattern of those guards."""
    return tuple((entry["by"], re.compile(entry["matches"])) for entry in _read_reasons()["told"])


@cache
def _read_reasons() -> Mapping[str, Any]:
    return require_entries(REASONS, {"reasons": ("why", "matches"), "told": ("by", "matches")})


def list_told_words(engine: str) -> frozenset[str]:
    """Collect the words by which checks and facts name guards of an engine."""
    guarded = {words for check in read_checks(engine) for words in check.guard}
    entries = require_entries(CHECKS, {"checks": ("id", "when", "decided_by.kind")})["checks"]
    named = [e["decided_by"].get("guard", ()) for e in entries if e["when"].get("engine", engine) == engine]
    facts = [
        keys["says"]
        for fact in load_facts().values()
        if fact.engine == engine
        for kind, keys, _ in map(split_predicate, fact.predicates)
        if kind == "guard"
    ]
    return frozenset(
        {*guarded, *facts, *(w for words in named for w in ([words] if isinstance(words, str) else words))}
    )


@cache
def _probes(engine: str) -> tuple[re.Pattern[str], ...]:
    """Compile the text probes of facts that some check names: some look for a guard's words."""
    entries = require_entries(CHECKS, {"checks": ("id", "when", "decided_by.kind")})["checks"]
    named = {e["decided_by"].get("named", "").removeprefix("not ") for e in entries}
    facts = [fact for fact in load_facts().values() if fact.engine == engine and fact.id in named]
    return tuple(
        re.compile(keys["matches"])
        for fact in facts
        for kind, keys, _ in map(split_predicate, fact.predicates)
        if kind == "text" and " " in keys["matches"]
    )


def place_guards(engine: str) -> Iterator[PlacedGuard]:
    """Say of each guard of every release whether it is told, and else why not."""
    book, told = read_guards(engine), list_told_words(engine)
    for guard in book.guards:
        last = max(guard.versions, key=book.releases.index)
        why = TOLD if _is_told(guard, engine, last, told) else _find_reason(guard)
        yield PlacedGuard(guard=guard, why=why, newest=last == book.releases[-1])


def _is_told(guard: Guard, engine: str, last: str, told: Iterable[str]) -> bool:
    """Whether a check is about it, asked of the last release that has it: rules of words want its flags."""
    if guard.does == "bounds" or any(words in guard.says for words in told):
        return True
    text = f"{guard.at}: {guard.says}"
    if any(p.search(guard.says) for p in _probes(engine)) or any(p.search(text) for _, p in list_told_otherwise()):
        return True
    rule = read_words(guard.says) if guard.does == "stops" else None
    snapshot = snapshot_for(release_id(engine, last)) if rule is not None else None
    return rule is not None and snapshot is not None and is_about(rule, snapshot)


def _find_reason(guard: Guard) -> str:
    text = f"{guard.at}: {guard.says}"
    return next((why for why, pattern in _reasons() if pattern.search(text)), OPEN)


def make_page() -> str:
    """Make the page: counts for each engine and kind, and what is open."""
    books = [read_guards(engine) for engine in ENGINES]
    placed = {engine: list(place_guards(engine)) for engine in ENGINES}
    columns = (TOLD, OPEN, *dict.fromkeys(why for why, _ in _reasons()))
    rows = []
    for engine, found in placed.items():
        for does, last in product(("stops", "sets", "bounds"), (True, False)):
            counts = Counter(p.why for p in found if p.guard.does == does and p.newest == last)
            which = "newest" if last else "earlier alone"
            rows.append([engine, MEANS[does], which, sum(counts.values()), *(counts[c] or "-" for c in columns)])
    newest = ", ".join(f"{book.engine} {book.releases[-1]}" for book in books)
    parts = [HEAD.format(newest=newest), format_table(["engine", "what it does", "releases", "guards", *columns], rows)]
    for book in books:
        parts.append(f"\n\n## Open in {book.engine}\n\n{_open_table(book, placed[book.engine])}")
    return "".join(parts) + "\n"


MEANS: Final = {"stops": "ends the start", "sets": "changes a value", "bounds": "bounds a number"}


def _open_table(book: GuardBook, placed: list[PlacedGuard]) -> str:
    rows = [
        [
            MEANS[p.guard.does],
            format_spans(p.guard.versions, book.releases),
            format_code(p.guard.at),
            format_code(p.guard.says),
        ]
        for p in placed
        if p.why == OPEN
    ]
    return format_table(["what it does", "releases", "first at", "words"], rows)
