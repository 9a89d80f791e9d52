"""Finds why a comparison cannot be trusted: runs that are not whole, other depths, other plans, stubs. Pure.

A doubt makes an answer UNKNOWN. It never hides a regression that was seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from matrix.judging.status import Status
from matrix.wording import list_first
from reports.evidence.summary import CellRow
from reports.evidence.types import SCHEMA, CellFacts, Record, Run
from reports.upgrade.cells import CellPair

UNTRIED = frozenset({Status.SKIP_NO_HW})  # this host says only that it is another host
SHOWN_SETTINGS = 6
_COMMENT = re.compile(r"^\s*(#|$)")


def runs_of(row: CellRow) -> frozenset[str]:
    """Return the runs that answered for a cell."""
    results = (answer for test in row.tests for answer in test.answers if answer.status not in UNTRIED)
    return frozenset(r.run for r in (*results, *row.launches))


def find_depths(records: Iterable[Record]) -> Mapping[str, str]:
    """Map each run to its depth; "" where the run does not record one."""
    return {r.run: r.depth for r in records if isinstance(r, Run)}


def doubt_depths(pair: CellPair, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """Yield why both sides do not have one depth."""
    if pair.new is None:
        return
    before = {old.get(run, "") for run in runs_of(pair.old)}
    after = {new.get(run, "") for run in runs_of(pair.new)}
    if before and after and (before != after or len(before) > 1):
        yield f"asked at another depth: {_name_depths(before)} before, {_name_depths(after)} now"


def _name_depths(depths: Iterable[str]) -> str:
    return " and ".join(sorted(depth or "unknown" for depth in depths))


def doubt_plans(pair: CellPair, *, named: bool) -> Iterator[str]:
    """Yield why both sides are not of one plan. `named`: the user named two cells, whose plans may differ."""
    if pair.new is None:
        return
    for side, row in (("before", pair.old), ("now", pair.new)):
        if len(row.fingerprints) != 1:
            seen = ", ".join(sorted(row.fingerprints)) or "none recorded"
            yield f"the plan {side} is not known: {len(row.fingerprints)} fingerprints ({seen})"
    before, after = pair.old.fingerprints, pair.new.fingerprints
    if len(before) == len(after) == 1 and before != after and not pair.renamed and not named:
        (was,), (now,) = before, after
        yield f"of another plan: {was} before, {now} now. To compare both: --cells {pair.old.cell} {pair.old.cell}"


def doubt_engines(pair: CellPair) -> Iterator[str]:
    """Yield why no real engine of the cell is known to have answered."""
    for side, row in (("before", pair.old), ("now", pair.new)):
        if row is None:
            continue
        if any(launch.stub for launch in row.launches):
            yield f"a stub engine answered {side}"
        if not row.launches:
            yield f"no launch was recorded {side}, so no engine is known to have answered"


def tell_attached(pair: CellPair) -> str:
    """Tell on which side somebody else started the engine, so that its plan is a claim; empty where nobody did."""
    sides = (("before", pair.old), ("now", pair.new))
    found = [side for side, row in sides if row and any(launch.attached for launch in row.launches)]
    return f"started by somebody else {' and '.join(found)}: the plan is what was claimed of it" if found else ""


def tell_order(old: Iterable[Record], new: Iterable[Record]) -> Iterator[str]:
    """Tell when NEW ran before OLD, and which side a later version of this program wrote."""
    before, after = ([r for r in records if isinstance(r, Run)] for records in (old, new))
    if before and after and (first := max(r.t for r in after)) < (last := min(r.t for r in before)):
        yield f"NEW ran on {first:%F %R} UTC, before OLD ({last:%F %R}): is the later run given first?"
    for side, runs in (("OLD", before), ("NEW", after)):
        if (newest := max((r.schema for r in runs), default=0)) > SCHEMA:
            yield (
                f"a later version of this program wrote {side} (schema {newest}, {SCHEMA} is known): what it says"
                " beyond that is not compared"
            )


def read_scripts(records: Iterable[Record]) -> Mapping[str, str]:
    """Map each cell to the script that launches it."""
    return {r.cell: r.script for r in records if isinstance(r, CellFacts)}


def tell_settings(pair: CellPair, before: str, after: str) -> str:
    """Tell which lines of the launch script changed; empty where none did, or a script is not known.

    Lines that differ only by the cell's own names do not count.
    """
    if pair.new is None or not before or not after:
        return ""
    was, now = (list(_iterate_settings(text, row)) for text, row in ((before, pair.old), (after, pair.new)))
    changed = [*(f"-{line}" for line in was if line not in now), *(f"+{line}" for line in now if line not in was)]
    return list_first(changed, SHOWN_SETTINGS, by="; ")


def _iterate_settings(script: str, row: CellRow) -> Iterator[str]:
    names = sorted({str(row.facts.get(n, "")) for n in ("release", "rig", "checkpoint", "version")} - {""}, key=len)
    for line in script.splitlines():
        if not _COMMENT.match(line):
            text = line.strip().removesuffix("\\").strip()
            for name in reversed(names):
                text = text.replace(name, "...")
            yield text
