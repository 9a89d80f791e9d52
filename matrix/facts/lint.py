"""Holds handwritten boundaries against the facts that decide them, over every release that has a snapshot.

A rule, known failure or patch says `fact: ID` where it is about the releases in which the fact holds, and `fact: not
ID` where it is about the others. With a `version` range the range must be exactly those releases (of the ones that are
known); with a `release` that one must be among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from matrix.errors import Problem, nearest
from matrix.facts.evaluate import Verdict, evaluate, judge
from matrix.facts.model import Fact, load_facts
from matrix.model import Json, KnownFailure, Release, Rule
from matrix.pins import with_prereleases
from matrix.preflight.patch import Patch, patches
from matrix.preflight.snapshot import snapshot_for
from matrix.yaml.loaded import Loaded, Matrix

NOT: Final = "not "
SHOWN: Final = 3  # releases that a problem names


def lint_facts(matrix: Matrix) -> list[Problem]:
    """Every boundary that disagrees with the fact it names, every `dsa_sms` that disagrees with its snapshot."""
    facts = load_facts()
    entries: tuple[Loaded[Rule] | Loaded[KnownFailure], ...] = (*matrix.rules, *matrix.known_failures)
    found = [
        Problem(e.file, e.lines.get(("fact",), e.line), f"{e.value.id}.fact", text)
        for e in entries
        if e.value.fact
        for text in disagreements(e.value.fact, e.value.when, facts)
    ]
    found += [
        Problem(f"patches/{p.id}/patch.yaml", 0, f"{p.id}.fact", text)
        for p in patches().values()
        if p.fact
        for text in disagreements(p.fact, p.applies_when, facts)
    ]
    return found + [p for r in matrix.releases.values() for p in _sparse(matrix, r, facts)]


def disagreements(name: str, when: Mapping[str, Json], facts: Mapping[str, Fact]) -> Iterator[str]:
    """What is wrong with an entry's boundary, given the fact that it names."""
    fact = facts.get(name.removeprefix(NOT))
    if fact is None:
        yield f"no fact {name!r}{nearest(name.removeprefix(NOT), facts)}; python -m matrix facts lists them"
        return
    wanted = not name.startswith(NOT)
    release = when.get("release")
    if release is not None:
        yield from _of_release(release if isinstance(release, list) else [release], fact, facts, wanted=wanted)
        return
    if when.get("engine", fact.engine) != fact.engine:
        yield f"{fact.id} is about {fact.engine}, the entry about {when['engine']}"
        return
    spec = with_prereleases(str(when.get("version", "")))
    verdicts = [v for v in _evaluated(fact.id) if v.answer.holds is not None]
    yield from _differing(
        [v for v in verdicts if (v.version in spec) and v.answer.holds is not wanted], fact, inside=True
    )
    yield from _differing(
        [v for v in verdicts if v.version not in spec and v.answer.holds is wanted], fact, inside=False
    )


@cache
def _evaluated(name: str) -> tuple[Verdict, ...]:
    facts = load_facts()
    return tuple(evaluate(facts[name], facts))


def _of_release(releases: list[str], fact: Fact, facts: Mapping[str, Fact], *, wanted: bool) -> Iterator[str]:
    for release in releases:
        snapshot = snapshot_for(release)
        found = judge(fact, snapshot, facts) if snapshot else None
        if found is not None and found.holds is (not wanted):
            yield f"{fact.id} {'holds' if found.holds else 'does not hold'} in {release}: {found.why}"


def _differing(verdicts: list[Verdict], fact: Fact, *, inside: bool) -> Iterator[str]:
    if not verdicts:
        return
    names = ", ".join(str(v.version) for v in verdicts[:SHOWN]) + (", ..." if len(verdicts) > SHOWN else "")
    place = "lies in the range" if inside else "is left out of the range"
    holds = "holds" if verdicts[0].answer.holds else "does not hold"
    yield f"{names} {place}, and {fact.id} {holds} there: {verdicts[0].answer.why}"


def _sparse(matrix: Matrix, release: Release, facts: Mapping[str, Fact]) -> Iterator[Problem]:
    """`dsa_sms` is what the facts with `sms` say, GPU by GPU, where they can tell."""
    snapshot = snapshot_for(release.id)
    if snapshot is None or not snapshot.complete:
        return
    for fact in facts.values():
        for sm in fact.sms if fact.engine == release.engine else ():
            answer = judge(fact, snapshot, facts)
            if answer.holds is not None and answer.holds is not (sm in release.dsa_sms):
                place = matrix.places.get(f"release:{release.id}", release.id).partition(":")[0]
                says = f"{fact.id} {'holds' if answer.holds else 'does not hold'}: {answer.why}"
                yield Problem(place, 0, "dsa_sms", f"{release.dsa_sms} and sm{sm}: {says}")


__all__ = ["Patch", "disagreements", "lint_facts"]
