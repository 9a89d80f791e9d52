"""Builds the small parts that stand in a page many times: a macro of the template engine takes ten times as long."""

from __future__ import annotations

from functools import cache

from markupsafe import Markup, escape

from matrix.judging.status import Status
from reports.board.text import GLYPHS, tone_of
from reports.evidence.defuse import defuse_for_terminal

_BUTTON = '<button type="button" class="copy" hidden>copy</button>'


@cache
def render_chip(status: Status, more: str = "") -> Markup:
    """Render a status with its glyph and tone, and with `more`, in words of ours."""
    beside = f' <span class="of">{escape(more)}</span>' if more else ""
    glyph = f'<span class="glyph" aria-hidden="true">{GLYPHS[status]}</span>'
    return Markup(f'<span class="chip {tone_of(status)}">{glyph}{status}{beside}</span>')  # noqa: S704  words of ours


def render_copied(text: str) -> Markup:
    """Render a text in a line, with a button that copies it."""
    return Markup(f'<span class="copied"><code>{_show(text)}</code>{_BUTTON}</span>')  # noqa: S704  escaped


def render_block(text: str) -> Markup:
    """Render a text as a block of lines, with a button that copies it."""
    return Markup(f'<div class="copied"><pre tabindex="0">{_show(text)}</pre>{_BUTTON}</div>')  # noqa: S704  escaped


def _show(text: str) -> str:
    return str(escape(text if isinstance(text, Markup) else defuse_for_terminal(text)))
