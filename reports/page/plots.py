"""Finds what is worth a plot in one cell's records: needles, speed, launch, memory. Nothing found, nothing drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import Any, Final

from markupsafe import Markup

from matrix.planning.fit import Fit
from reports.board.text import format_seconds
from reports.evidence.summary import CellRow
from reports.evidence.types import Measured
from reports.ledger.entries import LedgerEntry
from reports.page.svg import BarPart, Series, Square, draw_bar, draw_lines, draw_squares

# The length and depth of a needle, as items name them: `canary.needle.s2026.4608t4c20d` and `needle.32k.32000t.50d.1`.
NEEDLE: Final = re.compile(r"\.(\d+)t(?:\d+c|\.)(\d+)d(?:\.|$)")
FOUND: Final = "needle.found"
SPEED: Final = (("output_throughput", "tok/s"), ("median_ttft_ms", "TTFT, ms"), ("median_tpot_ms", "TPOT, ms"))
MOST: Final = 1 << 53  # of a number that is drawn: beyond it, floats skip whole numbers
NEAR, NEAR_FROM = 1.25, 16  # lengths in tokens that differ by less; counts of streams are small, and never near
GIB: Final = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A plot with its caption."""

    caption: str
    drawing: Markup


def draw_cell(
    row: CellRow, claims: Sequence[LedgerEntry] = (), hosts: Sequence[Mapping[str, Any]] = (), fit: Fit | None = None
) -> Iterator[Figure]:
    """Draw every plot that a cell has facts for. `fit` is the plan's arithmetic."""
    yield from _draw_needles(row)
    yield from _draw_speed(row, claims)
    yield from _draw_launch(row)
    yield from _draw_memory(row, hosts, fit)


def _draw_needles(row: CellRow) -> Iterator[Figure]:
    """Draw found and lost needles over length and depth. Of equal places, each answer counts."""
    seen: dict[tuple[int, int], list[bool]] = {}
    for test in row.tests:
        for f in test.findings:
            if f.check == FOUND and (place := _read_place(f.item)):
                seen.setdefault(place, []).append(f.ok)
    if not seen:
        return
    lengths, depths = sorted({length for _, length in seen}), sorted({depth for depth, _ in seen})
    squares = [_make_square(seen.get((d, n), []), n, d) for d in depths for n in lengths]
    yield Figure(
        caption="Needles: found of asked, by length of the prompt and depth of the needle",
        drawing=draw_squares("needles found", "tokens", "depth", squares),
    )


@lru_cache(4_096)  # each cell is asked for the same needles
def _read_place(item: str) -> tuple[int, int] | None:
    """Read the depth and the length of a needle's item."""
    named = NEEDLE.search(item)
    return (int(named[2]), int(named[1])) if named else None


def _make_square(answers: Sequence[bool], length: int, depth: int) -> Square:
    tone = "none" if not answers else "good" if all(answers) else "trouble"
    text = f"{'✓' if all(answers) else '✗'} {sum(answers)}/{len(answers)}" if answers else "·"
    return Square(x=f"{length:,}", y=f"{depth} %", text=text, tone=tone)


def _draw_speed(row: CellRow, claims: Sequence[LedgerEntry]) -> Iterator[Figure]:
    """Draw each kind of speed over concurrency, one line for each length of prompt, and over length where it varies."""
    for name, unit in SPEED:
        own = [m for m in row.measurements if m.name == name]
        if not own:
            continue
        published = [e.value for e in claims if e.ours and e.ours.name == name and e.unit == own[0].unit]
        over = list(_group_points(own, "concurrency", "input_len", "about {} tokens in"))
        lengths = list(_group_points(own, "input_len", "concurrency", "{} at once"))
        wide = max((len(s.points) for s in lengths), default=0) > max((len(s.points) for s in over), default=0)
        x_name, shown = ("tokens in", lengths) if wide else ("streams at once", over)
        if shown:
            caption = f"{unit} over {x_name}; median of equal loads"
            yield Figure(caption=caption, drawing=draw_lines(unit, x_name, unit, shown, published))


