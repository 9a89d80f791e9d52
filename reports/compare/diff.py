"""Compares two runs test by test: broken, fixed, flaky or missing. Answers `may I upgrade?` with a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from matrix.judging.status import GREEN, Status
from reports.evidence.summary import make_board
from reports.evidence.types import Record

Change = Literal["broken", "fixed", "flaky", "missing", "added", "changed", "not run"]
ORDER: tuple[Change, ...] = ("broken", "missing", "not run", "flaky", "changed", "added", "fixed")
WORSE: frozenset[Change] = frozenset({"broken", "missing", "flaky", "not run"})
UNASKED = frozenset({Status.NOT_ASKED, Status.NOT_RUN_AS_KNOWN})  # all tests of a launch say the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One test of one cell whose status changed. None: the test did not exist."""

    cell: str
    nodeid: str
    before: Status | None
    after: Status | None

    @property
    def change(self) -> Change:
        if self.after is None or self.after is Status.MISSING:
            return "missing"
        if self.after is Status.NOT_RUN_AS_KNOWN:
            return "not run"
        if self.after is Status.FLAKE:
            return "flaky"
        if self.before is None:
            return "added" if self.after in GREEN else "broken"
        if (self.after in GREEN) != (self.before in GREEN):
            return "fixed" if self.after in GREEN else "broken"
        return "changed"


def compare_runs(old: Sequence[Record], new: Sequence[Record]) -> list[Difference]:
    """List every difference, the worst kind first."""
    before, after = _gather_statuses(old), _gather_statuses(new)
    found = [
        Difference(cell=cell, nodeid=nodeid, before=before.get((cell, nodeid)), after=after.get((cell, nodeid)))
        for cell, nodeid in dict.fromkeys([*before, *after])
    ]
    changed = _roll_up([d for d in found if d.before is not d.after])
    return sorted(changed, key=lambda d: (ORDER.index(d.change), d.cell, d.nodeid))


def _roll_up(differences: Sequence[Difference]) -> list[Difference]:
    """Merge the tests of a cell that were not asked, before or after, into one difference."""
    kept = [d for d in differences if not {d.before, d.after} & UNASKED]
    groups: dict[tuple[str, Status | None, Status | None], list[Difference]] = {}
    for d in differences:
        if {d.before, d.after} & UNASKED:
            groups.setdefault((d.cell, d.before, d.after), []).append(d)
    for (cell, _, _), own in groups.items():
        kept.append(replace(own[0], nodeid=f"{cell}: {len(own)} tests") if len(own) > 1 else own[0])
    return kept


def _gather_statuses(records: Sequence[Record]) -> Mapping[tuple[str, str], Status]:
    return {(row.cell, test.nodeid): test.status for row in make_board(records).rows for test in row.tests}


def render_differences(differences: Sequence[Difference]) -> str:
    """Render one line per difference and a summary line."""
    lines = [f"{d.change:<8} {d.before or 'absent':>12} -> {d.after or 'absent':<12} {d.nodeid}" for d in differences]
    counts = [(kind, sum(d.change == kind for d in differences)) for kind in ORDER]
    said = ", ".join(f"{n} {kind}" for kind, n in counts if n)
    return "\n".join([*lines, said or "no difference"])
