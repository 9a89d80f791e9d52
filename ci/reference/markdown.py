"""Formats the small part of Markdown that the reference pages use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from matrix.output.markdown import escape_cell, format_markdown_table


def format_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format a table whose cells are plain text or spans of `format_code`."""
    return format_markdown_table(header, ([escape_cell(cell) for cell in row] for row in rows))


def format_code(text: object) -> str:
    """Format a code span; its fence is longer than any run of backticks inside."""
    inner = " ".join(str(text).split())
    fence = "`" * (max((len(run) for run in re.findall("`+", inner)), default=0) + 1)
    pad = " " if inner.startswith("`") or inner.endswith("`") else ""
    return f"{fence}{pad}{inner}{pad}{fence}" if inner else ""


def format_block(text: str, language: str = "text") -> str:
    """Format a block; its fence is longer than any that stands inside."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"
