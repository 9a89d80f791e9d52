"""Is the server that answers the one that a cell means? What it says of itself against what the cell says. Pure.

    engine    `owned_by` of its model list            engine.yaml: owned_by
    model     served names, and the weights' path     the checkpoint's id, repository or path, or the plan's served name
    version   /version, /server_info, /props          the release's version, without a local label (+cu130)
    reply     `model` of each reply                   the name that was asked

What is not told cannot be compared, and counts as a difference where the engine is one that tells it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Literal, get_args

from packaging.version import InvalidVersion, Version

from matrix.model import Checkpoint, Release
from matrix.planning.plan import Plan

Part = Literal["engine", "model", "version", "reply"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
LAUNCH_MARK: Final = re.compile(r"-[0-9a-f]{8}$")  # behind the served name of what this project launches itself
HUB_SNAPSHOT: Final = re.compile(r"models--([^/]+?)--([^/]+)/snapshots/")
PLACES: Final = ("/", "./", "../", "~/")
# Name under which a launch records what the engine says of its version, by dialect; llama.cpp's build number cannot be
# compared with a release, its wheel's version can.
VERSION_NAMES: Final[Mapping[str, str]] = {
    "vllm": "version",
    "trtllm": "version",
    "sglang": "sglang",
    "llamacpp": "xllamacpp",
}
TELLS_NO_VERSION: Final = frozenset({"transformers"})  # by no endpoint that is asked here


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerIdentity:
    """What a server reports about itself; empty is what it does not report."""

    owner: str = ""
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()  # of the weights
    version: str = ""
    software: str = ""  # its Server header


def find_differences(plan: Plan, told: ServerIdentity, checkpoints: Iterable[Checkpoint] = ()) -> Mapping[Part, str]:
    """Each part that is not the cell's, as `it says X; the cell is Y`. `checkpoints` are all that could be meant."""
    return dict(_iterate_differences(plan, told, tuple(checkpoints)))


def _iterate_differences(
    plan: Plan, told: ServerIdentity, checkpoints: tuple[Checkpoint, ...]
) -> Iterator[tuple[Part, str]]:
    cell = plan.cell
    wanted = cell.engine.owned_by
    if wanted and told.owner != wanted:
        said = repr(told.owner) if told.owner else "nothing"
        yield "engine", f"it says {said} (owned_by of /v1/models), and {cell.engine.title} says {wanted!r}"
    if wrong := _explain_model(plan, told, checkpoints):
        yield "model", wrong
    # A fork counts its versions in its own way, and nobody keeps a table of them.
    if cell.release.fork or cell.engine.dialect in TELLS_NO_VERSION:
        return
    if not told.version:
        yield "version", f"it tells none that can be compared with {cell.release.version}"
    elif not is_same_version(told.version, cell.release):
        yield "version", f"it says {told.version}, and the cell is {cell.release.version}"


def pick_version(versions: Mapping[str, str], dialect: str) -> str:
    """Pick the version that can be compared with a release; empty where none was reported."""
    return versions.get(VERSION_NAMES.get(dialect, ""), "")


def is_same_version(told: str, release: Release) -> bool:
    """Whether a version as an engine prints it is the release's. A fork's is not known, and any is right."""
    try:
        return release.fork or Version(told).public == release.parsed_version.public
    except InvalidVersion:
        return False


def _explain_model(plan: Plan, told: ServerIdentity, checkpoints: tuple[Checkpoint, ...]) -> str:
    """Explain what is wrong with the model; a path of another checkpoint outweighs a name that matches."""
    wanted = names_of(plan.cell.checkpoint) | {_normalise_name(n) for n in served_names(plan)}
    said, paths = {_normalise_name(n) for n in told.names}, _list_weights_names(told)
    others = {name: c.id for c in checkpoints if c.id != plan.cell.checkpoint.id for name in names_of(c)}
    shown = ", ".join(repr(n) for n in (*told.names, *told.paths)) or "none"
    contrary = sorted({others[p] for p in paths - wanted if p in others})
    # Served names are free text; what lies at the path is what was loaded.
    if contrary and not paths & wanted:
        return f"it serves {shown}, which is {contrary[0]}; the cell is {plan.cell.checkpoint.id}"
    if not (said | paths) & wanted:
        return f"it serves {shown}; the cell is {plan.cell.checkpoint.id}, known as {', '.join(sorted(wanted))}"
    return ""


def find_served(told: ServerIdentity, checkpoints: Iterable[Checkpoint]) -> tuple[Checkpoint, ...]:
    """Return the checkpoints that a server's names or paths mean: several where an organisation publishes a name twice.

    A gateway puts its own organisation in front of a name and a price behind it (`vendor/glm-5.1:free`).
    """
    bare = (n.rpartition("/")[2].split(":")[0] for n in told.names)
    said, paths = {_normalise_name(n) for n in (*told.names, *bare)}, _list_weights_names(told)
    known = [(c, names_of(c)) for c in checkpoints]
    by_path = tuple(c for c, names in known if names & paths)
    return by_path or tuple(c for c, names in known if names & said)


def _list_weights_names(told: ServerIdentity) -> set[str]:
    """List what the weights' places may be called; a server's name is its path where none was given."""
    places = (*told.paths, *(n for n in told.names if n.startswith(PLACES)))
    return {name for path in places for name in _path_names(path)}


def names_of(checkpoint: Checkpoint) -> frozenset[str]:
    """List what a server may call a checkpoint: its id, its repository with or without the organisation, its path
    here."""
    repository = checkpoint.repository or ""
    texts = (checkpoint.id, repository, PurePosixPath(repository).name, checkpoint.weights_path or "")
    return frozenset(_normalise_name(text) for text in texts if text)


def served_names(plan: Plan) -> tuple[str, ...]:
    """List the names by which the plan itself serves the model."""
    flag = plan.cell.engine.served_name_argument
    setting = plan.setting("args", flag) if flag else None
    if setting is None:
        return ()
    return tuple(map(str, setting.value)) if isinstance(setting.value, (list, tuple)) else (str(setting.value),)


def _path_names(path: str) -> Iterator[str]:
    """Yield a path's ends, and the repository of a snapshot in the Hugging Face cache."""
    if match := HUB_SNAPSHOT.search(path):
        yield _normalise_name(f"{match[1]}/{match[2]}")
        yield _normalise_name(match[2])
    parts = PurePosixPath(path).parts
    yield from (_normalise_name("/".join(parts[place:])) for place in range(len(parts)))


def _normalise_name(name: str) -> str:
    return LAUNCH_MARK.sub("", name.strip().rstrip("/").lower())
