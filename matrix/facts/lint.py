"""Holds handwritten boundaries against the facts that decide them, over every release that has a snapshot.

A rule, known failure or patch says `fact: ID` where it is about releases in which the fact holds, and `fact: not ID`
where it is about the others; a check of checks.yaml says so as `decided_by: {named: ID}`. With a `version` range the
range must be exactly those releases (a known failure's may be fewer); with a `release` that one must be among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from packaging.version import Version

from matrix.checkout import CHECKOUT
from matrix.errors import Problem, suggest_nearest
from matrix.facts.evaluate import FactVerdict, evaluate_fact, judge_fact, releases_of
from matrix.facts.model import Fact, load_facts
from matrix.hardware import Json
from matrix.model import Release
from matrix.pins import with_prereleases
from matrix.preflight.guards import read_guards
from matrix.preflight.patch import read_patches
from matrix.preflight.snapshot import snapshot_for
from matrix.yaml import yamltext
from matrix.yaml.loaded import Matrix
from matrix.yaml.structure import require_keys

CHECKS: Final = CHECKOUT / "matrix" / "checking" / "checks.yaml"
GUARDED: Final = CHECKS.parent / "guarded"
NOT: Final = "not "
SPARSE: Final = "GlmMoeDsaForCausalLM"
SHOWN: Final = 3  # releases that a problem names


def lint_facts(matrix: Matrix, checks: Path = CHECKS) -> list[Problem]:
    """Every boundary that disagrees with the fact it names, and what a release's own file says against its snapshot."""
    facts = load_facts()
    found = [
        Problem(entry.file, entry.line, f"{entry.name}.fact", text)
        for entry in list_bounded(matrix, checks)
        for text in find_disagreements(entry.fact, entry.when, facts, whole=entry.whole)
    ]
    found += [*_of_config_keys(checks), *_without_fact(matrix), *_without_guard(), *_of_guards(checks)]
    return found + [p for r in matrix.releases.values() for p in _of_release_file(matrix, r, facts)]


@dataclass(frozen=True)
class Bounded:
    """A handwritten boundary. `whole`: it must have every release in which the fact holds, not only such releases."""

    file: str
    line: int
    name: str
    fact: str
    when: Mapping[str, Json]
    whole: bool = True


def list_bounded(matrix: Matrix, checks: Path = CHECKS) -> tuple[Bounded, ...]:
    """List every handwritten boundary that names a fact."""
    return (*_of_matrix(matrix), *_of_patches(), *_of_checks(checks))


def _of_matrix(matrix: Matrix) -> Iterator[Bounded]:
    """Rules and known failures. One of these may be about less than its fact, if its source says why (`undecided`)."""
    for rule in matrix.rules:
        if rule.value.fact:
            line = rule.lines.get(("fact",), rule.line)
            yield Bounded(rule.file, line, rule.value.id, rule.value.fact, rule.value.when)
    for known in matrix.known_failures:
        if known.value.fact:
            line = known.lines.get(("fact",), known.line)
            whole = not known.value.source.undecided
            yield Bounded(known.file, line, known.value.id, known.value.fact, known.value.when, whole=whole)


def _of_patches() -> Iterator[Bounded]:
    for patch in read_patches().values():
        if patch.fact:
            yield Bounded(f"patches/{patch.id}/patch.yaml", 0, patch.id, patch.fact, patch.applies_when)


def _of_checks(path: Path) -> Iterator[Bounded]:
    """Entries of checks.yaml, which name their fact beside what was read for it."""
    doc = yamltext.require_document(path, f"checking/{path.name}")
    require_keys(doc, {"checks": ("id", "when", "decided_by.kind"), "config_keys": ("engine", "version", "reads")})
    for index, entry in enumerate(doc.data["checks"]):
        named = entry["decided_by"].get("named", "")
        if named:
            line = doc.line(("checks", index, "decided_by", "named"))
            yield Bounded(doc.name, line, entry["id"], named, entry["when"])


def _without_fact(matrix: Matrix) -> Iterator[Problem]:
    """Ranges of an engine whose releases were read, and that rest on nothing but somebody's word for the boundary.

    A known failure that was reported may begin and end where the report says; a rule, a patch, and what was read in a
    wheel have a fact that decides.
    """
    read = {name for name in matrix.engines if any(s.complete for s in releases_of(name))}
    entries = (
        *((r.file, r.line, r.value.id, r.value.fact, r.value.when) for r in matrix.rules),
        *((f"patches/{p.id}/patch.yaml", 0, p.id, p.fact, p.applies_when) for p in read_patches().values()),
        *(
            (k.file, k.line, k.value.id, k.value.fact, k.value.when)
            for k in matrix.known_failures
            if k.value.source.kind == "wheel"
        ),
    )
    for file, line, name, fact, when in entries:
        if not fact and "version" in when and when.get("engine") in read:
            text = f"its boundary {when['version']!r} names no fact that decides it; glm-matrix facts lists them"
            yield Problem(file, line, f"{name}.fact", text)


def _of_config_keys(path: Path) -> Iterator[Problem]:
    """Which spellings of index sharing a release reads, by the handwritten table and by its snapshot."""
    doc = yamltext.require_document(path, f"checking/{path.name}")
    table = doc.data["config_keys"]
    spellings = {key for entry in table for key in entry["reads"]}
    for index, entry in enumerate(table):
        spec = with_prereleases(entry["version"])
        for snapshot in releases_of(entry["engine"]):
            told = {key: snapshot.reads_key(SPARSE, key) for key in sorted(spellings)}
            read = [key for key, reads in told.items() if reads]
            # One spelling that was not read could be the one that is missing: then nothing is held against the table.
            if snapshot.version in spec and None not in told.values() and set(read) != set(entry["reads"]):
                text = f"{snapshot.version} reads {', '.join(read) or 'none of them'}, not {', '.join(entry['reads'])}"
                yield doc.problem(("config_keys", index), text)


