"""Every page of a report as one text, for tests of what any page may say."""

from __future__ import annotations

from reports.board.text import View
from reports.page.write import render_all


def render_pages(shown: View) -> str:
    return "".join(render_all(shown).values())
