"""Derives every certificate of a registry again: from its evidence, whose kept replies are judged again first.

A certificate stands where the same statement comes out and nothing that its cell said is contradicted or cannot be
judged again. None of it needs a GPU, an engine or the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from matrix.errors import ConfigError, MatrixError
from reports.certify.statement import Statements
from reports.certify.verify import Certificate, compare_statement
from reports.evidence.archive import unpack_evidence
from reports.evidence.files import read_records
from reports.registry.entries import RegistryEntry
from reports.replay.differences import Replayed
from reports.replay.run import replay_evidence

SHOWN: Final = 3  # of one certificate's problems
Replay = Callable[[Sequence[Path]], Replayed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One certificate, or an entry as a whole (`cell` is empty), with why it does not stand."""

    place: str
    cell: str
    problems: tuple[str, ...] = ()
    expired: bool = False  # it stands, and speaks for nothing any more


def check_entry(entry: RegistryEntry, today: date, replay: Replay = replay_evidence) -> Iterator[Checked]:
    """Check each certificate of an entry, and the entry as a whole."""
    whole = [*entry.problems]  # of the entry: told under its name, and not once for each certificate
    if not entry.certificates:
        whole.append("it has no certificate")
    with TemporaryDirectory(prefix="glm-registry-") as folder:
        try:
            path = unpack_evidence(entry.archive, Path(folder))
            statements, replayed = Statements(read_records(path)), replay([path])
        except MatrixError as error:
            yield Checked(place=entry.name, cell="", problems=(*whole, _first_line(error)))
            return
    if whole:
        yield Checked(place=entry.name, cell="", problems=tuple(whole))
    for certificate in entry.certificates:
        problems = list(find_disagreements(certificate.cell, replayed))
        problems += compare_statement(certificate, statements.find)
        # The dates are the one part of a statement that evidence cannot derive, so they are held against each other.
        if certificate.issued > today:
            problems.append(f"it was issued in the future, on {certificate.issued}")
        if certificate.ran and certificate.ran > certificate.issued:
            problems.append(f"it was issued on {certificate.issued}, before its run of {certificate.ran} had ended")
        more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        yield Checked(
            place=_name_certificate(entry, certificate),
            cell=certificate.cell,
            problems=(*problems[:SHOWN], *more),
            expired=certificate.expires < today,  # no problem: a registry is history, too (decision 58)
        )


def find_disagreements(cell: str, replayed: Replayed) -> Iterator[str]:
    """Yield what a cell's evidence says and its replies do not, and what cannot be judged again."""
    yield from (str(d) for d in replayed.disagreements if d.cell == cell)
    yield from (str(u) for u in replayed.unreplayable if u.cell == cell)
    yield from [replayed.skipped] if replayed.skipped else []


def _name_certificate(entry: RegistryEntry, certificate: Certificate) -> str:
    return f"{entry.name}/{certificate.path.name}"


def _first_line(error: MatrixError) -> str:
    return str(error.problems[0]) if isinstance(error, ConfigError) else str(error).splitlines()[0]
