"""Writes the pages of a report: the cells' one after another, then the index. Nothing of a cell is held longer than its
page takes, so that thousands of cells need the memory of their rows in the index."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from matrix.errors import MatrixError
from matrix.model import Cell
from matrix.planning.plan import Plan, make_plan
from matrix.yaml.loaded import Matrix
from reports.board.text import Judging, View, sort_rows
from reports.compare.prediction import Prediction
from reports.evidence.summary import CellRow
from reports.evidence.types import Run
from reports.gate.gate import Reason, Verdict
from reports.ledger.entries import LedgerEntry
from reports.page.cell import About, render_cell, select_claims, select_runs
from reports.page.index import render_index
from reports.page.places import PagePlaces
from reports.page.replies import Replies

OURS: Final = b'<meta name="generator" content="glm-matrix">'
HEAD_BYTES: Final = 2_000


@dataclass(frozen=True, kw_only=True)
class PageSource:
    """What cells' pages are made with, beside their rows."""

    verdict: Verdict | None = None
    runs: Sequence[Run] = ()
    claims: Sequence[LedgerEntry] = ()
    evidence: Sequence[Path] = ()
    matrix: Matrix | None = None  # today's, for plans with their provenance
    cells: Mapping[str, Cell] = field(default_factory=dict)  # of today's matrix

    @cached_property
    def reasons(self) -> Mapping[str, Sequence[Reason]]:
        found: dict[str, list[Reason]] = {}
        for each in self.verdict.reasons if self.verdict else ():
            found.setdefault(each.cell, []).append(each)
        return found

    @cached_property
    def predictions(self) -> Mapping[str, Sequence[Prediction]]:
        found: dict[str, list[Prediction]] = {}
        for each in self.verdict.predictions if self.verdict else ():
            found.setdefault(each.cell, []).append(each)
        return found

    def find_plan(self, cell: str) -> Plan | None:
        """Make today's plan of a cell; None where today's matrix has no such cell, or cannot plan it."""
        if self.matrix is None or cell not in self.cells:
            return None
        try:
            return make_plan(self.matrix, self.cells[cell])
        except MatrixError:
            return None


def write_pages(shown: View, index: Path, source: PageSource) -> None:
    """Write the index and the page of every cell of the view.

    Raises:
        OSError: a file cannot be written.
    """
    places = PagePlaces(index)
    ordered = [row.cell for row in sort_rows(shown.board.rows)]
    written = set(write_cells(shown.board.rows, ordered, places, source))
    write_index(shown, places)
    remove_others(places, written)


def write_cells(
    rows: Iterable[CellRow], ordered: Sequence[str], places: PagePlaces, source: PageSource
) -> Iterator[Path]:
    """Write the page of each row, and yield its place. `ordered` are all cells as the index lists them."""
    places.folder.mkdir(parents=True, exist_ok=True)
    for row, page in iterate_cells(rows, ordered, places, source):
        path = places.path(row.cell)
        path.write_bytes(page.encode("utf-8", "replace"))  # model output may hold lone surrogates
        yield path


def iterate_cells(
    rows: Iterable[CellRow], ordered: Sequence[str], places: PagePlaces, source: PageSource
) -> Iterator[tuple[CellRow, str]]:
    """Render the page of each row."""
    judging, replies = Judging(source.verdict), Replies.beside(source.evidence)
    runs = {run.run: run for run in source.runs}
    beside = dict(zip(ordered, zip(("", *ordered), (*ordered[1:], ""), strict=False), strict=True))
    for row in rows:
        before, after = beside.get(row.cell, ("", ""))
        about = About(
            judgement=judging.judge_row(row),
            places=places,
            reasons=source.reasons.get(row.cell, ()),
            predictions=source.predictions.get(row.cell, ()),
            runs=select_runs(row, runs),
            claims=select_claims(row.cell, source.claims),
            plan=source.find_plan(row.cell),
            before=before,
            after=after,
            judged=row.cell in judging.required,
            replies=replies,
            evidence=source.evidence,
        )
        yield row, render_cell(row, about)


def write_index(shown: View, places: PagePlaces) -> None:
    """Write the first page."""
    places.index.parent.mkdir(parents=True, exist_ok=True)
    draft = places.index.with_name(f".{places.index.name}.{os.getpid()}.draft")
    draft.write_text(render_index(shown, places), encoding="utf-8", errors="replace")
    draft.replace(places.index)


def render_all(shown: View, source: PageSource | None = None) -> Mapping[Path, str]:
    """Render every page, by its place relative to the index, without writing any."""
    places = PagePlaces(Path("index.html"))
    ordered = [row.cell for row in sort_rows(shown.board.rows)]
    found = iterate_cells(shown.board.rows, ordered, places, source or PageSource(verdict=shown.verdict))
    cells = {places.path(row.cell): page for row, page in found}
    return {places.index: render_index(shown, places), **cells}


def remove_others(places: PagePlaces, written: set[Path]) -> None:
    """Remove pages that an earlier report left in the folder; what is no page of ours stays."""
    for path in places.folder.glob("*.html"):
        if path not in written and _is_ours(path):
            path.unlink()


def _is_ours(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return OURS in file.read(HEAD_BYTES)
    return False
