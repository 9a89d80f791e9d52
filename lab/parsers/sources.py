"""A release's Python text on disk where its package on the index has no code: from its source, held against digests.

Nothing of another repository is kept here, only where each file was and its digest. Files are fetched when they are
asked for, or read from a checkout at hand; one that differs by a byte is refused.
"""

from __future__ import annotations

import base64
import hashlib
import re
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.parsers.release import Unpacked
from lab.snapshot.wheel import REQUIREMENTS, list_lines
from matrix.errors import HostError
from matrix.parsers.sources import PinnedSource

TIMEOUT_S: Final = 60


@dataclass(frozen=True)
class _Origin:
    """Where files come from: a folder, or the address of the pinned commit."""

    name: str
    read: Callable[[str], bytes]


def unpack_source(source: PinnedSource, version: str, root: Path, checkout: Path | None = None) -> Unpacked:
    """Write the pinned files below `root`, from a checkout or fetched from the pinned commit.

    Raises:
        HostError: a file is missing or differs from its digest, or the files are those of another release.
    """
    origin = _open_checkout(checkout) if checkout else _Origin(source.base, lambda path: _fetch(source.base + path))
    files = {path: _hold_digest(path, origin.read(path), digest, origin.name) for path, digest in source.files.items()}
    _hold_version(version, source.version_file, files)
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text)
    requires = list_lines(files.get(REQUIREMENTS, b"").decode("utf-8"))
    return Unpacked(root, source.origin, _digest_of(source.files), _as_record(source.files), tuple(requires))


def _open_checkout(folder: Path) -> _Origin:
    def read(path: str) -> bytes:
        try:
            return (folder / path).read_bytes()
        except OSError as error:
            raise HostError(f"{folder} has no {path}: expected a checkout of the pinned commit") from error

    return _Origin(str(folder), read)


def _fetch(address: str) -> bytes:
    if not address.startswith("https://"):
        raise HostError(f"expected an https address, got {address}")
    try:
        with urllib.request.build_opener().open(address, timeout=TIMEOUT_S) as reply:
            text: bytes = reply.read()
    except OSError as error:
        raise HostError(f"{address} cannot be fetched: {error}; give a checkout of it by --wheel") from error
    return text


def _hold_digest(path: str, text: bytes, digest: str, where: str) -> bytes:
    found = hashlib.sha256(text).hexdigest()
    if found != digest:
        raise HostError(f"{path} of {where} has sha256 {found[:12]}, and sources.yaml pins {digest[:12]}")
    return text


def _hold_version(version: str, path: str, files: Mapping[str, bytes]) -> None:
    """Compare the files' own version with the one that was asked for: a commit has no name that proves a release."""
    found = re.search(rb'^__version__ = "([^"]+)"', files.get(path, b""), re.MULTILINE)
    if found is None or found[1].decode() != version:
        own = found[1].decode() if found else "nothing"
        raise HostError(f"{path} says {own}, and {version} was asked for")


def _digest_of(files: Mapping[str, str]) -> str:
    """Return one digest of all files: name and digest of each, in order."""
    return hashlib.sha256("".join(f"{path} {digest}\n" for path, digest in sorted(files.items())).encode()).hexdigest()


def _as_record(files: Mapping[str, str]) -> dict[str, str]:
    """Return the digests as a wheel's RECORD writes them, against which what ran is held."""
    return {
        path: "sha256=" + base64.urlsafe_b64encode(bytes.fromhex(digest)).rstrip(b"=").decode()
        for path, digest in files.items()
    }
