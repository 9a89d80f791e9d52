"""Formats the tables of every Markdown page and report: one place knows what ends a cell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def format_markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = ()
) -> str:
    """Format a table of cells that are Markdown already; the columns named in `numbers` are aligned right.

    Raises:
        ValueError: a row has another number of cells than the header. GitHub would drop or invent cells silently.
    """
    rule = ["---:" if name in numbers else "---" for name in header]
    lines = [header, rule, *rows]
    if any(len(line) != len(header) for line in lines):
        raise ValueError(f"a row has another number of cells than {', '.join(header)}")
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def escape_cell(value: object) -> str:
    """Escape plain text so that it stays in its cell.

    A `|` or a line break would end the cell. Of several `\\` before a `|` only the last would escape it, so each is
    doubled.
    """
    return re.sub(r"(\\*)\|", r"\1\1\\|", " ".join(str(value).split()))
