"""What of a night fits into some hours: launches that show the most new pairs first, each behind its tiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from matrix.model import Cell
from matrix.scheduling.groups import Grouped, LaunchGroup, LeftOut
from matrix.scheduling.pairwise import list_pairs, order_by_coverage


def cut_to_budget(
    grouped: Grouped, cells: Mapping[str, Cell], budget_s: float, measure_s: Callable[[Grouped], float]
) -> Grouped:
    """Keep the most valuable launches whose schedule (`measure_s`: seconds) fits; say of the others why they do not."""
    if measure_s(grouped) <= budget_s:
        return grouped
    asked = [g for g in grouped.groups if g.asked]
    ordered, covering = order_by_coverage(asked, lambda g: [p for c in g.cells for p in list_pairs(cells[c])])
    low, high = 0, len(ordered)
    while low < high:  # about monotone: a list schedule may grow by a hair when a job is taken out
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if measure_s(keep_asked(grouped, ordered[:middle])) <= budget_s else (low, middle - 1)
        )
    # with what they need: a launch without its tiers would be started on a host that was never tried
    kept = keep_asked(grouped, ordered[:low])
    left = [_explain_left_out(g, budget_s, needed=i < covering) for i, g in enumerate(ordered) if i >= low]
    return replace(kept, left_out=(*kept.left_out, *left))


def keep_asked(grouped: Grouped, asked: Sequence[LaunchGroup]) -> Grouped:
    """Return the groups with everything that they need, in the order of the whole."""
    by_id = {g.id: g for g in grouped.groups}
    wanted: set[str] = set()
    queue = [g.id for g in asked]
    while queue:
        name = queue.pop()
        if name not in wanted:
            wanted.add(name)
            queue += by_id[name].needs
    return replace(grouped, groups=tuple(g for g in grouped.groups if g.id in wanted))


def _explain_left_out(group: LaunchGroup, budget_s: float, *, needed: bool) -> LeftOut:
    hours = f"{budget_s / 3600:g} h are full with launches that show more new pairs"
    what = "it alone would show some pair" if needed else "every pair of it is shown by another launch"
    return LeftOut(cells=group.cells, why=f"{hours}; {what}", by="budget")
