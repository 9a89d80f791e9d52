"""Finds the evidence of a registry that a word names: an entry, or a release that its certificates are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from matrix.errors import ConfigError, Problem, suggest_nearest
from reports.evidence.archive import unpack_evidence
from reports.evidence.attempts import order_files
from reports.evidence.files import read_records
from reports.evidence.types import Record
from reports.registry.entries import RegistryEntry, read_registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Both sides of a comparison. `maps`: the releases that stand for each other."""

    old: list[Record]
    new: list[Record]
    maps: tuple[str, ...] = ()


def read_certified_evidence(registry: Path, old: str, new: str) -> Sides:
    """Read the evidence of two entries, or of two releases.

    Raises:
        ConfigError: the registry holds neither an entry nor a release of a name; names the nearest.
    """
    entries = read_registry(registry)
    releases = {r for e in entries for r in _releases_of(e)}
    known = {*releases, *(e.name for e in entries)}
    problems = [
        Problem("--registry", 0, "", f"{registry} holds no entry or release {word!r}{suggest_nearest(word, known)}")
        for word in dict.fromkeys((old, new))
        if word not in known
    ]
    if problems:
        raise ConfigError(problems)
    # Entries are runs, whose cells are paired by their own names; only two releases stand for each other.
    maps = (f"{old}={new}",) if old != new and {old, new} <= releases else ()
    return Sides(old=_read_side(entries, old), new=_read_side(entries, new), maps=maps)


def _releases_of(entry: RegistryEntry) -> set[str]:
    return {str(c.part("facts").get("release")) for c in entry.certificates} - {"None"}


def _read_side(entries: Sequence[RegistryEntry], word: str) -> list[Record]:
    """Read the entries of a name, or with a certificate of a release. Whole: a run's seal covers all its records."""
    files = []
    # An entry that is both, called after a release that it certifies, is read once.
    for entry in entries:
        if word == entry.name or word in _releases_of(entry):
            with TemporaryDirectory(prefix="glm-registry-") as folder:
                path = unpack_evidence(entry.archive, Path(folder))
                files.append((path, read_records(path)))
    return [record for _, own in order_files(files) for record in own]
