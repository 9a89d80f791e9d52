"""A release's Python text on disk: from its wheel, and held against the wheel's own RECORD."""

from __future__ import annotations

import base64
import csv
import hashlib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from matrix.errors import HostError


@dataclass(frozen=True)
class Unpacked:
    """The Python members of one wheel, unpacked below `root`."""

    root: Path
    wheel: str
    sha256: str
    record: dict[str, str]  # member to digest, as RECORD writes it
    requires: tuple[str, ...]


def unpack_wheel(wheel: Path, root: Path) -> Unpacked:
    """Unpack the `.py` members; their digests stand in RECORD, which pip has checked together with the wheel."""
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".py")]
        archive.extractall(root, names)
        # wheels may carry other packages' metadata inside; RECORD at the end of the name is the wheel's own
        info = next(name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
        rows = csv.reader(archive.read(info).decode("utf-8").splitlines())
        metadata = archive.read(info.replace("RECORD", "METADATA")).decode("utf-8", "replace")
    requires = tuple(line.partition(": ")[2] for line in metadata.splitlines() if line.startswith("Requires-Dist: "))
    return Unpacked(root, wheel.name, digest, {row[0]: row[1] for row in rows if row}, requires)


def verify_modules(unpacked: Unpacked, files: Iterable[str]) -> int:
    """Count the files that ran and are byte for byte those of RECORD.

    Raises:
        HostError: a file differs from RECORD, or RECORD has none of that name.
    """
    # afterwards, and of what ran: a module that was shadowed by another file would have answered in its name
    members = [Path(file).relative_to(unpacked.root).as_posix() for file in files]
    for member in members:
        digest = hashlib.sha256((unpacked.root / member).read_bytes()).digest()
        found = "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if unpacked.record.get(member) != found:
            raise HostError(f"{member} is not the file that RECORD of {unpacked.wheel} names")
    return len(members)


def pins_of(unpacked: Unpacked, names: Iterable[str]) -> list[str]:
    """Return the release's own requirement for each of the named packages, or the bare name where it has none."""
    own: dict[str, str] = {}
    for text in unpacked.requires:
        requirement = Requirement(text)
        # the plain install: an extra's pin would bring versions that a server does not run with
        if "extra" not in str(requirement.marker or "") and (not requirement.marker or requirement.marker.evaluate()):
            own[requirement.name.lower().replace("_", "-")] = f"{requirement.name}{requirement.specifier}"
    return [own.get(name, name) for name in names]
