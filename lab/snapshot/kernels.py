"""List the GPU code in the libraries of a wheel. Each library is unpacked to a temporary file: one has 1.1 GB."""

from __future__ import annotations

import hashlib
import mmap
import re
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from lab.snapshot.fatbin import Bytes, CompiledCode, NotReadable, list_codes
from matrix.errors import HostError
from matrix.fat_binaries import Library
from matrix.preflight.kernels import KernelWheel

COPY_BYTES = 2**20
SOURCES = {".cu", ".cuh", ".jinja", ".py"}
VENDORED = {"cutlass", "cute", "cccl", "spdlog"}
LIBRARY = re.compile(r"\.so(\.\d+)*$")  # not cccl's algorithm.sort_heap.h
GENERATED = re.compile(r".{49}|_[0-9a-f]{12,}")  # a parameter list or a digest in the name
NAMED_GPU = re.compile(r"(?<![a-z0-9])sm_?(\d{2,3})[af]?(?![0-9])")
ONLY_GPU = re.compile(r"sm_?\d{2,3}[af]?")
CUBIN = re.compile(r"(?i)sm_?\d{2,3}[af]?")


def kernels_of(wheel: Path) -> KernelWheel:
    """Return every library with CUDA code.

    Raises:
        HostError: no wheel, or a library whose fat binaries have another layout.
    """
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            found = {name: _read_library(archive, name) for name in names if _is_library(name)}
    except zipfile.BadZipFile:
        raise HostError(f"{wheel} is not a wheel: not a zip file") from None
    # host code only: hundreds of libraries, about which a GPU has nothing to say
    libraries = {path: library for path, library in found.items() if library != Library()}
    sources, cubins = _sources(names), Counter(sm for name in names if (sm := _cubin(name)))
    return KernelWheel(wheel=wheel.name, sha256=digest, libraries=libraries, sources=sources, cubins=cubins)


def _sources(names: list[str]) -> dict[str, tuple[str, ...]]:
    """Return GPU -> its kernel sources: a folder (`sparse_mla_sm120/`), or the file itself.

    CUTLASS's headers, which packages carry along, and generated instances are left out.
    """
    found: dict[str, set[str]] = {}
    for name in names:
        path = PurePosixPath(name)
        if path.suffix in SOURCES and not VENDORED.intersection(path.parts) and not GENERATED.search(path.stem):
            for part in (*path.parts[:-1], path.stem):
                for number in NAMED_GPU.findall(part):
                    # a folder that is called sm120 alone says nothing: its files are the names
                    found.setdefault(f"sm{number}", set()).add(path.stem if ONLY_GPU.fullmatch(part) else part)
    return {sm: tuple(sorted(stems)) for sm, stems in sorted(found.items())}


def _cubin(name: str) -> str:
    """Return the GPU of a file of ready machine code, from its name: `..._sm100f.cubin`."""
    found = CUBIN.search(name) if name.endswith(".cubin") else None
    return found[0].lower().replace("_", "") if found else ""


def _is_library(name: str) -> bool:
    return LIBRARY.search(name) is not None


def _read_library(archive: zipfile.ZipFile, name: str) -> Library:
    with _map_member(archive, name) as content:
        try:
            found = sorted(set(list_codes(content)), key=lambda code: (code.sm, code.suffix))
        except NotReadable as error:
            raise HostError(f"{name}: {error}; teach lab/snapshot/fatbin.py its layout") from None
    return Library(sass=_list_names(found, "sass"), ptx=_list_names(found, "ptx"))


def _list_names(found: list[CompiledCode], kind: str) -> tuple[str, ...]:
    return tuple(code.name for code in found if code.kind == kind)


@contextmanager
def _map_member(archive: zipfile.ZipFile, name: str) -> Iterator[Bytes]:
    with archive.open(name) as packed, tempfile.TemporaryFile() as file:
        shutil.copyfileobj(packed, file, COPY_BYTES)
        file.flush()
        # mapped: the reader jumps from header to header, and a gigabyte need not be in memory
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content
