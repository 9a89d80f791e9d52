"""What is found of a line on one side only: it begins with the upgrade, or ends with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from matrix.checking.finding import KNOWN, CheckFinding
from matrix.checking.known_failures import read_entries
from matrix.checking.rules import EFFECT_OF, Decision, Effect, Level, read_book, read_checks
from matrix.upgrading.boundaries import explain_absence, tell_since
from matrix.upgrading.news import LEVELS, Danger, News
from matrix.upgrading.sides import Side

LEFT_OUT: Final = frozenset({"env_unread"})  # taken without a word, and not done
UNREAD: Final = frozenset({"unread_release", "no_flags"})  # told once, as `unread`
ABSENT: Final = frozenset({"unknown_flag", "extra_argument", "ambiguous"})
AT_LAUNCH: Final = frozenset({"before_ready", "first_request"})
BASIS: Final = Decision(kind="arithmetic", fact="", read="")

IDLE: Final = re.compile(r"no effect|ignored|no-op|does nothing", re.IGNORECASE)
Key = tuple[str, tuple[str, ...]]


def compare_findings(before: Side, after: Side) -> Iterator[News]:
    """Every finding that only one side has, or that is worse on one of them."""
    # by id and words, not by cause: the same finding is worded with each release's own numbers
    old, new = ({_name_finding(f): f for f in side.findings if f.id not in UNREAD} for side in (before, after))
    for key, finding in new.items():
        if key not in old:
            yield _report_new_finding(finding, before, after)
        elif finding.level != old[key].level:
            yield _worse(old[key], finding)
    for key, finding in old.items():
        if key not in new:
            yield _report_lost_finding(finding, before, after)


def list_staying(before: Side, after: Side) -> tuple[CheckFinding, ...]:
    """List the findings that both sides have, the worst first."""
    old = {_name_finding(f) for f in before.findings}
    return tuple(f for f in after.findings if _name_finding(f) in old)


def effect_of(finding: CheckFinding) -> Effect:
    """Return what a finding does to the line that meets it."""
    if finding.subject[0].startswith(KNOWN):
        entry = next((e for e in read_entries() if e["id"] == finding.id), None)
        # at the first request counts as a start: the engine is up, and serves nobody
        return "stops" if entry is not None and entry["fails"]["at"] in AT_LAUNCH else "wrong"
    check = read_book().computed.get(finding.id) or next((c for c in read_checks() if c.id == finding.id), None)
    if check is not None:
        # a finding that was weakened (a release that was not read) does not have the check's full effect
        return check.effect if finding.level == check.level else EFFECT_OF[finding.level]
    return "wrong" if finding.id in LEFT_OUT else EFFECT_OF[finding.level]


def _name_finding(finding: CheckFinding) -> Key:
    return finding.id, finding.subject


def _report_new_finding(finding: CheckFinding, before: Side, after: Side) -> News:
    made = replace(_make_news(finding, "begins"), applies=_meets(finding, after))
    subject = finding.subject[0]
    if finding.id in ABSENT:
        since, instead = explain_absence(subject, before, after)
        return replace(made, cause=since or made.cause, remedy=instead or made.remedy)
    since = tell_since(finding, before, after)
    return replace(made, cause=f"{made.cause} {since}".strip(), remedy=_weaken(made.remedy) if since else made.remedy)


def _weaken(remedy: str) -> str:
    """Weaken a remedy that names a near word: a word near to one that was right before need not mean the same."""
    near = re.fullmatch(r"Did you mean (\S+)\?", remedy)
    return f"Drop it, or look whether {near[1]} means the same." if near else remedy


def _report_lost_finding(finding: CheckFinding, before: Side, after: Side) -> News:
    """Report a finding that only the release before has."""
    made = replace(_make_news(finding, "ends"), applies=_meets(finding, before))
    consequence = f"It is so on {before.release.name}, not on {after.release.name} any more."
    # whatever it was, it is over: its remedy would send somebody to repair what no longer breaks
    return replace(made, danger="fixed", level="note", consequence=consequence, remedy="")


def _worse(old: CheckFinding, new: CheckFinding) -> News:
    worse = LEVELS.index(new.level) < LEVELS.index(old.level)
    made = _make_news(new, "changes")
    return made if worse else replace(made, danger="fixed", level="note", remedy="")


def _meets(finding: CheckFinding, side: Side) -> bool:
    """Whether a line can meet a known failure: one of a test about tools wants a line that parses them."""
    entry = next((e for e in read_entries() if e["id"] == finding.id), None)
    fails = entry["fails"] if entry is not None else {}
    about_tools = "tool" in f"{fails.get('test', '')} {fails.get('signature', '')}"
    return not about_tools or side.facts["tool_parser"] is not None


def _make_news(finding: CheckFinding, way: str) -> News:
    known = finding.subject[0].startswith(KNOWN)
    # to `check` an intermittent known failure is a note; for somebody who decides on an upgrade it is a reason to look
    level: Level = "risky" if known and finding.level == "note" else finding.level
    danger: Danger = effect_of(finding)
    if finding.id == "deprecated" and IDLE.search(finding.cause):  # taken, and not done
        danger, level = "wrong", "risky"
    return News(
        part="known failure" if known else "finding",
        key=" ".join((finding.id, *finding.subject)),
        way=way,  # type: ignore[arg-type]
        danger=danger,
        level=level,
        title="  ".join(finding.subject),
        cause=finding.cause.removeprefix(f"{finding.subject[0]}: "),
        consequence=finding.consequence,
        remedy=finding.remedy,
        decided_by=finding.decided_by or BASIS,
        sources=finding.sources,
        line=finding.line,
    )
