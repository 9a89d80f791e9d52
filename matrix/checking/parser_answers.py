"""What the release's own tool-call parser made of the corpus, as a finding about the line that names it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.releases import AskedRelease
from matrix.checking.rules import Level
from matrix.checking.settings import Settings
from matrix.parsers.faults import find_parser_faults
from matrix.preflight.snapshot import release_id


def judge_parsers(facts: Mapping[str, Any], release: AskedRelease, settings: Settings) -> Iterator[CheckFinding]:
    """Tell what is wrong with the named parser of a release whose parsers ran; nothing of one that did not run."""
    if not release.version:
        return
    subject, line = settings.written("tool_parser"), settings.line("tool_parser")
    ran, requirement = release_id(release.engine, release.version), f"{release.engine}=={release.version}"
    for found in find_parser_faults(ran, requirement, settings.value("tool_parser")):
        level: Level = "risky" if found.loses_calls(draft=facts.get("draft") is True) else "note"
        yield make_finding(
            "parser_answers",
            facts,
            subject,
            level=level,
            line=line,
            pair=found.pair,
            cases=found.cases,
            count=found.count,
            worst="; ".join(found.worst),
            ran=found.ran,
            wheel=found.wheel,
        )
