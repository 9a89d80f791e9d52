"""Draws a certificate's badge as SVG, and says it in one line for a model card. Static: whoever shows it draws it again
daily, and it names the day until which it speaks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from markupsafe import escape

from reports.certify.speed import NOT_ASKED, read_unasked_speed
from reports.certify.verify import Certificate
from reports.evidence.defuse import defuse_for_code, defuse_for_markdown, defuse_line

LABEL: Final = "GLM matrix"
COLOURS: Final = {"PASSED": "#17683a", "WARNED": "#7a5200", "FAILED": "#a3121f", "DECAYED": "#5c6270"}
CHAR_WIDTH: Final = 6.6  # of DejaVu Sans and Verdana at 11 px, on average
TEXT_CHARS: Final = 90


def word_of(found: Certificate, decay: Sequence[str]) -> str:
    """Return what the badge says first: the certified result, or that it holds no more."""
    result = str(found.statement["predicate"].get("result"))
    # A word that this program does not know is no good news: a later schema may have a worse one.
    return "DECAYED" if decay else result if result in COLOURS else "FAILED"


def _say(found: Certificate, decay: Sequence[str]) -> str:
    """Say the result, what was not asked, and until when; or what holds no more."""
    word = word_of(found, decay).lower()
    if decay:
        return f"{word}: {decay[0]}"
    unasked = f", {NOT_ASKED}" if read_unasked_speed(found.own) else ""
    return f"{word} until {found.expires}{unasked}"


def render_badge(found: Certificate, decay: Sequence[str]) -> str:
    """Render the badge as one SVG file without script, link or font."""
    word = word_of(found, decay)
    said = _say(found, decay)
    text = escape(defuse_line(said, TEXT_CHARS))
    title = escape(defuse_line(f"{found.cell}: {said}", 400))
    # Widths are estimated: no font is at hand where a badge is drawn.
    left, right = _width(LABEL), _width(str(text))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{title}">'
        f"<title>{title}</title>"
        f'<rect width="{left}" height="20" fill="#444a55"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{COLOURS[word]}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="6" y="14">{LABEL}</text><text x="{left + 6}" y="14">{text}</text></g></svg>\n'
    )


def render_endpoint(found: Certificate, decay: Sequence[str]) -> str:
    """Render what https://shields.io/badges/endpoint-badge reads: any static place can serve the file."""
    word = word_of(found, decay)
    fields = {
        "schemaVersion": 1,
        "label": LABEL,
        "message": defuse_line(_say(found, decay), TEXT_CHARS),
        "color": COLOURS[word],
    }
    text = json.dumps({**fields, "isError": word == "FAILED"}, indent=1)
    return text.replace("<", "\\u003c") + "\n"  # inert also where somebody pastes it into a page


def render_card(found: Certificate, decay: Sequence[str]) -> str:
    """Render the line for a model card, in Markdown."""
    facts = found.part("facts")
    where = ", ".join(str(facts[name]) for name in ("checkpoint", "release", "rig") if facts.get(name))
    features = " + ".join(found.features) or "baseline"
    proven = [f for f, outcome in found.part("proofs").items() if outcome == "proven"]
    shows = f"; proven: {', '.join(proven)}" if proven else ""
    unasked = f"; {NOT_ASKED}" if read_unasked_speed(found.own) else ""
    word = word_of(found, decay)
    # The line stays true where nobody draws it again: it names the day of the run, and until when it speaks.
    until = f"since then: {'; '.join(decay)}" if decay else f"until {found.expires}"
    told = f"{word} {where} ({features}){shows}{unasked}; run on {found.own.get('ran') or found.issued}, {until}"
    return f"{defuse_for_markdown(told, 1_000)} {defuse_for_code(found.cell)}\n"


def _width(text: str) -> int:
    return round(len(text) * CHAR_WIDTH) + 12
