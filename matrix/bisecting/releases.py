"""The releases between a good and a bad one, in the order in which they are searched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from packaging.version import InvalidVersion, Version

from matrix.checking.releases import TITLES, AskedRelease, list_versions, parse_release
from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.model import Cell
from matrix.preflight.snapshot import release_id
from matrix.upgrading.of_cells import move_cell
from matrix.yaml.loaded import Matrix

RANGE: Final = "--good, --bad"


def list_known(matrix: Matrix, engine: str, named: Iterable[str] = ()) -> list[str]:
    """List every version of an engine that has a snapshot, is on the axes or is `named`, oldest first.

    Raises:
        ConfigError: a named one is no version.
    """
    problems = [
        Problem("--releases", 0, repr(v), "no version, like 0.5.20") for v in named if _parse_version(v) is None
    ]
    if problems:
        raise ConfigError(problems)
    of_axes = (r.version for r in matrix.releases.values() if r.engine == engine and not r.fork)
    # in this order: the snapshot's spelling is written last and wins, since snapshots are found by it
    found = {
        _parse_version(text): text
        for text in (*named, *of_axes, *(str(version) for version, _ in list_versions(engine)))
    }
    return [found[version] for version in sorted(v for v in found if v is not None)]


def list_between(known: Sequence[str], good: str, bad: str) -> tuple[str, ...]:
    """List the versions from the good one to the bad one, both included; downwards where the bad one is older."""
    low, high = sorted((known.index(good), known.index(bad)))
    between = tuple(known[low : high + 1])
    # the search always goes from good to bad, so that one direction of arithmetic serves both
    return between if known[low] == good else between[::-1]


def read_end(text: str, word: str, engine: str, known: Sequence[str]) -> str:
    """Read `sglang==0.5.17` or `0.5.17`, an end of the range; return the version as it is known.

    Raises:
        ConfigError: another engine, or no such release is known.
    """
    full = text if any(c in text for c in "=_ ") else f"{engine}=={text.removeprefix('v')}"
    try:
        found = parse_release(full)
    except ConfigError as error:
        raise ConfigError([Problem(word, 0, repr(text), p.message) for p in error.problems]) from None
    if found.engine != engine:
        message = f"{found.engine} is another engine than {engine}, which the cell runs"
        raise ConfigError([Problem(word, 0, repr(text), message)])
    spelt = next((v for v in known if _parse_version(v) == _parse_version(found.version)), None)
    if spelt is None:
        message = (
            f"no release {found.version} of {TITLES[engine]} is known{suggest_nearest(found.version, known)}; "
            "it has no snapshot and is not on the axes. Name it with --releases if there is one"
        )
        raise ConfigError([Problem(word, 0, repr(text), message)])
    return spelt


def require_range(good: str, bad: str) -> None:
    """Refuse a range of one release.

    Raises:
        ConfigError: both ends are the same.
    """
    if good == bad:
        raise ConfigError(
            [Problem(RANGE, 0, repr(good), "both ends are one release; name one that passes and one that fails")]
        )


def place_cell(matrix: Matrix, cell: Cell, version: str) -> Cell:
    """Return the cell on another version of its engine, which need not be on the axes."""
    # a fork has its upstream's version and is another engine: the plain release is placed anew
    if version == cell.release.version and not cell.release.fork:
        return cell
    own = [r for r in matrix.releases.values() if r.engine == cell.engine.id and r.version == version and not r.fork]
    if own:
        return move_cell(
            matrix, cell, AskedRelease(engine=cell.engine.id, version=version, by="the axes", id=own[0].id)
        )
    name = f"{cell.engine.id}=={version}"
    named = AskedRelease(engine=cell.engine.id, version=version, by=name, id=release_id(cell.engine.id, version))
    return move_cell(matrix, cell, named)


def _parse_version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