def _without_guard(folder: Path = GUARDED) -> Iterator[Problem]:
    """Find the checks of guarded/ENGINE.yaml whose words no guard of any release has."""
    for path in sorted(folder.glob("*.yaml")):
        doc = yamltext.require_document(path, f"checking/guarded/{path.name}")
        require_keys(doc, {"guarded": ("id", "guard", "when")})
        book = read_guards(path.stem)
        for index, entry in enumerate(doc.data["guarded"]):
            for words in _as_list(entry["guard"]):
                if not book.matching(words):
                    near = suggest_nearest(words, [guard.says for guard in book.guards])
                    yield doc.problem(("guarded", index, "guard"), f"{entry['id']}: no guard says {words!r}{near}")


def _of_guards(checks: Path) -> Iterator[Problem]:
    """Hold the range of each check that names a guard against the releases that have it."""
    doc = yamltext.require_document(checks, f"checking/{checks.name}")
    for index, entry in enumerate(doc.data["checks"]):
        named, engine = entry["decided_by"].get("guard"), entry["when"].get("engine")
        if not named or engine is None:
            continue
        loc, book = ("checks", index, "decided_by", "guard"), read_guards(engine)
        has = {v for words in _as_list(named) for guard in book.matching(words) for v in guard.versions}
        # Of the releases whose guards were read; what the range says of others cannot be held against anything.
        inside = {v for v in book.releases if Version(v) in with_prereleases(str(entry["when"].get("version", "")))}
        # Both ways: too wide a range refuses lines that start, and too narrow a one lets lines through that do not.
        if inside - has:
            yield doc.problem(loc, f"{entry['id']}: {_few(inside - has)} in the range, without a guard that says it")
        if has - inside:
            yield doc.problem(loc, f"{entry['id']}: {_few(has - inside)} left out of the range, with such a guard")


def _few(versions: set[str]) -> str:
    ordered = sorted(versions, key=Version)
    more = ", ..." if len(ordered) > SHOWN else ""
    return f"{', '.join(ordered[:SHOWN])}{more} {'lies' if len(ordered) == 1 else 'lie'}"


def _as_list(value: Json) -> list[str]:
    return value if isinstance(value, list) else [str(value)]


def find_disagreements(
    name: str, when: Mapping[str, Json], facts: Mapping[str, Fact], *, whole: bool = True
) -> Iterator[str]:
    """Find what is wrong with an entry's boundary, given the fact that it names."""
    fact = facts.get(name.removeprefix(NOT))
    if fact is None:
        yield f"no fact {name!r}{suggest_nearest(name.removeprefix(NOT), facts)}; glm-matrix facts lists them"
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
    # Where nobody can tell, the handwritten boundary stands.
    told = [v for v in _evaluated(fact.id) if v.answer.holds is not None]
    yield from _differing([v for v in told if v.version in spec and v.answer.holds is not wanted], fact, inside=True)
    # What was reported of some releases and says so: nobody says that the others fail as well.
    if whole:
        out = [v for v in told if v.version not in spec and v.answer.holds is wanted]
        yield from _differing(out, fact, inside=False)


@cache
def _evaluated(name: str) -> tuple[FactVerdict, ...]:
    facts = load_facts()
    return tuple(evaluate_fact(facts[name], facts))


def _of_release(releases: list[str], fact: Fact, facts: Mapping[str, Fact], *, wanted: bool) -> Iterator[str]:
    for release in releases:
        snapshot = snapshot_for(release)
        found = judge_fact(fact, snapshot, facts) if snapshot else None
        # `is`, with None for unknown: not to know is no disagreement.
        if found is not None and found.holds is (not wanted):
            yield f"{fact.id} {'holds' if found.holds else 'does not hold'} in {release}: {found.why}"


def _differing(verdicts: list[FactVerdict], fact: Fact, *, inside: bool) -> Iterator[str]:
    if not verdicts:
        return
    names = ", ".join(str(v.version) for v in verdicts[:SHOWN]) + (", ..." if len(verdicts) > SHOWN else "")
    place = "lies in the range" if inside else "is left out of the range"
    holds = "holds" if verdicts[0].answer.holds else "does not hold"
    yield f"{names} {place}, and {fact.id} {holds} there: {verdicts[0].answer.why}"


def _of_release_file(matrix: Matrix, release: Release, facts: Mapping[str, Fact]) -> Iterator[Problem]:
    """`dsa_sms`, `features` and other keys are what the facts say that decide them, where they can tell."""
    snapshot = snapshot_for(release.id)
    if snapshot is None or not snapshot.complete:
        return
    place = matrix.places.get(f"release:{release.id}", release.id).partition(":")[0]
    for fact in facts.values():
        answer = (
            judge_fact(fact, snapshot, facts)
            if fact.engine == release.engine and (fact.sms or fact.feature or fact.key)
            else None
        )
        if answer is None or answer.holds is None:
            continue
        says = f"{fact.id} {'holds' if answer.holds else 'does not hold'}: {answer.why}"
        for sm in fact.sms:
            if answer.holds is not (sm in release.dsa_sms):
                yield Problem(place, 0, "dsa_sms", f"{list(release.dsa_sms)} and sm{sm}: {says}")
        if fact.feature and answer.holds is not release.features.get(fact.feature, False):
            yield Problem(place, 0, f"features.{fact.feature}", says)
        if fact.key and answer.holds is not getattr(release, fact.key):
            yield Problem(place, 0, fact.key, says)
