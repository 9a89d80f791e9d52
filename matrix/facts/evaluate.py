"""One fact over all releases of its engine: where it holds, where not, where nobody can tell, and each one's ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from packaging.version import Version

from matrix.facts.merges import has_pull
from matrix.facts.model import Fact, split_predicate
from matrix.facts.predicates import HeldWheels, PredicateAnswer, ask_predicate
from matrix.preflight.snapshot import Snapshot, list_releases, snapshot_for


@dataclass(frozen=True)
class FactVerdict:
    """What a fact comes to in one release, and the predicate that decided it."""

    release: str
    version: Version
    answer: PredicateAnswer


def releases_of(engine: str, held: HeldWheels | None = None) -> list[Snapshot]:
    """Every release of an engine that has a snapshot of its own, oldest first."""
    folder = (held or HeldWheels()).snapshots
    names = (name for name in list_releases(folder) if name.startswith(f"{engine}_"))
    found = [s for name in names if (s := snapshot_for(name, folder)) and s.engine == engine]
    # By version and not by name: 0_10 sorts before 0_9 as text, and ranges below are of neighbours.
    return sorted(found, key=lambda s: Version(s.version))


def judge_fact(
    fact: Fact, snapshot: Snapshot, facts: Mapping[str, Fact], held: HeldWheels | None = None
) -> PredicateAnswer:
    """Judge all predicates: the first that fails decides; with none, the first unknown one; with none, they all
    hold. What was not read of a release is answered by the pull request that brought the fact, where one is named."""
    read = _judge_predicates(fact, snapshot, facts, held or HeldWheels())
    if read.holds is not None or not fact.merged:
        return read
    holds, why = has_pull(fact.engine, fact.merged, snapshot.version)
    return read if holds is None else PredicateAnswer(holds, why)


def _judge_predicates(fact: Fact, snapshot: Snapshot, facts: Mapping[str, Fact], where: HeldWheels) -> PredicateAnswer:
    answers = [_ask(predicate, snapshot, facts, where) for predicate in fact.all]
    if fact.any:
        answers.append(_any([_ask(predicate, snapshot, facts, where) for predicate in fact.any]))
    # In this order: what was read and fails decides, and no wheel that is read later can undo it.
    for wanted in (False, None):
        if decided := next((a for a in answers if a.holds is wanted), None):
            return decided
    return PredicateAnswer(True, "; ".join(a.why for a in answers))


def _any(answers: Sequence[PredicateAnswer]) -> PredicateAnswer:
    # The other way round than `all`: one alternative that holds is enough, whatever is unknown of the rest.
    for wanted in (True, None):
        if decided := next((a for a in answers if a.holds is wanted), None):
            return decided
    return PredicateAnswer(False, "; ".join(a.why for a in answers))


def _ask(
    predicate: Mapping[str, object], snapshot: Snapshot, facts: Mapping[str, Fact], held: HeldWheels
) -> PredicateAnswer:
    kind, keys, negated = split_predicate(predicate)
    found = (
        judge_fact(facts[keys["id"]], snapshot, facts, held)
        if kind == "fact"
        else ask_predicate(kind, keys, snapshot, held)
    )
    return found.negated() if negated else found


def evaluate_fact(fact: Fact, facts: Mapping[str, Fact], held: HeldWheels | None = None) -> list[FactVerdict]:
    """Evaluate the fact in every release of its engine, oldest first."""
    return [
        FactVerdict(s.release, Version(s.version), judge_fact(fact, s, facts, held))
        for s in releases_of(fact.engine, held)
    ]


def group_ranges(verdicts: Sequence[FactVerdict]) -> Iterator[tuple[bool | None, list[FactVerdict]]]:
    """Neighbouring releases with one answer, oldest first."""
    # Not sorted by the answer first: a fact may hold, be lost and come back, and each time is a range of its own.
    for holds, group in groupby(verdicts, key=lambda v: v.answer.holds):
        yield holds, list(group)
