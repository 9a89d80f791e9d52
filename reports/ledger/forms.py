"""Renders the ledger of published numbers as text, Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from matrix.output.columns import format_table
from matrix.output.markdown import format_markdown_table
from matrix.wording import cut_text
from reports.evidence.defuse import defuse_for_markdown, defuse_line
from reports.evidence.types import as_json_data
from reports.ledger.entries import LedgerEntry, count_verdicts

HEAD: Final = ("published", "conditions", "ours", "ratio", "verdict", "because")
WHY_CHARS: Final = 160


def render_text(entries: Sequence[LedgerEntry]) -> str:
    """Render a summary line, then one table for each claim."""
    return "\n".join([summarise_entries(entries), *_iterate_text(entries)])


def summarise_entries(entries: Sequence[LedgerEntry]) -> str:
    """Count the published numbers by verdict."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in count_verdicts(entries))
    return f"{len(entries)} published numbers: {counts or 'none'}"


def _iterate_text(entries: Sequence[LedgerEntry]) -> Iterator[str]:
    for claim, own in _by_claim(entries):
        yield f"\n{claim}: {defuse_line(own[0].title)} ({defuse_line(own[0].source)})"
        if own[0].disputed:
            yield f"disputed: {defuse_line(own[0].disputed)}"
        yield format_table([[defuse_line(text) for text in make_columns(entry)] for entry in own], HEAD)


def render_markdown(entries: Sequence[LedgerEntry]) -> str:
    """Render a summary line, then one table for each claim."""
    lines = [f"# {summarise_entries(entries)}"]
    for claim, own in _by_claim(entries):
        lines += [
            f"\n## {_escape_text(claim)}: {_escape_text(own[0].title)}\n",
            f"Source: {_escape_text(own[0].source)}",
        ]
        lines += [f"\nDisputed: {_escape_text(own[0].disputed)}"] if own[0].disputed else []
        lines += [
            "",
            format_markdown_table(HEAD, ([*map(_escape_text, make_columns(entry))] for entry in own)).rstrip(),
        ]
    return "\n".join(lines) + "\n"


def make_columns(entry: LedgerEntry) -> tuple[str, ...]:
    """Make the columns of one number, in the order of `HEAD`."""
    value = f"{entry.value:g}{f' to {entry.high:g}' if entry.high else ''}"
    ours = f"{entry.ours.value:.4g} ({entry.ours.launches} x)" if entry.ours else "-"
    where = ", ".join(f"{name} {_format_value(given)}" for name, given in entry.conditions.items())
    ratio = f"{entry.ratio:.2f}" if entry.ratio is not None else "-"
    why = cut_text(entry.why, WHY_CHARS)
    return f"{entry.metric} {value} {entry.unit}", where, ours, ratio, entry.verdict, why


def _format_value(value: Any) -> str:
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def render_json(entries: Sequence[LedgerEntry]) -> str:
    """Render every number as JSON data."""
    return json.dumps([_make_entry(entry) for entry in entries], indent=2, allow_nan=False)


def _make_entry(entry: LedgerEntry) -> Mapping[str, Any]:
    own = {name: getattr(entry, name) for name in LedgerEntry.__dataclass_fields__ if name != "ours"}
    ours = entry.ours and {n: getattr(entry.ours, n) for n in ("cell", "value", "launches", "name")}
    made: Mapping[str, Any] = as_json_data({**own, "ours": ours, "ratio": entry.ratio})
    return made


def _by_claim(entries: Sequence[LedgerEntry]) -> Iterator[tuple[str, list[LedgerEntry]]]:
    for claim, own in groupby(entries, key=lambda entry: entry.claim):
        yield claim, list(own)


def _escape_text(text: str) -> str:
    return defuse_for_markdown(text)


FORMS: Final[Mapping[str, Callable[[Sequence[LedgerEntry]], str]]] = {
    "text": render_text,
    "markdown": render_markdown,
    "json": render_json,
}
