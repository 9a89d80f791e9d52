"""Draws the few plots of a cell's page as SVG text, at build time: no script, no library, colours by class.

Every plot has a title and a description for readers who do not see it, and stands beside a table of its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import floor, log10
from typing import Final

from markupsafe import Markup, escape

from reports.evidence.defuse import defuse_line

SERIES: Final = 4  # line styles of the style sheet
BARS: Final = 5  # fills of the style sheet
WIDTH: Final = 460
TEXT_CHARS: Final = 60
TOLD_CHARS: Final = 2_000  # of what a screen reader says of a figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A named line of points, in the order of x."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BarPart:
    """A named length of a bar; `shown` is its length in words."""

    name: str
    value: float
    shown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """A square of a heat map: column, row, text, and tone (`good`, `trouble` or `none`)."""

    x: str
    y: str
    text: str
    tone: str


def draw_bar(title: str, parts: Sequence[BarPart], whole: float = 0.0) -> Markup:
    """Draw parts one after another as one bar; `whole` is the length of the whole where parts do not fill it."""
    total = max(whole, sum(p.value for p in parts)) or 1.0
    height = 34 + 17 * len(parts)
    return _frame(title, "; ".join(f"{p.name} {p.shown}" for p in parts), height, _iterate_bar(parts, total))


def _iterate_bar(parts: Sequence[BarPart], total: float) -> Iterator[str]:
    at = 0.0
    yield f'<rect class="hnone" x="0.5" y="0.5" width="{WIDTH - 1}" height="21"/>'
    for n, part in enumerate(parts):
        size = part.value / total * WIDTH
        yield f'<rect class="b{n % BARS}" x="{at:.1f}" y="1" width="{max(size, 1):.1f}" height="20"/>'
        yield f'<rect class="b{n % BARS}" x="0" y="{30 + 17 * n}" width="10" height="10"/>'
        yield f'<text x="16" y="{39 + 17 * n}">{_say(part.name)} <tspan class="dim">{_say(part.shown)}</tspan></text>'
        at += size


def draw_lines(title: str, x_name: str, y_name: str, series: Sequence[Series], claims: Sequence[float] = ()) -> Markup:
    """Draw lines over x, from zero up; `claims` are published values, drawn as horizontal lines."""
    shown = [s for s in series[:SERIES] if s.points]
    xs = sorted({x for s in shown for x, _ in s.points})
    top = _round_up(max([*(y for s in shown for _, y in s.points), *claims], default=1.0))
    height = 190 + 15 * (len(shown) + bool(claims))
    told = "; ".join(f"{s.name}: " + ", ".join(f"{x:g} {x_name} {y:.4g}" for x, y in s.points) for s in shown)
    plot = _Plot(xs=xs, top=top)
    return _frame(title, told, height, plot.iterate(shown, x_name, y_name, claims))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plot:
    xs: Sequence[float]
    top: float

    def x(self, value: float) -> float:
        """Place x evenly: loads and lengths double from one to the next."""
        return 76 + (WIDTH - 114) * (self.xs.index(value) / max(len(self.xs) - 1, 1) if len(self.xs) > 1 else 0.5)

    def y(self, value: float) -> float:
        return 140 - 125 * value / self.top

    def iterate(self, series: Sequence[Series], x_name: str, y_name: str, claims: Sequence[float]) -> Iterator[str]:
        yield f'<path class="axis" d="M46 15V140H{WIDTH - 10}"/>'
        for share in (0.0, 0.5, 1.0):
            y = self.y(self.top * share)
            yield f'<path class="axis" d="M46 {y:.1f}H{WIDTH - 10}"/>'
            yield f'<text class="dim" text-anchor="end" x="42" y="{y + 4:.1f}">{self.top * share:,.4g}</text>'
        yield f'<text class="dim" x="52" y="10">{_say(y_name)}</text>'
        for x in self.xs:
            yield f'<text class="dim" text-anchor="middle" x="{self.x(x):.1f}" y="155">{x:,.6g}</text>'
        yield f'<text class="dim" text-anchor="end" x="{WIDTH - 10}" y="170">{_say(x_name)}</text>'
        for value in claims:
            yield f'<path class="claim" d="M46 {self.y(value):.1f}H{WIDTH - 10}"/>'
        for n, one in enumerate(series):
            places = [(self.x(x), self.y(y), y) for x, y in one.points]
            yield f'<path class="l{n}" d="M{" L".join(f"{x:.1f} {y:.1f}" for x, y, _ in places)}"/>'
            for x, y, value in places:
                yield f'<circle class="d{n}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
                yield f'<text text-anchor="middle" x="{x:.1f}" y="{y - 7:.1f}">{value:,.4g}</text>'
            yield f'<path class="l{n}" d="M8 {186 + 15 * n}H36"/>'
            yield f'<text x="42" y="{190 + 15 * n}">{_say(one.name)}</text>'
        if claims:
            y = 186 + 15 * len(series)
            yield f'<path class="claim" d="M8 {y}H36"/><text x="42" y="{y + 4}">published</text>'


def draw_squares(title: str, x_name: str, y_name: str, squares: Sequence[Square]) -> Markup:
    """Draw a heat map. Columns and rows stand in the order in which the squares name them."""
    xs, ys = list(dict.fromkeys(s.x for s in squares)), list(dict.fromkeys(s.y for s in squares))
    size = min(84.0, (WIDTH - 70) / max(len(xs), 1))
    told = "; ".join(f"{s.x} {x_name}, {s.y} {y_name}: {s.text}" for s in squares)
    names = (
        f'<text class="dim" x="4" y="12">{_say(y_name)}</text>'
        f'<text class="dim" text-anchor="end" x="{WIDTH - 6}" y="{47 + 26 * len(ys)}">{_say(x_name)}</text>'
    )
    return _frame(title, told, 48 + 26 * len(ys), (names, *_iterate_squares(squares, xs, ys, size)))


def _iterate_squares(squares: Sequence[Square], xs: Sequence[str], ys: Sequence[str], size: float) -> Iterator[str]:
    for n, y in enumerate(ys):
        yield f'<text class="dim" text-anchor="end" x="56" y="{36 + 26 * n}">{_say(y)}</text>'
    for n, x in enumerate(xs):
        at, below = 64 + size * (n + 0.5), 34 + 26 * len(ys)
        yield f'<text class="dim" text-anchor="middle" x="{at:.1f}" y="{below}">{_say(x)}</text>'
    for s in squares:
        left, top = 64 + size * xs.index(s.x), 20 + 26 * ys.index(s.y)
        yield f'<rect class="h{s.tone}" x="{left:.1f}" y="{top}" width="{size - 2:.1f}" height="24"/>'
        yield f'<text text-anchor="middle" x="{left + size / 2 - 1:.1f}" y="{top + 16}">{_say(s.text)}</text>'


def _frame(title: str, told: str, height: float, parts: Iterable[str]) -> Markup:
    head = f'<svg viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}" role="img"'
    label = f'aria-label="{escape(defuse_line(f"{title}: {told}", TOLD_CHARS))}"'
    return Markup(f"{head} {label}>{''.join(parts)}</svg>")  # noqa: S704  each text in it is escaped by _say


@lru_cache(maxsize=4_096)  # axes, lines and marks have the same names in every cell
def _say(text: str) -> str:
    return str(escape(defuse_line(text, TEXT_CHARS)))


def _round_up(value: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** floor(log10(value))
    return next(step * unit for step in (1, 2, 5, 10) if step * unit >= value * 0.999)
