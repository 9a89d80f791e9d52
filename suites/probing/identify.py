"""Finds out what serves at an address: engine, version and model, and the cells that come nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from packaging.version import InvalidVersion, Version

from fixtures.launch.attached.engine import STUB
from fixtures.launch.attached.greeting import greet_server
from fixtures.launch.readiness import Endpoint
from fixtures.launch.versions import read_versions
from matrix.errors import EngineError
from matrix.judging.identity import ServerIdentity, find_served, is_same_version, pick_version
from matrix.model import Checkpoint, Engine, Release
from matrix.planning.expand import expand_matrix
from matrix.yaml.loaded import Matrix

HEALTH_PATH = "/health"
SHOWN_CELLS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """What answers. Empty fields are what it does not tell; `nearest` says that the release is not the very one."""

    told: ServerIdentity
    model: str
    engine: Engine | None = None
    release: Release | None = None
    nearest: bool = False
    checkpoints: tuple[Checkpoint, ...] = ()
    cells: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def stub(self) -> bool:
        return self.told.software == STUB


def identify_server(endpoint: Endpoint, matrix: Matrix, model: str = "") -> ServedModel:
    """Read the model list and the version endpoints, and compare them with the axes.

    Raises:
        HostError: it cannot be reached or used, with the next step.
    """
    told = greet_server(endpoint, HEALTH_PATH, unlisted=bool(model))
    engine, version, notes = _find_engine(endpoint, told, matrix)
    told = replace(told, version=version)
    release, nearest = _find_release(matrix, engine, version)
    checkpoints = find_served(told, matrix.checkpoints.values())
    return ServedModel(
        told=told,
        model=model or (told.names[0] if told.names else ""),
        engine=engine,
        release=release,
        nearest=nearest,
        checkpoints=checkpoints,
        cells=_list_cells(matrix, release, checkpoints),
        notes=notes,
    )


def _find_engine(
    endpoint: Endpoint, told: ServerIdentity, matrix: Matrix
) -> tuple[Engine | None, str, tuple[str, ...]]:
    """Return the engine whose name the model list bears, or whose version endpoint answers, and its version."""
    owners = [e for e in matrix.engines.values() if told.owner and e.owned_by == told.owner]
    answered, notes = dict[str, str](), list[str]()
    # A gateway hides the owner; then each engine's own endpoint is tried, and only one must answer.
    for engine in owners or matrix.engines.values():
        try:
            versions = read_versions(endpoint, engine.dialect)
        except EngineError as error:
            notes.append(f"the version endpoint of {engine.title}: {error}")
            continue
        version = pick_version(versions, engine.dialect) or next(iter(versions.values()), "")
        if owners:
            return engine, version, tuple(notes)
        if version:
            answered[engine.id] = version
    releases = tuple(matrix.releases.values())
    # Several may answer: a version that only one of them has on the axes decides.
    known = [e for e, v in answered.items() if any(r.engine == e and is_same_version(v, r) for r in releases)]
    if len(sure := known or list(answered)) == 1:
        return matrix.engines[sure[0]], answered[sure[0]], tuple(notes)
    if answered:
        titles = " or ".join(matrix.engines[e].title for e in sure)
        notes.append(f"it tells version {next(iter(answered.values()))} where {titles} would, and names no owner")
    return None, "", tuple(notes)


def _find_release(matrix: Matrix, engine: Engine | None, version: str) -> tuple[Release | None, bool]:
    """Return the release of that version, else the newest one before it, else the oldest; and whether it is another."""
    known = [r for r in matrix.releases.values() if engine and r.engine == engine.id and not r.fork]
    if not known or not version:
        return None, False
    if same := next((r for r in known if is_same_version(version, r)), None):
        return same, False
    # By version, not by name: 0.9 comes before 0.10.
    ordered = sorted(known, key=lambda r: r.parsed_version)
    if (told := parse_version(version)) is None:
        return None, False
    before = [r for r in ordered if r.parsed_version <= told]
    return (before or ordered[:1])[-1], True


def parse_version(text: str) -> Version | None:
    """Parse a version as an engine prints it; None for what is none."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _list_cells(matrix: Matrix, release: Release | None, checkpoints: Sequence[Checkpoint]) -> tuple[str, ...]:
    """List runnable cells of that release and those checkpoints, without features first."""
    if release is None or not checkpoints:
        return ()
    wanted = {c.id for c in checkpoints}
    found = [c for c in expand_matrix(matrix).runnable if c.release.id == release.id and c.checkpoint.id in wanted]
    return tuple(cell.id for cell in sorted(found, key=lambda c: (len(c.features), c.id))[:SHOWN_CELLS])
