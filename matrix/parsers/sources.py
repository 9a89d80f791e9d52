"""Releases whose package on the index has no code: where the files of their parsers are, and what decides it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from matrix.yaml.structure import require_entries

SOURCES: Final = Path(__file__).with_name("sources.yaml")


@dataclass(frozen=True)
class PinnedSource:
    """The files of one release at one commit of a public repository."""

    release: str
    base: str  # address of the commit's folder; a file's path follows
    origin: str  # repository, commit and folder, in words
    decides: str  # why these are the files of that release
    version_file: str
    files: Mapping[str, str]  # path to sha256


@cache
def load_sources(path: Path = SOURCES) -> dict[str, PinnedSource]:
    """Read sources.yaml: release id to its files."""
    keys = ("release", "base", "origin", "decides", "version_file", "files")
    entries = require_entries(path, {"sources": keys})["sources"]
    return {entry["release"]: PinnedSource(**{key: entry[key] for key in keys}) for entry in entries}
