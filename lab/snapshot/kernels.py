"""A wheel on disk -> which GPU code its libraries carry. Each is unpacked to a temporary file: one has 1.1 GB."""

from __future__ import annotations

import hashlib
import mmap
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.snapshot.fatbin import Bytes, Code, NotReadable, codes
from matrix.errors import HostError
from matrix.preflight.kernels import KernelWheel, Library

COPY_BYTES = 2**20


def kernels_of(wheel: Path) -> KernelWheel:
    """Every library with CUDA code.

    Raises:
        HostError: no wheel, or a library whose fat binaries have another layout.
    """
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = {name: _library(archive, name) for name in archive.namelist() if _is_library(name)}
    except zipfile.BadZipFile:
        raise HostError(f"{wheel} is not a wheel: not a zip file") from None
    return KernelWheel(wheel=wheel.name, sha256=digest, libraries={k: v for k, v in found.items() if v != Library()})


def _is_library(name: str) -> bool:
    return ".so" in name.rpartition("/")[2]


def _library(archive: zipfile.ZipFile, name: str) -> Library:
    with _mapped(archive, name) as content:
        try:
            found = sorted(set(codes(content)), key=lambda code: (code.sm, code.suffix))
        except NotReadable as error:
            raise HostError(f"{name}: {error}; teach lab/snapshot/fatbin.py its layout") from None
    return Library(sass=_names(found, "sass"), ptx=_names(found, "ptx"))


def _names(found: list[Code], kind: str) -> tuple[str, ...]:
    return tuple(code.name for code in found if code.kind == kind)


@contextmanager
def _mapped(archive: zipfile.ZipFile, name: str) -> Iterator[Bytes]:
    with archive.open(name) as packed, tempfile.TemporaryFile() as file:
        shutil.copyfileobj(packed, file, COPY_BYTES)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content
