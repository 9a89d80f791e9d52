"""Holds a release's file against what its wheel, its lock and its image's tag say: version, requirement, pins.

The wheel decides, by its snapshot; then what is installed (requirement, lock, image), then what we wrote. Forks are
built from no release, so only what they state of themselves can be held against each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from matrix.checkout import CHECKOUT
from matrix.errors import Problem
from matrix.model import Release
from matrix.pins import Pinned, parse_pins, with_prereleases
from matrix.preflight.snapshot import Snapshot, release_id, snapshot_for
from matrix.yaml.document import Document
from matrix.yaml.loaded import Matrix
from matrix.yaml.yamltext import read_document

LOCKS: Final = CHECKOUT / "requirements" / "engines"
PACKAGES: Final = {  # engine -> what installs it
    "sglang": "sglang",
    "vllm": "vllm",
    "transformers": "transformers",
    "llamacpp": "xllamacpp",
    "trtllm": "tensorrt-llm",
}
# The shortest version before a `-`: what follows tells of CUDA or of the system (v0.33.0-cu130), not of the release.
TAG: Final = re.compile(r"v?(?P<version>\d+\.\d[\w.]*?)(?:-.*)?")
WHEEL: Final = re.compile(r"[\w.]+-(?P<version>[^-]+)-[^-]+-[^-]+-[^-]+\.whl")
LOCKED: Final = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[^\s\\;]+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class HeldRelease:
    """A release with its file, for lines, and what it is held against."""

    release: Release
    document: Document
    snapshot: Snapshot | None
    locked: Mapping[str, tuple[str, int]]  # package -> version and line of the lock; empty without a lock

    def wrong(self, key: str, message: str) -> Problem:
        return self.document.problem(tuple(key.split(".", 1)), message)


def lint_releases(matrix: Matrix, locks: Path = LOCKS) -> list[Problem]:
    """Every version, requirement, tag, lock and pin that disagrees, with both values and which of them decides."""
    found = [
        problem for release in matrix.releases.values() for problem in _check(hold_release(matrix, release, locks))
    ]
    return [*found, *_check_recipes(matrix)]


def hold_release(matrix: Matrix, release: Release, locks: Path = LOCKS) -> HeldRelease:
    """Gather what there is of a release."""
    place = matrix.places[f"release:{release.id}"].rpartition(":")[0]
    lock = locks / f"{release.id}.lock"
    return HeldRelease(
        release=release,
        document=read_document(matrix.root / place, place),
        snapshot=snapshot_for(release.id),
        locked=read_lock(lock.read_text(encoding="utf-8")) if lock.is_file() else {},
    )


def read_lock(text: str) -> dict[str, tuple[str, int]]:
    """Package -> version and line of a file of `name==version` lines."""
    return {
        canonicalize_name(found["name"]): (found["version"], text.count("\n", 0, found.start()) + 1)
        for found in LOCKED.finditer(text)
    }


def explain_unheld(matrix: Matrix) -> str:
    """One sentence about the releases that no snapshot of their own can be held against; empty where there are none."""
    snapshots = {name: snapshot_for(name) for name in matrix.releases}
    unread = sorted(name for name, found in snapshots.items() if found is None or not found.complete)
    return f"no complete snapshot, so pins and kernels rest on their files alone: {', '.join(unread)}" if unread else ""


def _check(held: HeldRelease) -> Iterator[Problem]:
    yield from _check_names(held)
    yield from _check_requirement(held)
    yield from _check_image(held)
    yield from _check_lock(held)
    if held.snapshot is not None and held.snapshot.complete:
        yield from _check_snapshot(held, held.snapshot)
    if held.snapshot is not None and held.snapshot.knows("requires"):
        yield from _check_pins(held, held.snapshot)


def _check_names(held: HeldRelease) -> Iterator[Problem]:
    release = held.release
    wanted = release_id(release.engine, release.version)
    if not release.fork and release.id != wanted:
        message = f"version {release.version} belongs to {wanted}, and the file is {release.id}; its name decides"
        yield held.wrong("version", message)


def _check_requirement(held: HeldRelease) -> Iterator[Problem]:
    release = held.release
    if release.requirement is None:
        return
    found, package = Requirement(release.requirement), PACKAGES.get(release.engine)
    if package is not None and canonicalize_name(found.name) != package:
        yield held.wrong("requirement", f"installs {found.name}, and {release.engine} is {package}")
    elif not _only(found.specifier, release.version):
        message = f"{release.requirement!r} does not install {release.version} and nothing else (version); what is"
        yield held.wrong("requirement", f"{message} installed decides: write {found.name}=={release.version}")


def _only(specifier: SpecifierSet, version: str) -> bool:
    """Whether a specifier is `==` or `===` that version."""
    # `==0.5.*` is `==`, too, and installs whatever came last.
    parts = list(specifier)
    exact = len(parts) == 1 and parts[0].operator in ("==", "===") and "*" not in parts[0].version
    return exact and _same(parts[0].version, version)


def _same(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    # What is no PEP 440 version, as a fork's may be, is compared letter by letter.
    except InvalidVersion:
        return one == other


def _check_image(held: HeldRelease) -> Iterator[Problem]:
    release = held.release
    if release.image is None or release.fork:  # a fork's tag is its own name
        return
    # A colon before the last slash is a registry's port: `host:5000/vllm` has no tag.
    tag = release.image.rpartition(":")[2] if ":" in release.image.rpartition("/")[2] else ""
    found = TAG.fullmatch(tag)
    if found is None:
        yield held.wrong("image", f"its tag {tag!r} names no version, so nothing says that it is {release.version}")
    elif not _same(found["version"], release.version):
        message = f"its tag is {found['version']}, and version is {release.version}; the image decides what is run"
        yield held.wrong("image", message)


def _check_snapshot(held: HeldRelease, snapshot: Snapshot) -> Iterator[Problem]:
    release = held.release
    if not release.fork and not _same(snapshot.version, release.version):
        message = (
            f"{release.version}, and its snapshot is of {snapshot.version}; the snapshot, read in the wheel, decides"
        )
        yield held.wrong("version", message)
    if snapshot.engine != release.engine:
        yield held.wrong("engine", f"{release.engine}, and its snapshot is of {snapshot.engine}; the snapshot decides")
    wheel = WHEEL.fullmatch(snapshot.source)
    if wheel is not None and not _same(wheel["version"], snapshot.version):
        message = f"its snapshot is of {snapshot.version} and was read in {snapshot.source}; the wheel decides"
        yield held.wrong("version", message)


def _check_pins(held: HeldRelease, snapshot: Snapshot) -> Iterator[Problem]:
    """Require that what the file says of a library is what the wheel says, or narrower."""
    required = parse_pins(snapshot.requires)
    for name, text in held.release.pins.items():
        wanted = required.get(canonicalize_name(name))
        if wanted is not None and not _within(with_prereleases(text), wanted):
            message = f"{name}{text}, and {snapshot.release}'s wheel requires {name}{wanted}; the wheel decides"
            yield held.wrong(f"pins.{name}", message)


def _within(inner: SpecifierSet, outer: SpecifierSet) -> bool:
    # What nothing satisfies is a part of everything, so two pins that contradict each other would pass.
    return not inner.is_unsatisfiable() and inner.is_subset(outer)


def _check_lock(held: HeldRelease) -> Iterator[Problem]:
    """Require of a lock, which a virtual environment gets, the release itself and libraries within its pins."""
    release, file = held.release, f"requirements/engines/{held.release.id}.lock"
    package = PACKAGES.get(release.engine, "")
    version, line = held.locked.get(package, ("", 0))
    if version and not _same(version, release.version):
        message = f"locks {package}=={version}, and version is {release.version}: glm-matrix venv lock {release.id}"
        yield Problem(file, line, package, message)
    declared = parse_pins(f"{name}{text}" for name, text in release.pins.items())
    for name, (wanted, whose) in _required(declared, held.snapshot).items():
        version, line = held.locked.get(name, ("", 0))
        # Locks pin release candidates (1.3.0rc26), which `contains` leaves out unless it is told.
        if version and not wanted.contains(version, prereleases=True):
            message = f"locks {name}=={version}, and {whose} requires {name}{wanted}, which decides"
            yield Problem(file, line, name, message)


def _check_recipes(matrix: Matrix) -> Iterator[Problem]:
    """Check that a recipe that lists what to install for one release installs that release."""
    for overlay in matrix.overlays:
        named = overlay.value.when.get("release")
        release = matrix.releases.get(named) if isinstance(named, str) else None
        listed = overlay.value.launcher.get("requirements")
        for text in listed if release is not None and isinstance(listed, list | tuple) else ():
            found = Requirement(str(text))
            assert release is not None
            if canonicalize_name(found.name) == PACKAGES.get(release.engine) and not _only(
                found.specifier, release.version
            ):
                line = int(overlay.where("launcher", "requirements").rpartition(":")[2])
                message = f"{text!r} is not {release.version}, the version of {release.id}, which decides"
                yield Problem(overlay.file, line, f"{overlay.value.id}.launcher.requirements", message)


def _required(declared: Pinned, snapshot: Snapshot | None) -> dict[str, tuple[SpecifierSet, str]]:
    """Library -> what decides its version, and whose word that is. What the file pins itself is a choice of its own."""
    wheel = parse_pins(snapshot.requires) if snapshot is not None and snapshot.knows("requires") else {}
    return {
        **{name: (pin, "the wheel") for name, pin in wheel.items()},
        **{name: (pin, "the release's file") for name, pin in declared.items()},
    }
