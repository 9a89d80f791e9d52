"""Columns of text, apart from what they show: a verb that prints a table need not import plans and provenance."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def format_table(
    rows: Sequence[Sequence[str]], header: Sequence[str], *, align: Callable[[str, int], str] = str.ljust
) -> str:
    """Format columns two spaces apart; `align=str.rjust` for numbers."""
    lines = [[*map(str, row)] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(align, row, widths)).rstrip() for row in lines)
