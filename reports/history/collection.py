"""Adds evidence to a directory: packed, under a name of its run and content, and only if every run in it is sealed.

A run that was cut short is taken together with the run that continues it (`pytest --continue`).
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from matrix.errors import ConfigError, HostError, Problem
from reports.evidence.continuations import Continuations, link_continuations
from reports.evidence.files import GZIP
from reports.evidence.given import unpack_archive
from reports.evidence.sealed import SealedRuns, read_sealed

LEVEL = 6
DIGITS = 12


def add_files(folder: Path, paths: Iterable[Path]) -> list[Path]:
    """Copy evidence files, also those of archives, into a directory and return the new files; what is there already is
    not copied again.

    Raises:
        ConfigError: a file is no evidence, or holds a run that is not sealed and that no given run continues; names
            each.
        HostError: the directory cannot be written to.
    """
    with ExitStack() as stack:
        return _add_unpacked(folder, [unpack_archive(path, stack) for path in paths])


def _add_unpacked(folder: Path, given: Sequence[Path]) -> list[Path]:
    files = {path: read_sealed(path) for path in given}
    links = link_continuations(r for found in files.values() for own in found.runs.values() for r in own)
    problems = [p for path, found in files.items() for p in _find_unsealed(path, found, links)]
    if problems:
        raise ConfigError(problems)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [target for path in given if (target := _copy_file(folder, path, next(iter(files[path].runs))))]
    except OSError as error:
        raise HostError(f"{folder}: evidence cannot be added: {error.strerror or error}") from error


def _find_unsealed(path: Path, found: SealedRuns, links: Continuations) -> list[Problem]:
    if not found.runs:
        return [Problem(str(path), 0, "", "it holds no run")]
    why = "is not sealed (it has no end, or was changed since), and a history takes sealed runs only"
    rest = "; give the run that continues it (--continue), too, if there is one"
    return [
        Problem(
            str(path),
            0,
            "",
            f"run {run} {why}; {links.doubted[run]}" if run in links.doubted else f"run {run} {why}{rest}",
        )
        for run in found.runs
        if run not in found.sealed and run not in links.continued
    ]


def _copy_file(folder: Path, path: Path, run: str) -> Path | None:
    """Write the packed file, called after its first run, beside its place, and rename it: a crash leaves no half."""
    plain = gzip.decompress(path.read_bytes()) if path.suffix == GZIP else path.read_bytes()
    name = "".join(char if char.isalnum() or char in "._-" else "_" for char in run)
    target = folder / f"{name}.{hashlib.sha256(plain).hexdigest()[:DIGITS]}.jsonl{GZIP}"
    if target.exists():
        return None
    draft = folder / f".{target.name}.{os.getpid()}.draft"
    try:
        draft.write_bytes(gzip.compress(plain, LEVEL, mtime=0))  # no time in it: equal evidence, equal bytes
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target
