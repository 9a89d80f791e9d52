"""Judges what the user accepted of an attached server that is not, or not provably, the cell's (--accept-identity).

The launch's record holds each part (`Launch.cautions`). Every report shows it, and the gate is red on it unless a
clause of the policy accepts that part of that cell too, with an owner, a reason and an end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from fnmatch import fnmatchcase

from reports.evidence.summary import CellRow
from reports.gate.allowances import AcceptedIdentity
from reports.gate.policy import Policy


def gather_cautions(row: CellRow) -> dict[str, str]:
    """Map each part to what the server reports instead, over all launches of a cell."""
    return {part: str(text) for launch in row.launches for part, text in launch.cautions.items()}


def doubt_identity(policy: Policy, row: CellRow, today: date) -> Iterator[tuple[str, str]]:
    """Yield each part that no clause of the policy accepts today, for the gate."""
    for part, text in gather_cautions(row).items():
        clause = _find_clause(policy.identity, row.cell, part)
        if clause is None:
            yield "identity", f"was asked of a server that is not the cell's: {text}."
        elif clause.until < today:
            late = f"{clause.owner} accepted that until {clause.until} only"
            yield "identity", f"was asked of a server that is not the cell's: {text}. {late}."


def tell_accepted(policy: Policy, rows: Sequence[CellRow]) -> Iterator[str]:
    """Yield a sentence for each part that a clause covers, green or red."""
    for row in rows:
        for part, text in gather_cautions(row).items():
            if clause := _find_clause(policy.identity, row.cell, part):
                yield f"{row.cell}: {text}. Accepted until {clause.until} by {clause.owner}: {clause.why}"


def _find_clause(clauses: Sequence[AcceptedIdentity], cell: str, part: str) -> AcceptedIdentity | None:
    """Find the clause that names this cell and part and holds longest."""
    own = [c for c in clauses if part in c.parts and fnmatchcase(cell, c.cells)]
    return max(own, key=lambda c: c.until, default=None)
