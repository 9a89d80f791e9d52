"""What no single YAML file can know: that ids are unique and that every name used somewhere exists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from matrix import condition
from matrix.errors import Problem, suggest_nearest
from matrix.model import Checkpoint, IndexSharing, Thinking
from matrix.yaml.patterns import REPOSITORY, REVISION
from matrix.yaml.references import References

if TYPE_CHECKING:
    from matrix.hardware import Gpu
    from matrix.model import Cause, Engine, Family, Feature, Overlay, Release
    from matrix.pins import Pins
    from matrix.recorded import Claim, Published
    from matrix.yaml.loaded import Loaded
    from matrix.yaml.references import LostEntry

    Any_ = Sequence[Loaded[Any]]

FORMATS = frozenset(get_args(get_type_hints(Checkpoint)["format"]))
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
    families: Sequence[Loaded[Family]] = (),
    lost: Sequence[LostEntry] = (),
) -> tuple[list[Problem], Mapping[str, int]]:
    """Every cross-reference problem, none where the matrix hangs together; and how many were hidden because what they
    name did not load, by its file."""
    known = References(valid=_valid_values(gpus, engines, releases, checkpoints, features, families), lost=lost)
    found: list[Problem] = []
    for group in (gpus, engines, releases, checkpoints, features, conditioned, causes, families):
        found += _find_duplicates(group)
    # apart from ids: rigs are keys inside the GPUs' files, where two files may choose the same name
    found += _find_duplicate_rigs(gpus)
    for engine in engines:
        found += _check_patterns(engine)
        for number, entry in enumerate(engine.value.compiles):
            found += _check_when(engine, ("compiles", number, "when"), entry.when, known, pins)
    for cause in causes:
        found += _check_expressions(cause, ("any",), cause.value.any)
    for item in releases:
        known.check("engine", [item.value.engine], _place_problem(item, ("engine",), ""))
        for name in item.value.features:
            known.check("features", [name], _place_problem(item, ("features", name), ""))
        found += _check_release(item)
    for family in families:
        found += _check_expressions(family, ("names",), family.value.names)
        found += _check_drafts(family)
    for ckpt in checkpoints:
        found += _check_revision(ckpt)
        if ckpt.value.stands_for:
            known.check("checkpoint", [ckpt.value.stands_for], _place_problem(ckpt, ("stands_for",), ""))
    for any_item in conditioned:
        found += _check_condition(any_item, known, pins)
    for feature in features:
        found += _check_condition(feature, known, pins, key="by_default")
    known_patches = sorted(patches)
    for overlay in overlays:
        found += _check_names(overlay, "patches", overlay.value.patches, known_patches)
    return [*found, *known.problems()], known.hidden


def _check_condition(item: Loaded[Any], known: References, pins: Pins, key: str = "when") -> Iterator[Problem]:
    yield from _check_when(item, (key,), getattr(item.value, key), known, pins)


def _check_when(
    item: Loaded[Any], loc: tuple[str | int, ...], when: Mapping[str, Any], known: References, pins: Pins
) -> Iterator[Problem]:
    wrong = condition.find_condition_problems(when, {}, pins)
    yield from (_place_problem(item, (*loc, name), message) for name, message in wrong)
    # a condition that is no condition names nothing, and would be told twice
    unusable = {name for name, _ in wrong}
    for name, values in condition.list_names(when):
        if name not in unusable:
            axis = "features" if name in condition.FEATURE_LISTS else name
            known.check(axis, values, _place_problem(item, (*loc, name), ""))


def _check_revision(ckpt: Loaded[Checkpoint]) -> Iterator[Problem]:
    """Weights of a repository are those of a commit: one name holds others tomorrow."""
    about = ckpt.value
    if about.revision and about.revision_unknown:
        yield _place_problem(ckpt, ("revision_unknown",), "says why there is no revision, and there is one")
    elif about.repository and REPOSITORY.fits(about.repository) and not about.revision and not about.revision_unknown:
        message = "which commit? Name it in `revision`, or say in `revision_unknown` why nobody can"
        yield _place_problem(ckpt, ("repository",), message)


def _check_drafts(family: Loaded[Family]) -> Iterator[Problem]:
    """Hold a published draft to what holds for the weights that it drafts for."""
    for kind, draft in family.value.drafts.items():
        if draft.revision and draft.revision_unknown:
            message = "says why there is no revision, and there is one"
            yield _place_problem(family, ("drafts", kind, "revision_unknown"), message)
        elif not draft.revision and not draft.revision_unknown:
            message = "which commit? Name it in `revision`, or say in `revision_unknown` why nobody can"
            yield _place_problem(family, ("drafts", kind, "repository"), message)
        for key, pattern, value in (
            ("repository", REPOSITORY, draft.repository),
            ("revision", REVISION, draft.revision),
        ):
            if value and not pattern.fits(value):
                yield _place_problem(family, ("drafts", kind, key), f"expected {pattern.expected}, got {value!r}")


def _check_release(release: Loaded[Release]) -> Iterator[Problem]:
    """Check what is read as a version, a specifier or a word only when a plan is made."""
    about = release.value
    try:
        Version(about.version)
    except InvalidVersion:
        yield _place_problem(release, ("version",), f"{about.version!r} is no version (PEP 440) like 0.5.10.post1")
    for name, text in about.pins.items():
        try:
            SpecifierSet(text)
        except InvalidSpecifier:
            yield _place_problem(release, ("pins", name), f"{text!r} is no specifier (PEP 440) like ==2.11.0")
    for name in about.formats:
        if name not in FORMATS:
            message = f"no format is {name!r}{suggest_nearest(name, FORMATS)}"
            yield _place_problem(release, ("formats", name), message)


def find_unnamed_launches(published: Sequence[Loaded[Published]]) -> list[Problem]:
    """Require that a published launch names one rig, release and checkpoint: a list or a range is no launch."""
    return [
        _place_problem(item, ("when", key), f"expected one {key}, got {item.value.when.get(key)!r}")
        for item in published
        for key in ("rig", "release", "checkpoint")
        if not isinstance(item.value.when.get(key), str)
    ]


def find_wrong_inert(claims: Sequence[Loaded[Claim]], features: Sequence[Loaded[Feature]]) -> list[Problem]:
    """Require that a claim's inert features are features, and that `disputed` says why they are inert."""
    known = {f.value.id for f in features}
    problems = [
        _place_problem(item, ("inert",), f"there is no feature {name!r}{suggest_nearest(name, known)}")
        for item in claims
        for name in item.value.inert
        if name not in known
    ]
    silent = (item for item in claims if item.value.inert and not item.value.disputed)
    return problems + [_place_problem(item, ("inert",), "say in `disputed` why it has no effect") for item in silent]


