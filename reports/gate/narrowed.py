"""Judges only the required cells that the runs selected (`--selected-only`), and says in the verdict what that leaves
out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from matrix.wording import list_first
from reports.evidence.types import Record, Run
from reports.expected import ExpectedCell
from reports.gate.gate import Verdict

SHOWN: Final = 3  # cells of the sentence; the rest is counted


def keep_selected(expected: Sequence[ExpectedCell], records: Sequence[Record]) -> tuple[ExpectedCell, ...]:
    """Keep the cells that some run selected before `-k` and its friends narrowed it."""
    selected = {cell for r in records if isinstance(r, Run) for cell in r.selection}
    return tuple(c for c in expected if c.id in selected)


def tell_left_out(verdict: Verdict, whole: Sequence[ExpectedCell], kept: Sequence[ExpectedCell]) -> Verdict:
    """Add to the verdict which required cells were not judged, if there are any."""
    judged = {c.id for c in kept}
    left = [c.id for c in whole if c.id not in judged]
    if not left:
        return verdict
    text = f"Not judged, no run selected them (--selected-only): {list_first(left, SHOWN, what='cells')}."
    return replace(verdict, told=(*verdict.told, text), left_out=len(left))
