"""Builds the small parts that templates and tables share, and defuses what enters a page."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, Final

from markupsafe import Markup, escape

from matrix.judging.status import Status
from reports.board.text import GLYPHS, tone_of
from reports.evidence.defuse import defuse_for_terminal

SHORT_CHARS: Final = 200
_BUTTON: Final = '<button type="button" class="copy" hidden>copy</button>'


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


def defuse_value(value: Any) -> Any:
    """Defuse a text before it enters a page: cut it and make control characters visible. Markup is ours and passes."""
    if type(value) is str and len(value) <= SHORT_CHARS:  # nearly every one
        return _defuse_short(value)
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return defuse_for_terminal(value)


@lru_cache(maxsize=8_192)  # most short texts stand in every cell
def _defuse_short(text: str) -> str:
    return defuse_for_terminal(text)


def _show(text: str) -> str:
    return str(escape(defuse_value(text)))
