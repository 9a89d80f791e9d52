"""Renders trends and flakes as one HTML page without a script: a sparkline each, what got slower first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

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
from reports.history.trend import NumberTrend
from reports.page.environment import make_environment

TONES: Final[Mapping[str, str]] = {"slower": "trouble", "faster": "good", "as before": "quiet"}
WIDTH, HEIGHT, PAD = 160, 28, 3  # of a sparkline, in pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendLine:
    """One row of the page."""

    trend: NumberTrend
    cells: Sequence[str]  # as `TREND_HEAD` names them
    spark: Markup
    tone: str


def render_trend_page(found: Sequence[NumberTrend]) -> str:
    """Render the trends as one page: a sparkline each, what got slower first."""
    lines = [
        TrendLine(
            trend=trend,
            cells=[*make_trend_row(trend)],
            spark=draw_spark([(p.t, p.value) for p in trend.points]),
            tone=TONES.get(trend.judged[0], "noted"),
        )
        for trend in sort_trends(found)
    ]
    slower = any(line.tone == "trouble" for line in lines)
    page = make_environment().get_template("history.html.j2")
    return page.render(
        headline=tell_trends(found), tone="trouble" if slower else "quiet", head=TREND_HEAD, lines=lines, rows=()
    )


def render_flake_page(found: Sequence[Flaky]) -> str:
    """Render the flakes as one page."""
    page = make_environment().get_template("history.html.j2")
    rows = [[*make_flake_row(flaky)] for flaky in found]
    tone = "trouble" if rows else "good"
    return page.render(headline=tell_flakes(found), tone=tone, head=FLAKE_HEAD, lines=(), rows=rows)


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
