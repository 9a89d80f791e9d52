"""docs/reference/guards.md: what the engines' argument code refuses or changes, and what of it `check` tells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
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

What the argument code of {newest} refuses or changes before a worker starts, read out of the wheels
(`matrix/snapshots/guards/`), and what `glm-matrix check` makes of it. *Told* is what a check names by its words, what
its own words make a rule about flags (a bound, a flag that wants another, two that exclude each other), or what `told`
in `ci/reference/guards.yaml` says a check finds otherwise; bounds of numbers are told of every flag. The reasons of the
other columns are patterns in the same file; what none of them catches and no check names is *open*, and listed below. A
guard is counted once for each of its texts. TensorRT-LLM's modules check themselves while they load and run, so that
most of its guards are no matter of a line.

"""


@dataclass(frozen=True, kw_only=True)
class PlacedGuard:
    """A guard of the newest release and why it is told, left out or open."""

    guard: Guard
    why: str


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
    """Say of each guard of the newest release whether it is told, and else why not."""
    book, told = read_guards(engine), list_told_words(engine)
    newest = snapshot_for(release_id(engine, book.releases[-1]))
    for guard in book.held_by(book.releases[-1]) or ():
        probed = any(pattern.search(guard.says) for pattern in _probes(engine))
        text = f"{guard.at}: {guard.says}"
        rule = read_words(guard.says) if guard.does == "stops" else None
        worded = rule is not None and newest is not None and is_about(rule, newest)
        otherwise = any(pattern.search(text) for _, pattern in list_told_otherwise())
        if guard.does == "bounds" or probed or otherwise or worded or any(words in guard.says for words in told):
            yield PlacedGuard(guard=guard, why=TOLD)
        else:
            why = next((why for why, pattern in _reasons() if pattern.search(text)), OPEN)
            yield PlacedGuard(guard=guard, why=why)


def make_page() -> str:
    """Make the page: counts for each engine and kind, and what is open."""
    books = [read_guards(engine) for engine in ENGINES]
    placed = {engine: list(place_guards(engine)) for engine in ENGINES}
    columns = (TOLD, OPEN, *dict.fromkeys(why for why, _ in _reasons()))
    rows = []
    for engine, found in placed.items():
        for does in ("stops", "sets", "bounds"):
            counts = Counter(p.why for p in found if p.guard.does == does)
            rows.append([engine, MEANS[does], sum(counts.values()), *(counts[c] or "-" for c in columns)])
    newest = ", ".join(f"{book.engine} {book.releases[-1]}" for book in books)
    parts = [HEAD.format(newest=newest), format_table(["engine", "what it does", "guards", *columns], rows)]
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
