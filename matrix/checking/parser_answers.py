"""What the release's own tool-call parser made of the corpus, as a finding about the line that names it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from matrix.checking.finding import Finding, tell
from matrix.checking.releases import AskedRelease
from matrix.checking.rules import Level
from matrix.checking.settings import Settings
from matrix.parsers.record import load_releases
from matrix.parsers.summary import read_summary
from matrix.preflight.snapshot import release_id


def judge_parsers(facts: Mapping[str, Any], release: AskedRelease, settings: Settings) -> Iterator[Finding]:
    """Tell what is wrong with the named parser of a release whose parsers ran; nothing of one that did not run."""
    tool = settings.value("tool_parser")
    ran = release_id(release.engine, release.version) if release.version else ""
    for pair, found in read_summary().get(ran, {}).items():
        if pair.partition("+")[0] != tool or not found["worst"]:
            continue
        reaches = {"whole", "token"} | ({"drafts"} if facts.get("draft") is True else set())
        more = {
            "pair": pair,
            "cases": found["cases"],
            "count": found["count"],
            "worst": "; ".join(found["worst"]),
            "ran": load_releases()[ran]["ran"],
            "wheel": load_releases()[ran]["wheel"],
        }
        level: Level = "risky" if reaches & set(found["severe"]) else "note"
        subject, line = settings.written("tool_parser"), settings.line("tool_parser")
        yield tell("parser_answers", facts, subject, level=level, line=line, **more)
