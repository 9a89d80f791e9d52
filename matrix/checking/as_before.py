"""Of a release that was not read: what the nearest one that was read would say of the line, as an expectation.

A guard of 1.3.0rc3 is no verdict about 1.3.0rc29, which may have dropped it. Most guards live for many releases, so
silence would be worse: each is told as unknown, with the release that it is from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from packaging.version import InvalidVersion, Version

from matrix.checking.bounds import judge_bounds
from matrix.checking.finding import CheckFinding
from matrix.checking.releases import AskedRelease
from matrix.checking.rules import Check, find_applying, read_guarded
from matrix.checking.settings import UNKNOWN, Settings
from matrix.checking.worded import judge_worded
from matrix.preflight.guards import read_guards
from matrix.preflight.snapshot import release_id, snapshot_for

TellCheck = Callable[[Check, Mapping[str, Any], Settings], CheckFinding]
EXPECTED: Final = "expected, not read in this release"


def find_nearest_guards(release: AskedRelease) -> str:
    """Return the release whose guards are nearest to an unread one: the newest before it, else the oldest, else ""."""
    known = () if release.fork else read_guards(release.engine).releases
    try:
        asked = Version(release.version.partition("+")[0]) if release.version else None
    except InvalidVersion:
        return ""
    before = [version for version in known if asked is None or Version(version) <= asked]
    return before[-1] if before else known[0] if known else ""


def judge_as_before(
    facts: Mapping[str, Any], release: AskedRelease, settings: Settings, tell: TellCheck
) -> Iterator[CheckFinding]:
    """Yield what the guards of the nearest read release say of the line. `tell` makes the finding of a check."""
    if facts["guards"] is not UNKNOWN or not (near := find_nearest_guards(release)):
        return
    borrowed = {**facts, "guards": read_guards(release.engine).held_by(near)}
    snapshot = snapshot_for(release_id(release.engine, near))
    of_checks = (tell(check, borrowed, settings) for check in find_applying(borrowed, read_guarded(release.engine)))
    for finding in (*of_checks, *judge_bounds(borrowed, settings), *judge_worded(borrowed, settings, snapshot)):
        yield expect(finding, near)


def expect(finding: CheckFinding, near: str) -> CheckFinding:
    """Tell a finding of another release as an expectation: never wrong, never fine."""
    decided = finding.decided_by
    return replace(
        finding,
        level="note" if finding.level == "note" else "unknown",
        cause=f"As in {near} ({EXPECTED}): {finding.cause}",
        decided_by=replace(decided, run=EXPECTED) if decided is not None else None,
    )
