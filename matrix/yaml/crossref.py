"""What no single YAML file can know: that ids are unique and that every name used somewhere exists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matrix import condition
from matrix.errors import Problem, suggest_nearest

if TYPE_CHECKING:
    from matrix.model import Cause, Checkpoint, Engine, Feature, Gpu, Overlay, Release
    from matrix.pins import Pins
    from matrix.yaml.loaded import Loaded

    Any_ = Sequence[Loaded[Any]]

STAGES = ("weights", "warmup", "graphs", "http")  # of a start, as fixtures.launch.readiness shows them


def find_cross_problems(
    *,
    gpus: Sequence[Loaded[Gpu]],
    engines: Sequence[Loaded[Engine]],
    releases: Sequence[Loaded[Release]],
    checkpoints: Sequence[Loaded[Checkpoint]],
    features: Sequence[Loaded[Feature]],
    conditioned: Sequence[Loaded[Any]],
    overlays: Sequence[Loaded[Overlay]],
    patches: Iterable[str],
    pins: Pins,
    causes: Sequence[Loaded[Cause]] = (),
) -> list[Problem]:
    """Every cross-reference problem; an empty list means the matrix hangs together."""
    valid = _valid_values(gpus, engines, releases, checkpoints, features)
    found: list[Problem] = []
    for group in (gpus, engines, releases, checkpoints, features, conditioned, causes):
        found += _find_duplicates(group)
    found += _find_duplicate_rigs(gpus)
    for engine in engines:
        found += _check_patterns(engine)
    for cause in causes:
        found += _check_expressions(cause, ("any",), cause.value.any)
    for item in releases:
        found += _check_names(item, "engine", [item.value.engine], valid["engine"])
        found += _check_names(item, "features", item.value.features, valid["features"])
    for ckpt in checkpoints:
        if ckpt.value.stands_for:
            found += _check_names(ckpt, "stands_for", [ckpt.value.stands_for], valid["checkpoint"])
    for any_item in conditioned:
        for key, message in condition.find_condition_problems(any_item.value.when, valid, pins):
            found.append(_place_problem(any_item, ("when", key), message))
    known_patches = sorted(patches)
    for overlay in overlays:
        found += _check_names(overlay, "patches", overlay.value.patches, known_patches)
    return found


def _valid_values(*groups: Any_) -> Mapping[str, set[Any]]:
    gpus, engines, releases, checkpoints, features = groups
    return {
        "rig": {r for g in gpus for r in g.value.rigs},
        "gpu": {g.value.id for g in gpus},
        "sm": {g.value.sm for g in gpus},
        "gpus": {n for g in gpus for n in g.value.rigs.values()},
        "interconnect": {g.value.interconnect for g in gpus},
        "engine": {e.value.id for e in engines},
        "release": {r.value.id for r in releases},
        "checkpoint": {c.value.id for c in checkpoints},
        "family": {c.value.family for c in checkpoints},
        "format": {c.value.format for c in checkpoints},
        "experts": {c.value.experts for c in checkpoints},
        "features": {f.value.id for f in features},
        "form": set(condition.FORMS),
    }


def _place_problem(item: Loaded[Any], loc: tuple[str | int, ...], message: str) -> Problem:
    line = item.lines.get(loc, item.lines.get(loc[:1], item.line))
    return Problem(item.file, line, f"{item.value.id}.{'.'.join(map(str, loc))}", message)


def _check_names(item: Loaded[Any], key: str, used: Iterable[str], known: Iterable[str]) -> Iterator[Problem]:
    words = list(known)
    for name in used:
        if name not in words:
            yield _place_problem(item, (key, name), f"no such {key}: {name!r}{suggest_nearest(name, words)}")


def _check_patterns(engine: Loaded[Engine]) -> Iterator[Problem]:
    about = engine.value
    yield from _check_names(engine, "startup", about.startup, STAGES)
    yield from _check_names(engine, "deadlines_s", about.deadlines_s, STAGES)
    for stage, pattern in about.startup.items():
        yield from _check_expressions(engine, ("startup", stage), [pattern])
    yield from _check_expressions(engine, ("heartbeats",), about.heartbeats)
    yield from _check_expressions(engine, ("load",), about.load)
    for number, cause in enumerate(about.causes):
        yield from _check_expressions(engine, ("causes", number, "any"), cause.any)


def _check_expressions(item: Loaded[Any], loc: tuple[str | int, ...], patterns: Iterable[str]) -> Iterator[Problem]:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            yield _place_problem(item, loc, f"no regular expression: {error}")


def _find_duplicates(group: Any_) -> Iterator[Problem]:
    seen: dict[tuple[type, str], Loaded[Any]] = {}
    for item in group:
        first = seen.setdefault((type(item.value), item.value.id), item)
        if first is not item:
            yield Problem(item.file, item.line, "id", f"duplicate id {item.value.id!r}, first at {first.where()}")


def _find_duplicate_rigs(gpus: Sequence[Loaded[Gpu]]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for gpu in gpus:
        for rig in gpu.value.rigs:
            if rig in seen:
                yield _place_problem(gpu, ("rigs", rig), f"duplicate rig {rig!r}, first at {seen[rig]}")
            seen.setdefault(rig, gpu.where("rigs", rig))
