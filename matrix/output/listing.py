"""`list` for a terminal: cells with a short launch and numbers of known failures, which a legend names once."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from matrix.model import Cell, Excluded

WIDTH: Final = 100  # columns
CELL_CHARS: Final = 70  # of a cell's id; a longer one has a line of its own
WHO_CHARS: Final = 9  # published
LAUNCH_CHARS: Final = 6  # of a fingerprint; `--wide` shows all of it


class ListedRow(NamedTuple):
    """One runnable cell. `who`: ran, published or derived; empty where nobody is known to have run it."""

    cell: str
    launch: str  # fingerprint
    who: str
    known: Sequence[str]  # ids of known failures


def render_cells(rows: Sequence[ListedRow]) -> str:
    """Render the table of cells and the legend of its numbers."""
    numbers = {name: n for n, name in enumerate(sorted({k for row in rows for k in row.known}), 1)}
    shown = [[r.cell, r.launch[:LAUNCH_CHARS], r.who, _join_runs(numbers[k] for k in r.known)] for r in rows]
    text = "\n".join(map(_format_row, [["cell", "launch", "who", "known"], *shown]))
    return f"{text}\n\n{_render_legend(numbers)}" if numbers else text


def _join_runs(numbers: Iterable[int]) -> str:
    """Join numbers in order, three or more in a row by their ends: 3-7,13,14."""
    runs: list[list[int]] = []
    for n in sorted(numbers):
        if runs and runs[-1][-1] == n - 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return ",".join(f"{r[0]}-{r[-1]}" if len(r) > 2 else ",".join(map(str, r)) for r in runs)


def _format_row(words: Sequence[str]) -> str:
    """Format a row; what follows a cell that is too long, and numbers that do not fit, stand on the next line."""
    cell, launch, who, known = words
    head = f"{launch:{LAUNCH_CHARS}}  {who:{WHO_CHARS}}  "
    place = CELL_CHARS + 2 + len(head)
    first, *more = textwrap.wrap(known.replace(",", ", "), WIDTH - place) or [""]
    columns = f"{head}{first}".rstrip().replace(", ", ",")
    begin = f"{cell:{CELL_CHARS}}" if len(cell) <= CELL_CHARS else f"{cell}\n{'':{CELL_CHARS}}"
    return "\n".join([f"{begin}  {columns}", *(f"{'':{place}}{line.replace(', ', ',')}" for line in more)])


def _render_legend(numbers: Mapping[str, int]) -> str:
    lines = [f"  {number:>3} {name}" for name, number in numbers.items()]
    return "\n".join(["known failures (`glm-matrix why ID` says more):", *lines])


def render_excluded(excluded: Sequence[tuple[Cell, Excluded]]) -> str:
    """Group combinations that are not run by the reason that they share."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for cell, why in excluded:
        groups.setdefault((why.rule, why.status, why.reason), []).append(cell.id)
    parts = []
    for (rule, status, reason), cells in groups.items():
        head = textwrap.fill(f"# {status} {rule}: {reason}", WIDTH, subsequent_indent="# ", break_on_hyphens=False)
        parts.append("\n".join([head, *cells]))
    return "\n\n".join(parts)
