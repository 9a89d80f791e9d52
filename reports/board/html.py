"""Renders the report as one HTML file: no script, no network, readable without colour; a failing test shows the
reply."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from matrix.checkout import CHECKOUT
from reports.board.text import GLYPHS, View, format_seconds, make_headline, tone_of
from reports.evidence.defuse import defuse_for_terminal
from reports.ledger.forms import HEAD, make_columns, summarise_entries

HERE = CHECKOUT / "reports" / "board" / "templates"


def render_html(shown: View) -> str:
    """Render the page. The template engine escapes every text that is not ours, model output above all."""
    page = make_environment().get_template("report.html.j2")
    claims = [(entry, make_columns(entry)) for entry in shown.claims]
    return page.render(
        view=shown,
        headline=make_headline(shown),
        style=read_style(),
        facts=_run_facts(shown),
        claims=claims,
        claims_head=HEAD,
        claims_summary=summarise_entries(shown.claims),
    )


def read_style() -> str:
    """Read the style sheet that every page embeds."""
    return (HERE / "report.css").read_text(encoding="utf-8")


def write_html(shown: View, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_html(shown), encoding="utf-8", errors="replace")  # model output may hold lone surrogates


@cache
def make_environment() -> Environment:
    """Make the template engine of every page: it escapes and defuses each text."""
    env = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_defuse_value,
    )
    env.filters["tone"] = tone_of
    env.filters["glyph"] = GLYPHS.__getitem__
    env.filters["seconds"] = format_seconds
    return env


def _defuse_value(value: Any) -> Any:
    """Defuse a text before it enters the page: cut it and make control characters visible. The style sheet is Markup
    and passes."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else defuse_for_terminal(value)


def _run_facts(shown: View) -> list[Mapping[str, Any]]:
    return [
        {
            "run": r.run,
            "begun": f"{r.t:%F %T} UTC",
            "commit": r.commit[:12],
            "host": ", ".join(f"{k} {v}" for k, v in r.host.items()),
            "versions": ", ".join(f"{k} {v}" for k, v in r.versions.items()),
        }
        for r in shown.board.runs
    ]
