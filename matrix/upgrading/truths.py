"""Facts of matrix/facts.yaml that hold on one side only, where they speak of this line's GPU."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Final

from matrix.checking.rules import Decision
from matrix.facts.evaluate import judge_fact
from matrix.facts.model import Fact, load_facts, split_predicate
from matrix.upgrading.news import News
from matrix.upgrading.sides import Side

WORDS: Final = {True: "holds", False: "does not hold", None: "is not known"}
PAST: Final = {True: "held", False: "did not", None: "was not known"}


def compare_facts(before: Side, after: Side) -> Iterator[News]:
    """Every fact of the engine whose truth differs."""
    facts = load_facts()
    for fact in facts.values():
        if fact.engine != before.snapshot.engine:
            continue
        # three answers: held by `is`, since False and None are different news
        old, new = (judge_fact(fact, side.snapshot, facts) for side in (before, after))
        if old.holds is not new.holds:
            yield _fact(fact, old.holds, new.holds, new.why, after, applies=_speaks_of(fact, facts, before.sm))


def find_standing(side: Side) -> str:
    """Find what was run of sparse attention on this GPU, of any release; "expected, not run" if nothing was."""
    facts = (f for f in load_facts().values() if f.engine == side.snapshot.engine and side.sm // 10 * 10 in f.sms)
    return next((fact.standing for fact in facts), "expected, not run")


def _speaks_of(fact: Fact, facts: Mapping[str, Fact], sm: int) -> bool:
    """Whether a fact is about this GPU, or about none."""
    named = set(find_sms(fact, facts))
    # by generation, as kernels are named: a fact about sm120 also speaks of sm121
    return not named or not sm or any(sm // 10 == n // 10 for n in named)


def find_sms(fact: Fact, facts: Mapping[str, Fact]) -> Iterator[int]:
    """Yield the compute capabilities that a fact's predicates name, also through the facts that they name."""
    yield from fact.sms
    yield from map(int, re.findall(r"_sm(\d+)_", fact.id))
    for kind, keys, _ in map(split_predicate, fact.predicates):
        if kind == "fact":
            yield from find_sms(facts[keys["id"]], facts)
        elif "sm" in keys:
            yield int(keys["sm"])


def _fact(fact: Fact, old: bool | None, new: bool | None, why: str, after: Side, *, applies: bool) -> News:
    return News(
        part="fact",
        key=fact.id,
        # Not to be known is no end: of a release that was not read, a fact that held before is open.
        way="begins" if new else "changes" if new is None else "ends",
        danger="new",
        level="note",
        title=f"fact {fact.id}",
        cause=f"{WORDS[new]} in {after.release.version}, {PAST[old]} before: {fact.says}",
        decided_by=Decision(
            kind="wheel", fact=textwrap.shorten(why, 100, placeholder=" ..."), read="", run=fact.standing
        ),
        sources=(fact.source,),
        applies=applies,
    )
