"""Holds rules and known failures against their own sources: release, GPU and form must be those spoken of. Pure.

A source about another release, GPU, engine or weight format proves nothing here, however true it is. Another GPU of
the same family (GB10 for SM120, GB300 for SM100) may stand in where `expected` says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from matrix.condition import compile_condition
from matrix.errors import Problem, suggest_nearest
from matrix.hardware import Json
from matrix.model import Rule
from matrix.pins import with_prereleases
from matrix.recorded import KnownFailure
from matrix.source import Source
from matrix.yaml.loaded import Loaded, Matrix

Found = Iterator[tuple[str, str]]  # the key of the source, and what is wrong
Entry = Loaded[KnownFailure] | Loaded[Rule]
GPU_KEYS: Final = frozenset({"sm", "gpu", "rig", "interconnect"})
RIG_KEYS: Final = GPU_KEYS | {"gpus"}
FAMILY: Final = 10  # capability 121 is of the family 12


class Named(NamedTuple):
    """`name==version` of a source."""

    name: str
    version: Version


def parse_release(text: str) -> Named:
    """Parse the engine or library and its version.

    Raises:
        ValueError: the text is no `name==version` of PEP 440, and says so.
    """
    name, equals, version = text.partition("==")
    if not name.strip() or not equals:
        raise ValueError(f"expected name==version, like 'sglang==0.5.17', got {text!r}")
    try:
        return Named(name.strip(), Version(version))
    except InvalidVersion as error:
        raise ValueError(f"{text!r} names no version of PEP 440: {error}") from None


def find_source_problems(matrix: Matrix, entry: Entry) -> Iterator[Problem]:
    """Find every way in which the entry's source is about something else than the entry."""
    source, when = entry.value.source, entry.value.when
    judges = (
        _check_kind(entry, matrix),
        _check_release(matrix, when, source),
        _check_gpu(matrix, when, source),
        _check_form(matrix, when, source),
    )
    # all of them: a source is mostly copied whole from another entry, and wrong in several parts
    for key, message in (found for judge in judges for found in judge):
        line = entry.lines.get(("source", key), entry.lines.get(("source",), entry.line))
        yield Problem(entry.file, line, f"{entry.value.id}.source.{key}", message)


def speaks_of(matrix: Matrix, when: Mapping[str, Json]) -> frozenset[int]:
    """Compute the capabilities that a `when` covers: by its GPU keys, or because no other rig fits. Empty: any
    GPU's."""
    releases = [matrix.releases[r] for r in _as_tuple(when.get("release")) if r in matrix.releases]
    # where a release loads on one kind of GPU only, an entry about it speaks of that GPU without naming it
    loadable = {sm for r in releases for sms in r.formats.values() for sm in sms}
    keys = RIG_KEYS if GPU_KEYS & when.keys() else frozenset[str]()  # a number of GPUs alone is about no kind of GPU
    own = compile_condition({key: value for key, value in when.items() if key in keys})
    fitting = frozenset(
        rig.sm
        for rig in matrix.rigs.values()
        if (rig.sm in loadable or not loadable)
        and own(
            {"rig": rig.id, "gpu": rig.gpu.id, "sm": rig.sm, "gpus": rig.gpus, "interconnect": rig.gpu.interconnect}
        )
    )
    return fitting if GPU_KEYS & when.keys() or len(fitting) == 1 else frozenset()


def _check_kind(entry: Entry, matrix: Matrix) -> Found:
    source = entry.value.source
    if source.kind != "choice":
        return
    if isinstance(entry.value, KnownFailure):
        yield "kind", "a known failure is nobody's choice: run, wheel or report"
    elif (
        0 not in (sms := speaks_of(matrix, entry.value.when))
        and len(sms) == 1
        and entry.value.status != "INVALID_COMBO"
    ):
        yield (
            "kind",
            f"that a GPU ({_name_gpus(sms)}) or a release cannot do it is no choice of ours: run, wheel or report",
        )