def _valid_values(*groups: Any_) -> Mapping[str, set[Any]]:
    gpus, engines, releases, checkpoints, features, families = groups
    return {
        "rig": {r for g in gpus for r in g.value.rigs},
        "gpu": {g.value.id for g in gpus},
        "sm": {g.value.sm for g in gpus},
        "gpus": {n for g in gpus for n in g.value.rigs.values()},
        "interconnect": {g.value.interconnect for g in gpus},
        "engine": {e.value.id for e in engines},
        "release": {r.value.id for r in releases},
        "fork": {True, False},
        "checkpoint": {c.value.id for c in checkpoints},
        "family": {f.value.id for f in families},
        "architecture": {c.value.architecture for c in checkpoints},
        "thinking": set(get_args(Thinking)),
        "index_sharing": set(get_args(IndexSharing)),
        "format": {c.value.format for c in checkpoints},
        "quantisation": {c.value.quantisation.method for c in checkpoints},
        "quantised_attention": {True, False, None},
        "experts": {c.value.experts for c in checkpoints},
        "mtp_layer": {True, False, None},
        "canary": {True, False},
        "features": {f.value.id for f in features},
        "form": set(condition.FORMS),
    }


def _place_problem(item: Loaded[Any], loc: tuple[str | int, ...], message: str) -> Problem:
    # an exact place if there is one, else the key at the top, else the entry
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
    # by kind: a checkpoint and a claim may share an id, two checkpoints may not
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
