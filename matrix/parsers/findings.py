"""Recorded answers -> findings: what is wrong, in which releases and cases, and how a reply has to arrive for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from matrix.parsers.corpus import Corpus, load_corpus
from matrix.parsers.judge import ORDER, Fault, judge_outcome, judge_stream
from matrix.parsers.record import RUNS, Answers, load_answers, load_releases
from matrix.parsers.render import Format
from matrix.yaml.structure import require_entries

Reach = Literal["whole", "token", "drafts", "backlog"]
REACHES: Final[Mapping[Reach, str]] = {
    "whole": "not streamed",
    "token": "streamed token by token",
    "drafts": "streamed in groups of two to five tokens, or ended with the last one, as accepted drafts (MTP) do",
    "backlog": "streamed in larger pieces, as a busy server merges them",
}
PLACES: Final = {reach: place for place, reach in enumerate(REACHES)}
# Topics in which a template's own reply is asked back; the others are values or replies that are rare.
RARE: Final = frozenset({"markup_in_value", "truncated", "thinking_skipped", "unknown"})
NOTES: Final = Path(__file__).with_name("notes.yaml")


@dataclass(frozen=True, order=True)
class ParserFault:
    """One fault of one release's pair of parsers in one case."""

    engine: str
    pair: str
    release: str
    case: str
    topic: str
    reach: Reach
    kind: str
    what: str


@dataclass(frozen=True)
class ParserFinding:
    """The same fault of several releases in several cases of one topic."""

    engine: str
    pair: str
    topic: str
    reach: Reach
    kind: str
    releases: tuple[str, ...]
    cases: tuple[str, ...]
    what: str  # of the first case

    @property
    def damage(self) -> tuple[Any, ...]:
        """Return a key that sorts the worst first: what any client meets before what a rare value or load takes."""
        return (
            self.topic in RARE,
            PLACES[self.reach] > PLACES["drafts"],
            ORDER[self.kind],
            PLACES[self.reach],
            self.topic,
            self.cases,
        )


def format_of(pair: str) -> Format:
    """Return the format that a pair of parsers reads."""
    tool = pair.partition("+")[0]
    return "dsml" if tool.startswith("deepseek") else "glm45" if tool in ("glm45", "glm4") else "glm47"


def judge_answers(answers: Answers, corpus: Corpus) -> Iterator[tuple[Reach, Fault]]:
    """Judge one record: each fault once, in the plainest way in which it comes about."""
    case, tools = corpus.cases[format_of(answers.pair), answers.case], corpus.tools
    known = judge_outcome(case, tools, answers.whole)
    yield from (("whole", fault) for fault in known)
    plainest: dict[str, tuple[Reach, Fault]] = {}
    for stream in answers.streams:
        # counted as deliveries, and neither right nor wrong
        if stream["outcome"] is None:
            continue  # more outcomes than are kept: the first of them are judged
        reach = reach_of(stream["how"])
        for fault in judge_stream(case, tools, answers.whole, stream["outcome"], known):
            # the easiest way to meet it: a fault of every token stream need not be told of busy servers as well
            if fault.kind not in plainest or PLACES[reach] < PLACES[plainest[fault.kind][0]]:
                plainest[fault.kind] = (reach, fault)
    yield from plainest.values()


def reach_of(how: Iterable[str]) -> Reach:
    """Return the plainest of the deliveries, e.g. ["at once", "by 2"] -> drafts."""
    names = list(how)
    if "by 1" in names:  # "by 1, ended": the end comes with the last token, as only an accepted draft brings it
        return "token"
    return "drafts" if any(name.startswith("by ") for name in names) else "backlog"


@cache
def list_wrongs(folder: Path = RUNS) -> tuple[ParserFault, ...]:
    """Judge everything that is recorded."""
    corpus = load_corpus()
    return tuple(
        ParserFault(
            a.engine,
            a.pair,
            release,
            a.case,
            corpus.cases[format_of(a.pair), a.case].kind,
            reach,
            fault.kind,
            fault.what,
        )
        for a in load_answers(folder)
        # answers to a case that has left the corpus stay recorded, and nobody can say what was right
        if (format_of(a.pair), a.case) in corpus.cases
        for reach, fault in judge_answers(a, corpus)
        for release in a.releases
    )


def group_wrongs(wrongs: Iterable[ParserFault]) -> list[ParserFinding]:
    """Tell faults once: cases of a topic that are wrong alike in the same releases are one; the worst first."""
    order = list(load_releases())
    where: dict[tuple[str, str, str, Reach, str, str], dict[str, str]] = defaultdict(dict)
    for wrong in wrongs:
        where[wrong.engine, wrong.pair, wrong.topic, wrong.reach, wrong.kind, wrong.case].setdefault(
            wrong.release, wrong.what
        )
    merged: dict[tuple[Any, ...], list[tuple[str, str]]] = defaultdict(list)
    for (engine, pair, topic, reach, kind, case), releases in where.items():
        # the releases belong to the key: a fault that a later release mended is another finding than one that stays
        names = tuple(sorted(releases, key=order.index))
        merged[engine, pair, topic, reach, kind, names].append((case, releases[names[-1]]))
    found = [
        ParserFinding(engine, pair, topic, reach, kind, names, tuple(case for case, _ in cases), cases[0][1])
        for (engine, pair, topic, reach, kind, names), cases in merged.items()
    ]
    return sorted(found, key=lambda finding: (finding.damage, finding.engine, finding.pair, finding.releases))


@dataclass(frozen=True)
class Note:
    """What is known of a fault beside the run: the cause in words, the public report, the knowledge that it decides."""

    id: str
    says: str
    issue: str
    when: Mapping[str, Any]

    def is_about(self, finding: ParserFinding) -> bool:
        """Say whether the finding is of the note's engine, pairs, kinds and cases."""
        return (
            self.when.get("engine", finding.engine) == finding.engine
            and finding.pair in self.when.get("pairs", [finding.pair])
            and finding.kind in self.when.get("kinds", [finding.kind])
            and bool(set(finding.cases) & set(self.when.get("cases", finding.cases)))
        )


@cache
def load_notes(path: Path = NOTES) -> tuple[Note, ...]:
    """Read notes.yaml."""
    entries = require_entries(path, {"notes": ("id", "says", "when")})["notes"]
    return tuple(Note(entry["id"], entry["says"], entry.get("issue", ""), entry["when"]) for entry in entries)


def notes_of(finding: ParserFinding) -> list[Note]:
    """Return the notes about a finding."""
    return [note for note in load_notes() if note.is_about(finding)]
