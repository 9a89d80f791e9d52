"""The findings as tables: release by topic, and one line a finding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from matrix.parsers.corpus import load_corpus
from matrix.parsers.findings import RARE, ParserFault, ParserFinding, format_of, list_wrongs, notes_of
from matrix.parsers.record import load_answers, load_releases

COLUMNS: Final = ("whole", "stream", "backlog")


def list_pairs() -> list[tuple[str, str]]:
    """Return (engine, pair) of everything that ran."""
    return sorted({(answers.engine, answers.pair) for answers in load_answers()})


def list_topics(pair: str) -> dict[str, int]:
    """Return the topics of a pair's format with the number of cases in each; rare ones last."""
    counts: dict[str, int] = {}
    for case in load_corpus().list_cases(format_of(pair)):
        counts[case.kind] = counts.get(case.kind, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: item[0] in RARE))


def ran_of(engine: str, pair: str) -> list[str]:
    """Return the releases whose pair ran, the newest first."""
    ran = {release for a in load_answers() if (a.engine, a.pair) == (engine, pair) for release in a.releases}
    return [release for release in reversed(load_releases()) if release in ran]


def count_cell(wrongs: Iterable[ParserFault]) -> str:
    """Return `whole/stream/backlog`: cases wrong when whole, streamed by tokens or drafts, only in larger pieces."""
    by_reach: dict[str, set[str]] = {column: set() for column in COLUMNS}
    for wrong in wrongs:
        column = wrong.reach if wrong.reach in COLUMNS else "stream"
        by_reach[column].add(wrong.case)
    # a case that is wrong by tokens is wrong under load, too: counted once, where it is plainest
    by_reach["backlog"] -= by_reach["stream"]
    return "/".join(str(len(by_reach[column])) for column in COLUMNS) if any(by_reach.values()) else "-"


def count_common(engine: str, pair: str) -> dict[str, int]:
    """Return release -> cases of the common topics that are wrong whole, by tokens or with drafts; the newest first."""
    wrong = {
        (w.release, w.case)
        for w in list_wrongs()
        if (w.engine, w.pair) == (engine, pair) and w.topic not in RARE and w.reach != "backlog"
    }
    return {release: sum(name == release for name, _ in wrong) for release in ran_of(engine, pair)}


def topic_rows(engine: str, pair: str) -> list[list[str]]:
    """Return a row for each run of equal neighbouring releases: their names, all topics together, each topic."""
    topics = list_topics(pair)
    rows: list[tuple[list[str], list[str]]] = []
    for release in ran_of(engine, pair):
        own = [w for w in list_wrongs() if (w.engine, w.pair, w.release) == (engine, pair, release)]
        cells = [count_cell(own), *(count_cell(w for w in own if w.topic == topic) for topic in topics)]
        # neighbours alone: equal releases with another between them are not one range
        if rows and rows[-1][1] == cells:
            rows[-1][0].append(release)
        else:
            rows.append(([release], cells))
    return [[name_range(names), *cells] for names, cells in rows]


def name_range(releases: Sequence[str]) -> str:
    """Return `0.5.9 to 0.5.16` for neighbours in either order, `0.5.9, 0.5.20` for others."""
    known = load_releases()
    order = [name for name in known if known[name]["engine"] == known[releases[0]]["engine"]]
    names = sorted(releases, key=order.index)
    runs: list[list[str]] = []
    for name in names:
        if runs and order.index(name) == order.index(runs[-1][-1]) + 1:
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(_range(run, known) for run in runs)


def _range(run: Sequence[str], known: dict[str, dict[str, object]]) -> str:
    first, last = known[run[0]]["version"], known[run[-1]]["version"]
    return str(first) if len(run) == 1 else f"{first} to {last}" if len(run) > 2 else f"{first}, {last}"


def tell_finding(finding: ParserFinding) -> str:
    """Return one line: what, where, an example, and the public report that it is."""
    issues = ", ".join(dict.fromkeys(note.issue for note in notes_of(finding) if note.issue))
    return f"{tell_shortly(finding, 4)}: {finding.what}{f' [{issues}]' if issues else ''}"


def tell_shortly(finding: ParserFinding, most: int = 2) -> str:
    """Return what and where, e.g. `lost_call (drafts) parallel: two_calls and 2 more`."""
    more = len(finding.cases) - most
    cases = ", ".join(finding.cases[:most]) + (f" and {more} more" if more > 0 else "")
    return f"{finding.kind} ({finding.reach}) {finding.topic}: {cases}"
