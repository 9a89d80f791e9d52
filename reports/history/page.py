"""Renders trends and flakes as one HTML page without a script: a sparkline each, what got slower first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from markupsafe import Markup

from reports.history.flakes import Flaky
from reports.history.forms import (
    DAY,
    FLAKE_HEAD,
    TREND_HEAD,
    make_flake_row,
    make_trend_row,
    sort_trends,
    tell_flakes,
    tell_trends,
)
from reports.history.trend import NumberTrend, Row
from reports.page.environment import break_name, make_environment

TONES: Final[Mapping[str, str]] = {"slower": "trouble", "faster": "good", "as before": "quiet"}
FEW: Final = 100  # numbers that are shown whatever was judged of them
WIDTH, HEIGHT, PAD = 160, 28, 3  # of a sparkline, in pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class PageGroup:
    """The rows of one verdict. What nothing is to be done about is closed: thousands of rows, laid out when opened."""

    word: str
    tone: str
    open: bool
    rows: Sequence[Sequence[str]]


def render_trend_page(found: Sequence[NumberTrend]) -> str:
    """Render the trends as one page: a sparkline each, what got slower first."""
    own = groupby(sort_trends(found), key=lambda trend: trend.judged[0])
    groups = [
        PageGroup(
            word=word,
            tone=TONES.get(word, "noted"),
            open=word in TONES or len(found) <= FEW,
            rows=[[*_make_cells(trend)] for trend in trends],
        )
        for word, trends in own
    ]
    words = {group.word for group in groups}
    slower, judged = "slower" in words, not words.isdisjoint(TONES)
    return _render_page(
        word="SLOWER" if slower else "NOTHING SLOWER" if judged else "NOT JUDGED",
        headline=tell_trends(found),
        tone="trouble" if slower else "quiet" if judged else "noted",
        facts=[*_tell_times([row for trend in found for row in trend.rows])],
        head=TREND_HEAD[:-1],
        groups=groups,
    )


def _make_cells(trend: NumberTrend) -> Iterator[str]:
    cell, name, conditions, _, last, ratio, _ = make_trend_row(trend)
    yield from (break_name(cell), break_name(name), conditions)
    yield from (draw_spark([(p.t, p.value) for p in trend.points]), last, ratio)


def _tell_times(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    if days := sorted({row[0][:DAY] for row in rows} - {""}):
        yield "from", days[0]
        yield "to", days[-1]
        yield "runs", f"{len({row[1] for row in rows})}"


def render_flake_page(found: Sequence[Flaky]) -> str:
    """Render the flakes as one page."""
    rows = [[break_name(nodeid), *rest] for nodeid, *rest in map(make_flake_row, found)]
    return _render_page(
        word="FLAKY" if rows else "NO FLAKE",
        headline=tell_flakes(found),
        tone="trouble" if rows else "good",
        facts=(),
        head=FLAKE_HEAD,
        groups=[PageGroup(word="answered both ways", tone="trouble", open=True, rows=rows)] if rows else [],
    )


def _render_page(**shown: Any) -> str:
    return make_environment().get_template("history.html.j2").render(**shown)


def draw_spark(points: Sequence[tuple[str, float]]) -> Markup:
    """Draw one line over the order of the points, and its last point; a screen reader is told first and last."""
    values = [value for _, value in points]
    low, high = min(values), max(values)
    steps, span = max(1, len(values) - 1), (high - low) or 1.0
    xy = [
        (PAD + (WIDTH - 2 * PAD) * n / steps, HEIGHT - PAD - (HEIGHT - 2 * PAD) * (value - low) / span)
        for n, value in enumerate(values)
    ]
    told = f"{len(values)} from {values[0]:.4g} on {points[0][0][:DAY]} to {values[-1]:.4g} on {points[-1][0][:DAY]}"
    line = Markup(" ").join(Markup("{:.1f},{:.1f}").format(x, y) for x, y in xy)
    return Markup(
        '<svg width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img" aria-label="{told}"><title>{told}</title>'
        '<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1.5"/>'
        '<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="currentColor"/></svg>'
    ).format(w=WIDTH, h=HEIGHT, told=told, line=line, x=xy[-1][0], y=xy[-1][1])
