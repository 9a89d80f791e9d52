"""Judges every record of the parsers that ran, once for all readers of `matrix.parsers.summary`.

`python -m ci.reference` writes matrix/parsers/summary.json and says when it is out of date.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from matrix.parsers.corpus import load_corpus
from matrix.parsers.findings import RARE, ParserFault, ParserFinding, format_of, group_wrongs, list_wrongs
from matrix.parsers.record import load_releases
from matrix.parsers.table import count_cell, list_pairs, ran_of, tell_shortly

TOLD: Final = 3  # findings that one line of `check` names
# What a client cannot mend: a call that is gone, or that it cannot read.
SEVERE: Final = frozenset({"exception", "lost_call", "extra_call", "wrong_name", "broken_json", "lost_argument"})


def make_summary() -> dict[str, dict[str, Any]]:
    """Judge every record: {release: {pair: {cases, count, severe, worst}}}; a pair without faults has no `worst`."""
    made: dict[str, dict[str, Any]] = {release: {} for release in load_releases()}
    for engine, pair in list_pairs():
        wrongs = [wrong for wrong in list_wrongs() if (wrong.engine, wrong.pair) == (engine, pair)]
        for release in ran_of(engine, pair):
            made[release][pair] = _summarise_pair(pair, [wrong for wrong in wrongs if wrong.release == release])
    return made


def _summarise_pair(pair: str, wrongs: list[ParserFault]) -> dict[str, Any]:
    # the counts hold all of it; what `check` names is what any client meets
    findings = [finding for finding in group_wrongs(wrongs) if finding.topic not in RARE]
    return {
        "cases": len(load_corpus().list_cases(format_of(pair))),
        "count": count_cell(wrongs),
        "severe": sorted(set(_reaches(findings))),
        "worst": [tell_shortly(finding) for finding in findings[:TOLD]],
    }


def _reaches(findings: Iterable[ParserFinding]) -> Iterable[str]:
    return (finding.reach for finding in findings if finding.kind in SEVERE)


def dump_summary(summary: dict[str, dict[str, Any]]) -> str:
    """Return the file's text, one line a pair."""
    releases = [
        f"{json.dumps(release)}: {{\n"
        + ",\n".join(f" {json.dumps(pair)}: {json.dumps(found, ensure_ascii=False)}" for pair, found in pairs.items())
        + "\n}"
        for release, pairs in summary.items()
    ]
    return "{\n" + ",\n".join(releases) + "\n}\n"
