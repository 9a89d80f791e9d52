"""Formats the small part of Markdown that the reference pages use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def format_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format a table. A `|` or a line break inside a cell would end the cell, so both are escaped; of a `\\` before a
    `|` only the last would, so those are doubled."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(_escape_cell(c) for c in line)} |\n" for line in lines)


def _escape_cell(value: object) -> str:
    return re.sub(r"(\\*)\|", r"\1\1\\|", " ".join(str(value).split()))


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
