"""Reads the layout of a registry: an archive of evidence, and beside it a folder of the same name with certificates.

REGISTRY/NAME.tar.xz
REGISTRY/NAME/CELL.intoto.json
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from matrix.errors import ConfigError, Problem
from reports.certify.command import SUFFIX as CERTIFICATE
from reports.certify.verify import Certificate, read_certificate
from reports.evidence.archive import NAME, SUFFIX

MOST: Final = 10_000  # certificates of one entry


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryEntry:
    """One archive of evidence with its certificates. `problems`: files that are none."""

    archive: Path
    certificates: tuple[Certificate, ...]
    problems: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.archive.name.removesuffix(SUFFIX)

    @property
    def folder(self) -> Path:
        return self.archive.with_name(self.name)


def read_registry(registry: Path) -> list[RegistryEntry]:
    """Read every entry, by name. A certificate that cannot be read is among its entry's problems.

    Raises:
        ConfigError: it is no folder, or holds no entry.
    """
    if not registry.is_dir():
        raise ConfigError([Problem(str(registry), 0, "", "no such folder; `glm-matrix registry add` makes one")])
    names = {p.name.removesuffix(SUFFIX) for p in registry.glob(f"*{SUFFIX}")}
    # Folders, too: certificates whose archive was taken away must be refused, not overlooked.
    names |= {p.parent.name for p in registry.glob(f"*/*{CERTIFICATE}")}
    if not names:
        raise ConfigError(
            [Problem(str(registry), 0, "", f"it holds no certificate (NAME{SUFFIX}, NAME/*{CERTIFICATE})")]
        )
    return [_read_entry(registry, name) for name in sorted(names)]


def list_valid(entries: Sequence[RegistryEntry], today: date) -> list[Certificate]:
    """List the certificates that have not expired, one for each cell: the one that was issued last."""
    found: dict[str, Certificate] = {}
    # By date of issue, and by path within a day, so that every machine takes the same one.
    for certificate in sorted((c for e in entries for c in e.certificates), key=lambda c: (c.issued, str(c.path))):
        if certificate.issued <= today <= certificate.expires:
            found[certificate.cell] = certificate
    return list(found.values())


def _read_entry(registry: Path, name: str) -> RegistryEntry:
    certificates: list[Certificate] = []
    problems = [] if NAME.fullmatch(name) else [f"{name!r:.80} is no name of an entry"]
    paths = sorted((registry / name).glob(f"*{CERTIFICATE}"))
    if len(paths) > MOST:
        problems.append(f"{len(paths)} certificates are more than the {MOST} that are read of an entry")
    for path in paths[:MOST]:
        try:
            certificates.append(read_certificate(path))
        except ConfigError as error:
            problems.append(str(error.problems[0]))  # told of its entry: one bad file ends no check of the others
    return RegistryEntry(
        archive=registry / f"{name}{SUFFIX}", certificates=tuple(certificates), problems=tuple(problems)
    )
