"""Holds known failures against what can meet them: a runnable cell, or a release that is waited for; an item that asks.

An entry that nothing meets excuses nothing today and, when the axes grow, perhaps what nobody has looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from packaging.version import Version

from matrix.errors import Problem, suggest_nearest
from matrix.hardware import Json
from matrix.known.reach import FIRST_REQUEST, Reach, ReachRequest, read_reach
from matrix.known.sourcing import Entry, find_source_problems, parse_release
from matrix.model import Cell
from matrix.pins import with_prereleases
from matrix.planning.expand import expand_matrix
from matrix.recorded import KnownFailure, Needs
from matrix.yaml.loaded import Loaded, Matrix

Found = Iterator[tuple[str, str]]
# "beyond 2,048 tokens", "more than 5.5k tokens", "crosses about 4096 tokens", "near 200k tokens"
LENGTH: Final = re.compile(
    r"(?i)\b(?:beyond|above|over|past|near|from|crosses|crossing|exceeds|(?:more|longer) than|at least)\s+(?:about\s+)?"
    r"(?P<number>\d[\d,.]*)\s?(?P<thousands>k)?\s+(?:prompt\s+)?tokens"
)


def lint_sources(matrix: Matrix, reach: Reach | None = None) -> list[Problem]:
    """Find what is wrong with rules and known failures that only the expanded axes and the suites' reach can tell."""
    table = reach or read_reach()
    entries: tuple[Entry, ...] = (*matrix.rules, *matrix.known_failures)
    found = [p for entry in entries for p in find_source_problems(matrix, entry)]
    for known in matrix.known_failures:
        cells = [c for c in expand_matrix(matrix).runnable if known.condition(c.facts)]
        judges = (
            _find_unmet(matrix, known, cells),
            _find_unreached(matrix, known, cells, table),
            _find_unstated_length(known.value),
        )
        found += [_place_problem(known, key, message) for judge in judges for key, message in judge]
    return found


def _find_unmet(matrix: Matrix, known: Loaded[KnownFailure], cells: Sequence[Cell]) -> Found:
    """Find entries that no runnable cell meets and that do not wait for a release to come."""
    awaited = known.value.waits_for
    if not awaited:
        if not cells:
            yield "when", _explain_no_cell(matrix, known)
        return
    try:
        name, version = parse_release(awaited)
    except ValueError as error:
        yield "waits_for", str(error)
        return
    if name not in matrix.engines:
        yield "waits_for", f"no engine is {name!r}{suggest_nearest(name, matrix.engines)}"
        return
    yield from ((key, message) for key, message in _check_awaited(matrix, known.value.when, name, version))
    if cells:
        yield "waits_for", f"waits for {awaited}, and {len(cells)} cells of today meet it already ({cells[0].id})"


def _explain_no_cell(matrix: Matrix, known: Loaded[KnownFailure]) -> str:
    excluded = [e.rule for c, e in expand_matrix(matrix).excluded.items() if known.condition(c.facts)]
    if excluded:
        rules = ", ".join(sorted(set(excluded)))
        return (
            f"meets only combinations that are not run ({len(excluded)}, by {rules}); what is not run needs no excuse"
        )
    return "meets no combination of the axes; if it is about a release to come, say `waits_for: engine==version`"


def _check_awaited(matrix: Matrix, when: Mapping[str, Json], name: str, version: Version) -> Found:
    held = [r.id for r in matrix.releases.values() if r.engine == name and r.parsed_version == version]
    if held:
        yield "waits_for", f"{held[0]} is on the axes: it waits for nothing any more"
    engine = when.get("engine")
    if engine is not None and name not in (engine if isinstance(engine, list) else [engine]):
        yield "waits_for", f"waits for a release of {name}, and `when` says {engine}"
    # before the version: an entry that names one release can never be met by another
    if "release" in when:
        yield "waits_for", f"`when` names release {when['release']}, so no other one can come; name a `version` range"
    specifier = when.get("version")
    if isinstance(specifier, str) and not with_prereleases(specifier).contains(version):
        yield "waits_for", f"{version} lies outside of the entry's own range {specifier!r}"


def _find_unreached(matrix: Matrix, known: Loaded[KnownFailure], cells: Sequence[Cell], table: Reach) -> Found:
    needs, fails = known.value.needs, known.value.fails
    if needs == Needs():
        return
    if fails.at == "before_ready":
        yield "needs", "nothing is asked before an engine is ready, so nothing can be needed"
        return
    test = fails.test or FIRST_REQUEST
    # without a runnable cell any bank may be the one that is asked some day
    banks = {c.checkpoint.banks[0] for c in cells if c.checkpoint.banks} or set(table.requests)
    # an entry that asks for it is met by every item there, and reach.json does not know checkpoints
    if cells and all(c.checkpoint.thinking == "always" for c in cells):  # there every test is asked with thinking
        needs = replace(needs, thinking=None)
    if not table.depths_that_meet(needs, test=test, banks=banks):
        most = table.farthest_request(test=test, banks=banks)
        yield (
            "needs",
            f"no item of {test} asks for {_name_needs(needs)} at any depth; it reaches {_describe_request(most)}",
        )


def _find_unstated_length(entry: KnownFailure) -> Found:
    """Find a symptom with a length that `needs` does not state, where lint could compare it with the items."""
    found = LENGTH.search(entry.symptom)
    if found and entry.needs.prompt_tokens is None:
        yield "needs", f"the symptom says {found[0]!r}: name it, as `needs: {{prompt_tokens: {_parse_tokens(found)}}}`"


def _parse_tokens(found: re.Match[str]) -> int:
    number = float(found["number"].replace(",", "").rstrip("."))
    return round(number * 1000) if found["thousands"] else round(number)


def _name_needs(needs: Needs) -> str:
    words = {"prompt_tokens": "prompt tokens", "concurrency": "requests at once", "turns": "turns"}
    parts = [f"{value} {word}" for name, word in words.items() if (value := getattr(needs, name)) is not None]
    return " with ".join([*parts, *(["thinking"] if needs.thinking else [])])


def _describe_request(asked: ReachRequest) -> str:
    thinking = "thinking on or off" if asked.thinking else "no thinking"
    return f"{asked.prompt_tokens} prompt tokens, {asked.concurrency} at once, {asked.turns} turns, {thinking}"


def _place_problem(known: Loaded[KnownFailure], key: str, message: str) -> Problem:
    line = known.lines.get((key,), known.line)
    return Problem(known.file, line, f"{known.value.id}.{key}", message)