def _group_points(numbers: Sequence[Measured], x: str, by: str, name: str) -> Iterator[Series]:
    """Group numbers into lines over `x`; values of `by` that are nearly the same, as prompts' lengths are, are one."""
    lines: dict[Any, dict[float, list[float]]] = {}
    for m in sorted(numbers, key=lambda m: str(m.conditions.get(by))):
        at, key = _as_condition(m.conditions.get(x)), _as_condition(m.conditions.get(by))
        if isinstance(at, int | float) and not isinstance(at, bool):
            near = next((known for known in lines if _is_near(known, key)), key)
            lines.setdefault(near, {}).setdefault(float(at), []).append(m.value)
    for key, points in lines.items():
        yield Series(name=name.format(key), points=sorted((at, median(values)) for at, values in points.items()))


def _as_condition(value: Any) -> Any:
    """Return a condition as foreign evidence may hold it: a list, or an integer without end, becomes text."""
    if isinstance(value, int | float):
        return value if abs(value) < MOST else "beyond 2^53"
    return value if value is None or isinstance(value, str) else f"{value!r:.40}"


def _is_near(known: Any, value: Any) -> bool:
    if not (isinstance(known, int | float) and isinstance(value, int | float)):
        return bool(known == value)
    return known == value or (min(known, value) > NEAR_FROM and max(known, value) / min(known, value) < NEAR)


def _draw_launch(row: CellRow) -> Iterator[Figure]:
    launch = row.launch
    if launch is None or not launch.phases_s:
        return
    parts = [BarPart(name=k, value=max(v, 0.0), shown=format_seconds(v)) for k, v in launch.phases_s.items()]
    parts = sorted((p for p in parts if p.value >= 0.01), key=lambda p: -p.value)
    whole = launch.launch_s or 0.0
    yield Figure(
        caption=f"Launch: {format_seconds(launch.launch_s)} by phase, the longest first",
        drawing=draw_bar("launch by phase", parts, whole),
    )


def _draw_memory(row: CellRow, hosts: Sequence[Mapping[str, Any]], fit: Fit | None) -> Iterator[Figure]:
    """Draw what one GPU holds by the plan's arithmetic, with the bytes of a token that were seen, else as computed."""
    seen = next((p.data for p in row.proofs if _is_size(p.data)), None)
    size = (seen["low"] + seen["high"]) / 2 if seen else float(fit.rank.row_bytes) if fit else 0.0
    if not size:
        return
    told = f"{size:,.0f} bytes per token {'as seen' if seen else 'by arithmetic'}"
    memory = [g.get("memory_bytes") for host in hosts for g in host.get("gpus") or () if isinstance(g, Mapping)]
    gpu = next((m for m in memory if isinstance(m, int)), fit.rank.vram_bytes if fit else 0)
    parts = (
        list(_list_memory(fit, gpu, size)) if fit else [BarPart(name="one token", value=size, shown=f"{size:,.1f} B")]
    )
    title = f"Memory of one GPU, {gpu / GIB:.0f} GiB" if fit and gpu else "KV cache"
    yield Figure(caption=f"{title}: {told}", drawing=draw_bar(title, parts, float(gpu) if fit else size))


def _list_memory(fit: Fit, gpu: int, size: float) -> Iterator[BarPart]:
    rank = fit.rank
    pool = max(rank.pool_bytes, 0)
    tokens = f"{pool / GIB:.1f} GiB, {pool / size:,.0f} tokens; {fit.needed_context_tokens:,} are asked for"
    yield BarPart(name="weights", value=rank.weights_bytes, shown=f"{rank.weights_bytes / GIB:.2f} GiB, planned")
    reserved = rank.reserved_bytes
    yield BarPart(name="graphs, scratch, draft", value=reserved, shown=f"{reserved / GIB:.2f} GiB, planned")
    yield BarPart(name="KV cache", value=pool, shown=tokens)
    if (left := gpu - rank.weights_bytes - reserved - pool) > 0:
        yield BarPart(name="left to others", value=left, shown=f"{left / GIB:.1f} GiB")


def _is_size(data: Mapping[str, Any]) -> bool:
    low, high = data.get("low"), data.get("high")
    return isinstance(low, int | float) and isinstance(high, int | float) and 0 < low <= high
