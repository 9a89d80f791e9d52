"""Reads large evidence for a judge of all cells: every record, without what only the page of its own cell shows.

A gate compares cells with one another, so it holds the records of all of them; of 5,000 cells they took 600 MB. Texts
of findings that are ok, and data that no comparison reads, are most of that, and a page reads them again from the file.
Whether a run is sealed is decided here, of its records as they were written: of thin ones nobody can say it any more.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from sys import intern
from typing import Any, Final, overload

from reports.evidence.attempts import order_files
from reports.evidence.by_cell import CellReader, Unstreamable
from reports.evidence.files import Seal
from reports.evidence.types import Data, Found, Launch, Measured, Proof, Record, Run

# What comparisons of cells (reports.compare) read of a finding, and of a proof. A test judges committed evidence both
# ways, so that a comparison that reads more is noticed.
FOUND: Final = frozenset({"prompt_sha256", "signature", "candidates", "tolerance", "mean_nats"})
PROVEN: Final = frozenset({"low", "high"})
SMALL: Final = 20  # entries: larger ones are hardly ever repeated, and their text would be kept beside them


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinEvidence:
    """Records of several files, in the order in which the files began, and which runs were sealed before they became
    thin."""

    records: list[Record]
    sealed: Mapping[str, bool]


def read_thin(paths: Sequence[Path]) -> ThinEvidence:
    """Read every file, with fifty whole records in memory at a time.

    Raises:
        Unstreamable: it must be read at once: damaged, retried or continued, or a run stands in two files.
        OSError: a file cannot be read.
    """
    shared, sealed = _Shared(), dict[str, bool]()
    files: list[tuple[Path, list[Record]]] = []
    for path in paths:
        with CellReader([path]) as reader:
            own, runs = _read_file(reader, shared)
            if sealed.keys() & runs.keys():
                # Files are put in order by their first records only when all were read: too late for a seal.
                raise Unstreamable("a run stands in two files")
            sealed |= runs
        files.append((path, own))
    return ThinEvidence(records=[record for _, own in order_files(files) for record in own], sealed=sealed)


def _read_file(reader: CellReader, shared: _Shared) -> tuple[list[Record], dict[str, bool]]:
    """Read a file's records, and which of its runs are sealed."""
    own, seals = list[Record](), dict[str, Seal]()
    for line, found in reader.read_lines():
        if isinstance(found, Run) and found.continues:
            # The link is the digest of the other run's whole records.
            raise Unstreamable("a run continues another")
        seals.setdefault(found.run, Seal()).add(found, line)
        own.append(shared.make_thin(found))
    runs = {run: seal.holds for run, seal in seals.items()}
    # Lines that hash otherwise may still say what was sealed: only their spelling was another writer's.
    respelled = any(seal.counts and not runs[run] for run, seal in seals.items())
    return own, _check_seals(reader) if respelled else runs


def _check_seals(reader: CellReader) -> dict[str, bool]:
    seals = dict[str, Seal]()
    for found in reader.read_all():
        seals.setdefault(found.run, Seal()).add(found)
    return {run: seal.holds for run, seal in seals.items()}


class _Shared:
    """Makes records thin, with one object for equal conditions and equal small data."""

    def __init__(self) -> None:
        self._data: dict[str, Data] = {}

    def make_thin(self, found: Record) -> Record:
        match found:
            case Found():
                _overwrite(
                    found, data=self._share({k: _pack_positions(v) for k, v in found.data.items() if k in FOUND})
                )
                # Texts of a failed check stay: a flake's clause and a run that was cut short are judged by them.
                if found.ok:
                    _overwrite(found, got="", expected="", detail="")
            case Proof():
                _overwrite(found, data=self._share({k: v for k, v in found.data.items() if k in PROVEN}))
            case Measured():
                _overwrite(found, conditions=self._share(found.conditions))
            case Launch():
                _overwrite(found, command=())
        return found

    def _share(self, data: Data) -> Data:
        # By `repr`, since 1, 1.0 and True are equal and not the same to whoever reads a condition.
        return self._data.setdefault(repr(data), data) if len(data) < SMALL and not _has_positions(data) else data


def _overwrite(found: Record, **values: Any) -> None:
    """Overwrite fields of a record that was read a moment ago and that nobody else has: a copy of each of 670,000
    records, of which the first is then thrown away, took a fifth of the reading."""
    for name, value in values.items():
        object.__setattr__(found, name, value)


def _has_positions(data: Data) -> bool:
    return any(isinstance(value, list | Positions) for value in data.values())


def _pack_positions(value: Any) -> Any:
    """Pack a list of positions; what is not one of plain floats stays as it is."""
    if not isinstance(value, list) or not all(isinstance(position, dict) for position in value):
        return value
    numbers = [logprob for position in value for logprob in position.values()]
    # Exactly floats: an engine's NaN stands here as text, and 0 is not written as 0.0.
    return Positions(value, numbers) if all(type(number) is float for number in numbers) else value


class Positions(Sequence[Mapping[str, float]]):
    """Candidates with their logprobs at each position, in a fourth of the room that a dict for each takes."""

    __slots__ = ("_ends", "_numbers", "_tokens")

    def __init__(self, positions: Sequence[Mapping[str, float]], numbers: Iterable[float]) -> None:
        self._numbers = array("d", numbers)
        # Interned: each prompt of each cell names the same few hundred tokens.
        self._tokens = tuple(intern(token) for position in positions for token in position)
        self._ends = array("I", accumulate(map(len, positions)))

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[Mapping[str, float]]:
        begin = 0
        for end in self._ends:
            yield dict(zip(self._tokens[begin:end], self._numbers[begin:end], strict=True))
            begin = end

    @overload
    def __getitem__(self, place: int) -> Mapping[str, float]: ...
    @overload
    def __getitem__(self, place: slice) -> list[Mapping[str, float]]: ...
    def __getitem__(self, place: int | slice) -> Mapping[str, float] | list[Mapping[str, float]]:
        if isinstance(place, slice):
            return [self[each] for each in range(len(self))[place]]
        end = self._ends[place]
        own = slice(self._ends[place - 1] if place % len(self) else 0, end)
        return dict(zip(self._tokens[own], self._numbers[own], strict=True))
