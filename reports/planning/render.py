"""A plan as text: when what is loaded, what it costs, how close to the best it is, and what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from matrix.output.columns import format_table
from matrix.scheduling.durations import LEVELS
from matrix.scheduling.groups import TIERS, LaunchGroup, LeftOut
from matrix.scheduling.place import CLOSE, PlacedJob, Schedule
from matrix.scheduling.run_plan import NO_GPU, RunPlan
from matrix.wording import list_first

SHOWN_CELLS = 3
ID_CHARS = 8
LEAST_SHARE = 0.005  # of the time; what rests on less is in the JSON


def render_plan(plan: RunPlan, *, wide: bool = False, price: float | None = None) -> str:
    """Render the plan: one line for each checkpoint of a tier, or with `wide` for each launch."""
    by_id = {g.id: g for g in plan.groups}
    blocks = [_render_schedule(s, by_id, wide=wide) for s in plan.schedules]
    return "\n\n".join(filter(None, [_render_head(plan), *blocks, _render_costs(plan, price), *_render_rest(plan)]))


def _render_head(plan: RunPlan) -> str:
    counts = Counter(g.tier for g in plan.groups)
    tiers = ", ".join(f"{counts[t]} {t}" for t in TIERS if counts[t])
    cells = len({c for g in plan.groups if g.asked for c in g.cells})
    return f"plan {plan.digest}, depth {plan.depth}: {cells} cells, {len(plan.groups)} launches ({tiers or 'none'})"


def _render_schedule(schedule: Schedule, by_id: dict[str, LaunchGroup], *, wide: bool) -> str:
    machine = schedule.machine
    kind = by_id[schedule.placed[0].job.id].gpu_name
    gpus = f"{machine.slots} x {kind}" if machine.name != NO_GPU else "no GPU"
    hosts = f"{machine.count} machines with {gpus} each" if machine.count > 1 else gpus
    rows = [_launch_row(p, by_id[p.job.id]) for p in schedule.placed] if wide else list(_block_rows(schedule, by_id))
    header = ("start", "end", "tier", "checkpoint", "release", "GPUs", "launch", "cells", "load", "suites")
    return f"{hosts}\n{format_table(rows, header if wide else BLOCK_HEADER)}\n{_render_bound(schedule)}"


def _launch_row(p: PlacedJob, group: LaunchGroup) -> tuple[str, ...]:
    gpus = ",".join(map(str, p.slots)) if group.gpus else "-"
    where = f"{p.host}:{gpus}" if p.host else gpus
    e = group.estimate
    load = e.warm_load_s if p.warm else e.load.seconds  # warm: the weights lie in the page cache of that machine
    return (
        *(format_time(p.start_s), format_time(p.end_s), group.tier, group.checkpoint, group.release, where),
        *(group.id[:ID_CHARS], str(len(group.cells)), f"{load:.0f} s{' warm' if p.warm else ''}"),
        f"{e.suites.seconds:.0f} s",
    )


BLOCK_HEADER = ("start", "end", "tier", "checkpoint", "GPUs", "launches", "cells", "weights", "GPU-hours")


def _block_rows(schedule: Schedule, by_id: dict[str, LaunchGroup]) -> Iterator[tuple[str, ...]]:
    """Yield a line for each checkpoint of a tier, by start."""
    blocks: dict[tuple[str, str, int], list[PlacedJob]] = {}
    for p in schedule.placed:
        group = by_id[p.job.id]
        blocks.setdefault((group.tier, group.checkpoint, group.gpus), []).append(p)
    for (tier, checkpoint, gpus), own in sorted(blocks.items(), key=lambda b: min(p.start_s for p in b[1])):
        groups = [by_id[p.job.id] for p in own]
        size = groups[0].model_bytes
        yield (
            *(format_time(min(p.start_s for p in own)), format_time(max(p.end_s for p in own)), tier, checkpoint),
            *(str(gpus or "-"), str(len(own)), str(sum(len(g.cells) for g in groups))),
            *(
                f"{size / 1e9:.0f} GB" if size >= 1e9 else "-",
                f"{sum(p.area for p in own) / 3600:.1f}" if gpus else "-",
            ),
        )


def _render_bound(schedule: Schedule) -> str:
    # Said beside every plan, so that a reader sees whether a better order could be worth anything (decision 51).
    area, end = schedule.area_bound_s, schedule.makespan_s
    over = f"{(end / area - 1):.1%} above every GPU busy all the time" if area else ""
    promise = f", proven to be at most {CLOSE:.0%}" if schedule.close_is_proven else ""
    cache = "" if schedule.machine.memory_bytes else "; every load is counted cold, because --memory is not stated"
    return f"ends after {format_time(end)}: {over}{promise}{cache}"


def _render_costs(plan: RunPlan, price: float | None) -> str:
    lines = [
        f"a launch for each cell and suite, one after another: {format_time(plan.naive_s)}",
        f"a launch for each cell, one after another:           {format_time(plan.per_cell_s)}",
        f"this plan:                                           {format_time(plan.makespan_s)}",
    ]
    if plan.gpu_hours:
        cost = f", {plan.gpu_hours * price:,.2f} at {price:g} for a GPU-hour, as you said" if price is not None else ""
        lines.append(f"GPU-hours: {plan.gpu_hours:,.1f}{cost}")
    lines.append(
        f"a sequential test (needles, fresh boots) of a cell: at most {plan.token_budget:,} tokens (--token-budget)"
    )
    return "\n".join(lines) if plan.groups else ""


def _render_rest(plan: RunPlan) -> Iterator[str]:
    if plan.groups:
        yield "\n".join(_list_sources(plan.groups))
    if plan.why:
        yield "\n".join(["asked, and why:", *list_reasons(plan.why)])
    if plan.commands:
        yield "\n".join(["here:", *(f"  {command}" for command in plan.commands)])
    if plan.left_out:
        yield "\n".join(["left out:", *list_left_out(plan.left_out)])


def _list_sources(groups: Sequence[LaunchGroup]) -> Iterator[str]:
    """Say how much of the GPU time rests on what."""
    spent: Counter[tuple[str, str]] = Counter()
    # By GPU time, since a guess about eight GPUs makes a plan wrong eight times as much as one about a single GPU.
    for group in groups:
        for part in group.estimate.parts:
            spent[part.level, _name_source(part.what, part.source)] += round(part.seconds * group.slots)
    whole = sum(spent.values()) or 1
    yield "where the durations come from, by share of the time:"
    # What was measured stands first, then what was derived: the last lines are those to doubt.
    for (level, source), seconds in sorted(spent.items(), key=lambda one: (LEVELS.index(one[0][0]), -one[1])):
        if seconds >= whole * LEAST_SHARE:
            yield f"  {seconds / whole:4.0%}  {level:<9} {source}"


def _name_source(what: str, source: str) -> str:
    """Merge the sources that differ in a checkpoint's size alone."""
    return f"{what}: {'size' + source[source.index(' GB at') + 3 :] if ' GB at' in source else source}"


def list_reasons(why: Mapping[str, str]) -> Iterator[str]:
    """List the cells by why they are asked."""
    yield from list_left_out([LeftOut(cells=(cell,), why=said, by="evidence") for cell, said in why.items()])


def list_left_out(left_out: Sequence[LeftOut]) -> Iterator[str]:
    """List the cells that are not run, those of one reason together."""
    ordered = sorted(left_out, key=lambda one: (one.by, one.why))
    for why, own in groupby(ordered, key=lambda one: one.why):
        cells = [c for one in own for c in one.cells]
        yield f"  {len(cells):>4} cells: {why}"
        yield f"        {list_first(cells, SHOWN_CELLS)}"


def format_time(seconds: float) -> str:
    """Format a duration as hours and minutes, e.g. 12:05."""
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d}"
