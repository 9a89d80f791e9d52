"""Reads what certificates are made from, cell by cell: to write one at a time, all records of 5,000 cells were held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from reports.certify.statement import CellEvidence
from reports.evidence.by_cell import CellReader, Unstreamable
from reports.evidence.files import Seal
from reports.evidence.rows import iterate_rows
from reports.evidence.types import CellFacts, Run


def stream_cells(paths: Sequence[Path], glob: str) -> Iterator[CellEvidence]:
    """Yield the evidence of each cell that has facts and whose id fits, as `Statements` would use it.

    Raises:
        Unstreamable: it must be read at once: damaged, retried or continued, where one run speaks for another.
        OSError: a file cannot be read.
    """
    with CellReader(paths) as reader:
        runs, unsealed = _check_seals(reader)
        for row in iterate_rows(reader, [cell for cell in reader.cells if fnmatchcase(cell, glob)]):
            own = list(reader.read_original(row.cell))
            if any(isinstance(r, CellFacts) for r in own):
                yield CellEvidence(row=row, own=own, runs=runs, unsealed=unsealed)


def _check_seals(reader: CellReader) -> tuple[dict[str, Run], set[str]]:
    """Read everything once: the runs, and the names of those that are not sealed."""
    seals, runs = dict[str, Seal](), dict[str, Run]()
    for found in reader.read_all():
        if isinstance(found, Run):
            runs[found.run] = found
            if found.continues:
                raise Unstreamable("a run continues another")
        seals.setdefault(found.run, Seal()).add(found)
    return runs, {run for run, seal in seals.items() if not seal.holds}
