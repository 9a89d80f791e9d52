"""Compares the same items in two runs: did a cell lose more answers than luck would take? Exact, corrected over all
cells.

Only items that both runs asked count: same cell, check and item, and the same bytes where a prompt's hash is known.
A run of many cells finds one that is "significantly worse" at 5 % by luck alone, hence Holm's correction; and since few
items can only show large losses, every cell says what it could have noticed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from matrix.judging.statistics import CONFIDENCE, binomial_cdf, compare_mcnemar, correct_holm, find_boundary
from reports.evidence.types import Found, Record

ALPHA: Final = 1 - CONFIDENCE
POWER: Final = 0.80  # the usual convention: noticed four times in five
Item = tuple[str, str, str]  # check, item, sha256 of the prompt or nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPair:
    """One cell in both runs."""

    cell: str
    items: int  # asked in both
    lost: tuple[str, ...]  # right before, wrong now
    won: int
    p: float
    worse: bool  # of all cells, after Holm
    noticed: float | None  # loss rate that is noticed with POWER at the strictest level; None: none is


def pair_cells(old: Sequence[Record], new: Sequence[Record]) -> list[RunPair]:
    """Compare each cell in which both runs asked items, the worst first."""
    before, after = _gather_answers(old), _gather_answers(new)
    shared = {c: before[c].keys() & after[c].keys() for c in before.keys() & after.keys()}
    cells = [c for c, items in shared.items() if items]
    told = {c: compare_mcnemar(before[c], after[c]) for c in cells}
    worse = correct_holm({c: t.p_worse for c, t in told.items()}, ALPHA)
    pairs = [
        RunPair(
            cell=c,
            items=len(shared[c]),
            lost=tuple(sorted(i[1] for i in shared[c] if before[c][i] and not after[c][i])),
            won=told[c].won,
            p=told[c].p_worse,
            worse=c in worse,
            noticed=smallest_noticed_rate(len(shared[c]), ALPHA / len(cells)),
        )
        for c in cells
    ]
    return sorted(pairs, key=lambda p: (not p.worse, p.p, p.cell))


def smallest_noticed_rate(items: int, alpha: float) -> float | None:
    """Compute the smallest loss rate, without a win, that so many items show with POWER at level `alpha`."""
    needed = math.ceil(math.log(alpha) / math.log(0.5))  # so many losses have p = 0.5 ** needed
    if needed > items:
        return None
    return find_boundary(lambda rate: 1 - binomial_cdf(needed - 1, items, rate) < POWER)


def _gather_answers(records: Sequence[Record]) -> Mapping[str, dict[Item, bool]]:
    """Gather every item of every cell; an item with several answers is right when all of them are."""
    cells: dict[str, dict[Item, bool]] = {}
    for r in records:
        if isinstance(r, Found) and r.item and r.cell:
            own, key = cells.setdefault(r.cell, {}), (r.check, r.item, str(r.data.get("prompt_sha256", "")))
            own[key] = own.get(key, True) and r.ok
    return cells


def summarise_pairs(pairs: Sequence[RunPair]) -> str:
    """Count the cells that answer worse, and tell what the weakest of them could have noticed."""
    if not pairs:
        return "no item was asked in both runs: no answer can be compared"
    least = max(1.0 if p.noticed is None else p.noticed for p in pairs)
    power = (
        f"every cell would notice a loss of {least:.0%}" if least < 1 else "some asked too few items to notice any loss"
    )
    head = f"{sum(p.worse for p in pairs)} of {len(pairs)} cells answer worse"
    return f"{head} (exact McNemar, Holm over the cells, {ALPHA:.0%}); {power}"
