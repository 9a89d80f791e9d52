"""Reads what certificates are made from, cell by cell: to write one at a time, all records of 5,000 cells were held."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path

from reports.certify.statement import CellEvidence, NotCertifiable
from reports.evidence import kept
from reports.evidence.by_cell import CellReader, Unstreamable
from reports.evidence.files import Seal, format_line
from reports.evidence.rows import iterate_rows
from reports.evidence.types import CellFacts, End, Kept, Record, Run, dump_record


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
            # A cell that is only expected has no facts; `list_cells` leaves it out, too, where all is read at once.
            if any(isinstance(r, CellFacts) for r in own):
                yield CellEvidence(row=row, own=own, runs=runs, unsealed=unsealed)


def find_cell(paths: Sequence[Path], cell: str) -> CellEvidence:
    """Find what a statement of the cell is made from, with no more than one cell in memory.

    Raises:
        NotCertifiable: there is none.
        Unstreamable, OSError: see `stream_cells`.
    """
    found = next(stream_cells(paths, escape(cell)), None)
    if found is None:
        raise NotCertifiable(f"there is no evidence of {cell}")
    return found


def cut_out_cell(paths: Sequence[Path], cell: str, folder: Path) -> list[Path]:
    """Write the evidence of one cell alone, with its kept replies, for a replay that then reads no other's.

    A replay has the same selection of cells as in the whole file, so that the cell owes what it owed there. No seal
    fits the part; whoever needs one checks the whole (`stream_cells`).

    Raises:
        Unstreamable, OSError: see `stream_cells`, or the folder cannot be written.
    """
    made: list[Path] = []
    for number, path in enumerate(paths):
        with CellReader([path]) as reader:
            own = list(reader.read_original(cell)) if cell in reader.cells else []
            around = [r for r in reader.read_all() if isinstance(r, Run | End)]
        if own:
            made.append(folder / f"{number}.jsonl")
            made[-1].write_bytes(b"".join(format_line(dump_record(r)) for r in (*around, *own)))
            _copy_kept(own, kept.folder_of(path), kept.folder_of(made[-1]))
    return made


def _copy_kept(records: Sequence[Record], source: Path, target: Path) -> None:
    """Copy the files of kept replies. One that is missing is told by the replay, as it would be of the whole."""
    target.mkdir()
    for name in {f"{r.sha256}{kept.SUFFIX}" for r in records if isinstance(r, Kept) and r.sha256}:
        if kept.is_kept_file(source / name) and (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _check_seals(reader: CellReader) -> tuple[dict[str, Run], set[str]]:
    """Read everything once: the runs, and the names of those that are not sealed."""
    seals, runs = dict[str, Seal](), dict[str, Run]()
    for found in reader.read_all():
        if isinstance(found, Run):
            runs[found.run] = found
            # The link is a digest of the other run's records, all of which would have to be held.
            if found.continues:
                raise Unstreamable("a run continues another")
        seals.setdefault(found.run, Seal()).add(found)
    return runs, {run for run, seal in seals.items() if not seal.holds}