def _check_release(matrix: Matrix, when: Mapping[str, Json], source: Source) -> Found:
    if source.kind == "choice" and not source.release:
        return
    try:
        named = parse_release(source.release)
    except ValueError as error:
        yield "release", str(error)
        return
    if named.name in matrix.engines:
        yield from _check_engine(matrix, when, named)
    else:
        yield from _check_library(matrix, when, named)


def _check_engine(matrix: Matrix, when: Mapping[str, Json], named: Named) -> Found:
    releases = [matrix.releases[r] for r in _as_tuple(when.get("release")) if r in matrix.releases]
    engines = set(_as_tuple(when.get("engine"))) | {r.engine for r in releases}
    if engines and named.name not in engines:
        yield "release", f"the source speaks of {named.name}, the entry of {' and '.join(sorted(map(str, engines)))}"
    # parsed: 0.5.10.post1 and 0.5.10-post1 are one release
    elif releases and named.version not in {r.parsed_version for r in releases}:
        yield "release", f"{named.version} is none of the entry's releases ({', '.join(r.version for r in releases)})"
    elif not _allows_version(when.get("version"), named.version):
        yield "release", f"{named.version} lies outside of the entry's own range {when['version']!r}"


def _check_library(matrix: Matrix, when: Mapping[str, Json], named: Named) -> Found:
    pins = when.get("pins")
    own = {canonicalize_name(name): text for name, text in pins.items()} if isinstance(pins, Mapping) else {}
    wanted = own.get(canonicalize_name(named.name))
    if wanted is None:
        known = suggest_nearest(named.name, [*matrix.engines, *own])
        yield "release", f"{named.name!r} is no engine, and no library of this entry's `pins`{known}"
    elif not _allows_version(wanted, named.version):
        yield "release", f"{named.version} of {named.name} lies outside of the entry's own range {wanted!r}"


def _check_gpu(matrix: Matrix, when: Mapping[str, Json], source: Source) -> Found:
    about = speaks_of(matrix, when)
    if not about or source.kind == "choice":
        return
    missing = sorted(
        sm for sm in about if sm not in source.sm and not (source.expected and _is_of_family(sm, source.sm))
    )
    if not missing:
        return
    if not source.sm:
        yield (
            "sm",
            f"the entry is about {_name_gpus(missing)}, and the source says of no GPU that it was read or run for it",
        )
        return
    near = (
        "; say in `expected` why a GPU of its family stands in"
        if all(_is_of_family(sm, source.sm) for sm in missing)
        else ""
    )
    yield "sm", f"the entry is about {_name_gpus(missing)}, the source about {_name_gpus(source.sm)}{near}"


def _check_form(matrix: Matrix, when: Mapping[str, Json], source: Source) -> Found:
    wanted = set(_as_tuple(when.get("format"))) or {
        matrix.checkpoints[c].format for c in _as_tuple(when.get("checkpoint")) if c in matrix.checkpoints
    }
    formats = {c.format for c in matrix.checkpoints.values()}
    # a form may say more after a comma (the checkpoint, the cut); only its first word is a format of the axis
    said = source.form.partition(",")[0].strip()
    if wanted and said in formats and said not in wanted:
        yield "form", f"the entry is about {' and '.join(sorted(wanted))} weights, the source about {said}"
    elif _as_tuple(when.get("format")) and not said and source.kind != "choice":
        yield "form", f"the entry is about {' and '.join(sorted(wanted))} weights, and the source says of no format"


def _is_of_family(sm: int, others: Iterable[int]) -> bool:
    # 0 is the CPU, which is no relative of anything
    return sm != 0 and any(sm // FAMILY == other // FAMILY for other in others)


def _allows_version(specifier: Json, version: Version) -> bool:
    return not isinstance(specifier, str) or with_prereleases(specifier).contains(version)


def _as_tuple(value: Json) -> tuple[Json, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _name_gpus(sms: Iterable[int]) -> str:
    return " and ".join(f"sm{sm}" if sm else "the CPU" for sm in sorted(sms))
