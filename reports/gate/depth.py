"""Checks that runs asked at the depth that the policy requires. A run without a depth, or with a lower one, is red.

Older runs, which did not record their depth, count only where a clause of the policy names the cells, an owner and an
end. A deeper run is enough only with all that is owed at the required depth, which `reports.gate.owed` judges.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from matrix.errors import Problem, suggest_nearest
from matrix.planning.owed import DEPTHS, Depth, is_as_deep
from matrix.wording import list_first
from matrix.yaml.document import Document
from reports.evidence.types import Record, Run
from reports.gate.allowances import ExplainedAllowance

SHOWN: Final = 3  # cells of a run; the rest is counted


@dataclass(frozen=True, kw_only=True)
class DepthUnknown(ExplainedAllowance):
    """Cells whose runs did not record a depth, and which may stay so for a while."""

    cells: str  # glob over cell ids


class GateSentence(NamedTuple):
    """A sentence about a run: a reason for red, or only a note."""

    red: bool
    text: str


def tell_depths(
    wanted: Depth, clauses: Sequence[DepthUnknown], cells: Collection[str], records: Sequence[Record], today: date
) -> Iterator[GateSentence]:
    """Yield a sentence for each run about `cells` that did not ask at `wanted`."""
    depths: dict[str, set[str]] = {}
    for each in records:
        if isinstance(each, Run):
            depths.setdefault(each.run, set()).add(each.depth)
    about: dict[str, dict[str, None]] = {}
    known = frozenset(cells)
    for each in records:
        if each.cell in known:
            # A dict as an ordered set: reasons come in the order of the evidence, the same on every machine.
            about.setdefault(each.run, {})[each.cell] = None
    for run, own in about.items():
        for depth in sorted(depths.get(run, ())):  # without a `run` record it is red for that
            if not depth:
                yield from _tell_unknown(run, [*own], clauses, today)
            elif depth not in DEPTHS:
                yield GateSentence(True, f"Run {run} says that it asked at depth {depth!r}, which is none.")
            elif not is_as_deep(depth, wanted):
                least = f"the policy requires {wanted}: run it again with --depth {wanted}"
                yield GateSentence(
                    True, f"Run {run} asked {list_first([*own], SHOWN, what='cells')} at depth {depth} only, {least}."
                )


def find_unmatched_depths(doc: Document, clauses: Sequence[DepthUnknown], cells: Collection[str]) -> Iterator[Problem]:
    """Find clauses that match no required cell: they would excuse later ones."""
    for i, clause in enumerate(clauses):
        if not any(fnmatchcase(cell, clause.cells) for cell in cells):
            why = f"{clause.cells!r} matches no required cell{suggest_nearest(clause.cells, cells)}"
            yield doc.problem(("depth_unknown", i, "cells"), why)


def _tell_unknown(
    run: str, cells: Sequence[str], clauses: Sequence[DepthUnknown], today: date
) -> Iterator[GateSentence]:
    """Yield one sentence for all cells of a run that the same clause names, or none."""
    by_clause: dict[DepthUnknown | None, list[str]] = {}
    for cell in cells:
        by_clause.setdefault(_find_clause(clauses, cell), []).append(cell)
    for clause, own in by_clause.items():
        asked = list_first(own, SHOWN, what="cells")
        said = f"Run {run} does not say at which depth it asked {asked}, so nobody knows what was owed."
        if clause is None:
            yield GateSentence(True, f"{said} Run it again, or name in `depth_unknown` who answers for that.")
        elif clause.until < today:
            yield GateSentence(True, f"{said} {clause.owner} answered for that until {clause.until} only.")
        else:
            yield GateSentence(False, f"{said} Accepted until {clause.until} by {clause.owner}: {clause.why}")


def _find_clause(clauses: Sequence[DepthUnknown], cell: str) -> DepthUnknown | None:
    """Find the clause that names this cell and holds longest."""
    own = [c for c in clauses if fnmatchcase(cell, c.cells)]
    # The longest: an older clause that has ended must not make red what a newer one covers.
    return max(own, key=lambda c: c.until, default=None)
