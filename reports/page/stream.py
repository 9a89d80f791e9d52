"""Writes the pages of large evidence while it is read, cell by cell, and makes the view that the other reports show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from matrix.model import Cell, Excluded
from matrix.planning.by_id import list_runnable_matching
from matrix.yaml.loaded import Matrix
from reports.board.text import View, make_view, sort_rows
from reports.evidence.by_cell import CellReader
from reports.evidence.rows import iterate_rows, make_thin
from reports.evidence.summary import CellRow, make_board
from reports.evidence.types import Launch, Measured, Proof, Record
from reports.expected import ExpectedCell
from reports.gate.gate import Verdict
from reports.ledger.entries import LedgerEntry, list_claimable, list_entries
from reports.page.places import PagePlaces
from reports.page.write import PageSource, remove_others, write_cells, write_index


def stream_pages(
    paths: Sequence[Path],
    index: Path,
    matrix: Matrix,
    list_excluded: Callable[[Sequence[CellRow]], Mapping[Cell, Excluded]],
    *,
    verdict: Verdict | None = None,
    expected: Sequence[ExpectedCell] = (),
) -> View:
    """Write every page, with the verdict about the `expected` cells where a policy has judged them.

    Raises:
        Unstreamable: it must be read at once; the pages that were written so far are incomplete.
        OSError: a file cannot be read or written.
    """
    facts, owed = ({c.id: getattr(c, name) for c in expected} for name in ("facts", "owed"))
    with CellReader(paths) as reader:
        claims = _judge_claims(reader, matrix)
        board = make_board([r for r in reader.shared if not isinstance(r, Launch)])
        listed = [row.cell for row in verdict.board.rows] if verdict else reader.cells  # those without evidence, too
        # No others are planned: all of them took as long as the pages of 300 cells.
        cells = {c.id: c for c in list_runnable_matching(matrix, listed)}
        source = PageSource(verdict=verdict, runs=board.runs, claims=claims, evidence=paths, matrix=matrix, cells=cells)
        places, rows = PagePlaces(index), list[CellRow]()
        found = iterate_rows(reader, listed, facts, owed)
        ordered = [row.cell for row in sort_rows(verdict.board.rows)] if verdict else sorted(listed)
        written = set(write_cells(_keep_thin(found, rows.append), ordered, places, source))
    shown = make_view(replace(board, rows=tuple(rows)), verdict, list_excluded(rows), claims)
    write_index(shown, places)
    remove_others(places, written)
    return shown


def _keep_thin(rows: Iterator[CellRow], keep: Callable[[CellRow], None]) -> Iterator[CellRow]:
    for row in rows:
        yield row
        keep(make_thin(row))


def _judge_claims(reader: CellReader, matrix: Matrix) -> tuple[LedgerEntry, ...]:
    """Judge the published numbers by the cells that somebody claims something of."""
    claimable, listed = list_claimable(matrix), frozenset(reader.cells)
    launches: list[Record] = [r for r in reader.shared if isinstance(r, Launch)]
    claimed = [cell.id for cell in claimable if cell.id in listed]
    own = [r for cell in claimed for r in reader.read_cell(cell) if isinstance(r, Measured | Proof)]
    return list_entries(matrix, claimable, [*launches, *own])
