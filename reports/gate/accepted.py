"""Checks whether a clause of the policy accepts a deviation of the evidence by name and until a date.

A deviation without such a clause is red. An accepted one is listed next to the verdict, green or red.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase

from reports.gate.gate import Reason, Verdict
from reports.gate.policy_accepted import ACCEPTABLE, Accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One requirement of the gate that evidence does not meet. `what` outside `policy.ACCEPTABLE` is red under every
    policy; `of` is the commit, digest, run or cell by which a clause must name it."""

    cell: str = ""  # empty where it is about a run
    what: str
    of: str = ""
    text: str  # a sentence


def add_deviations(verdict: Verdict, found: Iterable[Deviation], today: date) -> Verdict:
    """Add to the verdict a reason for each deviation that no clause accepts. The run comes first, then cell by cell."""
    reasons, told = list(verdict.reasons), list(verdict.told)
    # Once each: every launch of a cell yields the same deviation, and the verdict is a list for people.
    for each in dict.fromkeys(found):
        clause = _find_clause(verdict.policy.accepted, each)
        if clause is not None and clause.until >= today:
            where = f"{each.cell}: " if each.cell else ""
            told.append(f"{where}{each.text} Accepted until {clause.until} by {clause.owner}: {clause.why}")
        else:
            reasons.append(Reason(cell=each.cell, rule=each.what, text=f"{each.text}{_advise(each, clause)}"))
    place = {cell: n for n, cell in enumerate(["", *(row.cell for row in verdict.rows)])}
    reasons.sort(key=lambda reason: place.get(reason.cell, 0))
    return replace(verdict, reasons=tuple(reasons), told=tuple(told))


def is_accepted(clauses: Iterable[Accepted], found: Deviation, today: date) -> bool:
    """Whether some clause accepts the deviation on this day."""
    clause = _find_clause(clauses, found)
    return clause is not None and clause.until >= today


def _find_clause(clauses: Iterable[Accepted], found: Deviation) -> Accepted | None:
    """Find the clause that names the deviation and holds longest."""
    # Without `of` nothing can name it, and a clause with the glob `*` would excuse what is not even known.
    own = (c for c in clauses if c.what == found.what and found.of and fnmatchcase(found.of, c.of))
    return max(own, key=lambda c: c.until, default=None)


def _advise(found: Deviation, clause: Accepted | None) -> str:
    if clause is not None:
        return f" {clause.owner} accepted that until {clause.until} only."
    if found.what in ACCEPTABLE and found.of:
        return f" Run it again, or accept it by name: accepted: {{what: {found.what}, of: {found.of!r}, ...}}"
    return " Run it again."
