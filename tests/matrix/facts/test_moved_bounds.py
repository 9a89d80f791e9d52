"""Each bound of a range that names a fact, moved by one release, is refused: a range may not be a release off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.version import Version

from matrix.facts.evaluate import releases_of
from matrix.facts.lint import CHECKS, Bounded, find_disagreements, list_bounded
from matrix.facts.model import load_facts
from matrix.pins import with_prereleases
from matrix.yaml.load import load_matrix

FACTS = load_facts()
BOUND = re.compile(r"(?:>=|<=|<|>)([0-9][^,]*)")
# Engines whose releases between the bounds nobody could read: there the handwritten bound stands.
UNREAD = {"draft_reads_pages_of_another_request_trtllm"}


def move_bounds(entry: Bounded) -> Iterator[dict[str, object]]:
    spec = str(entry.when.get("version", ""))
    engine = str(entry.when.get("engine", FACTS[entry.fact.removeprefix("not ")].engine))
    known = sorted({Version(snapshot.version) for snapshot in releases_of(engine)})
    for bound in BOUND.finditer(spec):
        here = Version(bound[1])
        before, behind = [v for v in known if v < here][-1:], [v for v in known if v > here][:1]
        for version in (*before, *behind):
            moved = f"{spec[: bound.start(1)]}{version}{spec[bound.end(1) :]}"
            # where no release lies between, it is the same range in other words
            if {v for v in known if v in with_prereleases(spec)} != {v for v in known if v in with_prereleases(moved)}:
                yield {**entry.when, "version": moved}


def test_a_bound_that_is_moved_by_one_release_disagrees_with_its_fact() -> None:
    entries = [e for e in list_bounded(load_matrix(), Path(CHECKS)) if e.whole and e.name not in UNREAD]
    assert len(entries) > 100
    passed = {
        f"{entry.name} {moved['version']}"
        for entry in entries
        for moved in move_bounds(entry)
        if not [*find_disagreements(entry.fact, moved, FACTS, whole=entry.whole)]
    }
    assert passed == set()


def test_only_a_report_that_says_why_is_about_less_than_its_fact() -> None:
    less = {e.name: e for e in list_bounded(load_matrix(), Path(CHECKS)) if not e.whole}
    assert set(less) == {
        known.value.id for known in load_matrix().known_failures if known.value.fact and known.value.source.undecided
    }
    assert all([*find_disagreements(e.fact, e.when, FACTS)] for e in less.values()), "no reason is needed there"
