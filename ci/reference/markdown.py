"""Formats the small part of Markdown that the reference pages use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def format_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format a table. A `|` or a line break inside a cell would end the cell, so both are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(_escape_cell(c) for c in line)} |\n" for line in lines)


def _escape_cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())


def format_code(text: object) -> str:
    return f"`{text}`" if str(text) else ""


def format_block(text: str, language: str = "text") -> str:
    return f"```{language}\n{text.rstrip()}\n```\n"
