"""What a gate says of a replay and of signatures. Pure: a disagreement is red whatever a policy says.

What cannot be judged again is red too, unless a clause of the policy names the cells, who answers for them, and until
when; then it is told beside the verdict. Only cells of the policy count, and what belongs to no cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from typing import Final

from reports.gate.allowances import NotReplayed
from reports.gate.gate import Reason, Verdict
from reports.replay.differences import Replayed

SHOWN: Final = 5  # disagreements of one cell; the rest is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unable:
    """One cause for which tests of a cell cannot be judged again."""

    cell: str
    text: str


def add_replay(verdict: Verdict, replayed: Replayed, today: date) -> Verdict:
    """Add what a replay finds to the verdict."""
    cells = [row.cell for row in verdict.rows]
    reasons, told = [*_tell_disagreements(replayed, cells)], list(verdict.told)
    unable = [*_tell_skipped(replayed, cells), *_tell_unable(replayed, cells)]
    for each in unable:
        clause = _find_clause(verdict.policy.not_replayed, each.cell)
        if clause is None:
            reasons.append(Reason(cell=each.cell, rule="replay", text=each.text))
        elif clause.until < today:
            late = f"{each.text} {clause.owner} answered for that until {clause.until} only."
            reasons.append(Reason(cell=each.cell, rule="replay", text=late))
        else:
            told.append(f"{each.cell}: {each.text} Accepted until {clause.until} by {clause.owner}: {clause.why}")
    count = len({each.cell for each in unable})
    return replace(
        verdict, reasons=(*verdict.reasons, *reasons), told=tuple(told), not_replayed=verdict.not_replayed + count
    )


def add_signatures(verdict: Verdict, problems: Mapping[str, str]) -> Verdict:
    """Add a reason to the verdict for each file that no allowed signer signed: file -> why."""
    found = (Reason(cell="", rule="signature", text=f"{file}: {why}.") for file, why in problems.items())
    return replace(verdict, reasons=(*verdict.reasons, *found))


def _tell_disagreements(replayed: Replayed, cells: Collection[str]) -> Iterator[Reason]:
    seen: Counter[str] = Counter()
    for each in replayed.disagreements:
        if each.cell in cells or not each.cell:
            seen[each.cell] += 1
            if seen[each.cell] <= SHOWN:
                yield Reason(cell=each.cell, rule="replay", text=f"{each}.")
    for cell, count in seen.items():
        if count > SHOWN:
            yield Reason(cell=cell, rule="replay", text=f"and {count - SHOWN} more that its replies do not say.")


def _tell_skipped(replayed: Replayed, cells: Sequence[str]) -> Iterator[_Unable]:
    """Yield each cell when nothing was judged again: each one needs its own clause."""
    for cell in cells if replayed.skipped else ():
        yield _Unable(cell=cell, text=f"was not judged again from its replies ({replayed.skipped}).")


def _tell_unable(replayed: Replayed, cells: Collection[str]) -> Iterator[_Unable]:
    """Yield one sentence for each cause in a cell: a run without replies has one cause, and not 26."""
    tests: dict[tuple[str, str], list[str]] = {}
    for each in replayed.unreplayable:
        if each.cell in cells or not each.cell:
            tests.setdefault((each.cell, each.why), []).append(each.test)
    for (cell, why), names in tests.items():
        which = names[0] if len(names) == 1 else f"{len(names)} tests ({names[0]}, ...)"
        yield _Unable(cell=cell, text=f"{which} cannot be replayed: {why}.")


def _find_clause(clauses: Sequence[NotReplayed], cell: str) -> NotReplayed | None:
    """Find the clause that names this cell and holds longest."""
    # What belongs to no cell cannot be excused: `*` would match the empty name.
    own = [c for c in clauses if cell and fnmatchcase(cell, c.cells)]
    return max(own, key=lambda c: c.until, default=None)
