"""Checks that a cell's base answered what the cell was not asked: right, and in the same run.

At depth `first` a cell owes less beside its base (matrix/planning/beside.py). Hence a base whose answer is excused,
missing or of another run carries nothing: the cell is red until it is asked itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from matrix.judging.status import Status
from matrix.wording import list_first
from reports.evidence.summary import CellRow, SettledTest
from reports.evidence.types import Record, Run
from reports.expected import ExpectedCell

CARRIES: Final = frozenset({Status.PASS, Status.MEASURED})
SHOWN: Final = 3


def link_runs(records: Sequence[Record]) -> Mapping[str, str]:
    """Map each run to the first of those that it retries or continues: together they are one run's questions."""
    before = {r.run: (r.retry_of, *r.continues) for r in records if isinstance(r, Run)}

    def first_of(run: str, seen: frozenset[str] = frozenset()) -> str:
        # `seen`: evidence may be forged, and two runs that retry each other would recurse for ever.
        earlier = [e for e in before.get(run, ()) if e and e not in seen]
        return min([run, *(first_of(e, seen | {run}) for e in earlier)])

    return {run: first_of(run) for run in before}


def tell_uncarried(
    cell: ExpectedCell, rows: Mapping[str, CellRow], linked: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield a rule and a sentence for the tests that neither the cell nor its base answered rightly in one run."""
    asked = {t.result.test for t in rows[cell.id].tests if t.result}
    if not (cell.base and asked):
        return
    runs = {linked.get(t.result.run, t.result.run) for t in rows[cell.id].tests if t.result}
    answers: dict[str, list[SettledTest]] = {}
    for test in rows[cell.base].tests if cell.base in rows else ():
        if test.result:
            answers.setdefault(test.result.test, []).append(test)
    own = [name for name in cell.carried if name not in asked]
    wrong = {name: why for name in own if (why := _find_fault(answers.get(name, ()), runs, linked))}
    if wrong:
        what = list_first([f"{name} {why}" for name, why in wrong.items()], SHOWN)
        yield "base", f"it was asked beside {cell.base}, which does not answer for it: {what}. Use --depth quick."


def _find_fault(answers: Sequence[SettledTest], runs: set[str], linked: Mapping[str, str]) -> str:
    if not answers:
        return "has no result there"
    if bad := [a.status for a in answers if a.status not in CARRIES]:
        return f"came to {bad[0]} there"
    # An answer of yesterday's run is of another launch, perhaps of another plan: it carries nothing today.
    if any(a.result and linked.get(a.result.run, a.result.run) not in runs for a in answers):
        return "is of another run"
    return ""
