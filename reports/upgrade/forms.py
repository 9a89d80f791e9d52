"""Renders a comparison as text, Markdown, JSON or one HTML page. Every text of an engine is defused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from matrix.output.markdown import format_markdown_table
from reports.board.text import format_seconds
from reports.evidence.defuse import defuse_for_code, defuse_for_markdown, defuse_line
from reports.page.environment import make_environment
from reports.upgrade.comparison import CellDifference, RunComparison
from reports.upgrade.words import MARKS, describe_cell, describe_versions, make_json, tell_stories

MARKDOWN_CHARS: Final = 1_000  # of one sentence
HEAD: Final = ("cell", "answer", "tests", "proofs", "answers lost", "launch")
TONES: Final = {"YES": "good", "NO": "trouble", "UNKNOWN": "noted"}
CELL_TONES: Final = {"worse": "trouble", "unknown": "noted", "better": "good", "same": "quiet"}


def render_text(found: RunComparison) -> str:
    """Render the answer, then each cell of which there is something to say."""
    return "\n".join(_iterate_text(found))


def _iterate_text(found: RunComparison) -> Iterator[str]:
    yield defuse_line(found.headline)
    yield from (f"doubt: {defuse_line(text)}" for text in found.doubts)
    yield from (f"version: {defuse_line(text)}" for text in describe_versions(found))
    yield from (f"note: {defuse_line(text)}" for text in found.told)
    for story in tell_stories(found):
        yield f"\n{MARKS[story.answer]:<7} {defuse_line(story.title)}"
        yield from (f"  {line.topic:<16} {defuse_line(line.text)}" for line in story.lines)


def render_markdown(found: RunComparison) -> str:
    """Render the answer, a table with one row for each cell, and the details."""
    return "\n".join(_iterate_markdown(found)) + "\n"


def _iterate_markdown(found: RunComparison) -> Iterator[str]:
    yield f"# {_escape_text(found.headline)}"
    notes = [*found.doubts, *(f"version {text}" for text in describe_versions(found)), *found.told]
    if notes:
        yield ""
        yield from (f"- {_escape_text(text)}" for text in notes)
    yield ""
    yield format_markdown_table(HEAD, ([*_summarise_cell(cell)] for cell in found.cells)).rstrip()
    for story in tell_stories(found):
        yield f"\n## {MARKS[story.answer]} {defuse_for_code(story.title)}\n"
        yield from (f"- **{line.topic}** {_escape_text(line.text)}" for line in story.lines)


def _summarise_cell(cell: CellDifference) -> Iterator[str]:
    """Yield the columns of one cell's row."""
    yield defuse_for_code(cell.pair.name)
    yield MARKS[cell.answer]
    changed = Counter(t.change for t in cell.tests if t.change != "same")
    yield ", ".join(f"{n} {change}" for change, n in changed.items()) or f"{len(cell.tests)} the same"
    changed_proofs = [f"{_escape_text(p.feature)} {p.change}" for p in cell.proofs if p.change != "same"]
    yield ", ".join(changed_proofs) or f"{len(cell.proofs)} the same"
    pair, launch = cell.answers, cell.launch
    yield f"{len(pair.lost)} of {pair.items}, p = {pair.p:.2g}" if pair else "none in both"
    yield f"{format_seconds(launch.before_s)} -> {format_seconds(launch.after_s)}" if launch else "unknown"


def render_json(found: RunComparison) -> str:
    """Render the comparison as one JSON object."""
    return json.dumps(make_json(found), indent=2, ensure_ascii=True, allow_nan=False)


def render_page(found: RunComparison) -> str:
    """Render one self-contained HTML page without a script."""
    page = make_environment().get_template("upgrade.html.j2")
    cells = [(cell, CELL_TONES[cell.answer], describe_cell(cell)) for cell in found.cells]
    return page.render(found=found, tone=TONES[found.answer], cells=cells, versions=describe_versions(found))


def _escape_text(text: str) -> str:
    return defuse_for_markdown(text, MARKDOWN_CHARS)


FORMS: Final[Mapping[str, Callable[[RunComparison], str]]] = {
    "text": render_text,
    "markdown": render_markdown,
    "json": render_json,
    "html": render_page,
}
