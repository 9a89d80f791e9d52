"""The engine of a release, installed by hash in an environment of its own, beside everything else as it is here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement

from fixtures.launch.venv.build import PYTHON, Venvs, write_lock
from matrix.checkout import CHECKOUT
from matrix.errors import HostError
from matrix.hardware import Json
from matrix.model import Release
from matrix.planning.plan import Plan

RUN_IN: Final = CHECKOUT / "requirements" / "run.in"
RUN_LOCK: Final = CHECKOUT / "requirements" / "run.lock"
PINNED: Final = re.compile(r"^[A-Za-z0-9][\w.\-]*(?:\[[^\]]*\])?==[^\s\\;]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environments:
    """Makes environments. `folder` holds the locks of releases that have none in requirements/engines."""

    folder: Path
    venvs: Venvs = field(default_factory=Venvs)

    def ensure(self, plan: Plan, requirement: str) -> Mapping[str, Json]:
        """Return what the launcher of a plan needs to know: {} where it finds the release by itself.

        Raises:
            HostError: it cannot be installed, or is published as an image only.
        """
        launcher, release = plan.values("launcher"), plan.cell.release
        if launcher.get("kind") == "docker":
            if release.image:
                return {}
            raise HostError(f"{release.id}: no image of it is known, and its cell runs in a container")
        if not requirement:
            raise HostError(f"{release.id}: it is published as an image only, so there is nothing to install")
        embedded = launcher.get("kind", "process") == "process"
        # this very environment has the version: one more would be the same bytes
        if embedded and _is_installed(requirement):
            return {}
        python = PYTHON if embedded else str(launcher.get("python") or PYTHON)
        # the user's own environment or a committed lock comes first: it is what the cell's other runs used
        if not embedded and self._is_found_by_itself(release):
            return {}
        place = self._build(release, requirement, launcher, python, embedded=embedded)
        return {"kind": "venv", "python": python, "environment": str(place)}

    def _is_found_by_itself(self, release: Release) -> bool:
        from fixtures.host.local_config import read_local

        named = read_local().get("environments", {})
        return release.id in named or (self.venvs.locks / f"{release.id}.lock").is_file()

    def _build(
        self, release: Release, requirement: str, launcher: Mapping[str, Any], python: str, *, embedded: bool
    ) -> Path:
        own = replace(self.venvs, locks=self.folder)
        # a lock of an earlier boot is kept: the index moves, and two boots of one release must run the same bytes
        if not (self.folder / f"{release.id}.lock").is_file():
            listed = list(_list_beside(requirement)) if embedded else _list_of_recipe(launcher, requirement)
            bounds = list(_list_constraints(requirement)) if embedded else []
            write_lock(release, own, listed, python, bounds)
        return own.ensure(release.id, python)


def _is_installed(requirement: str) -> bool:
    wanted = Requirement(requirement)
    try:
        return version(wanted.name) in wanted.specifier
    except PackageNotFoundError:
        return False


def _list_beside(requirement: str) -> Iterator[str]:
    """List what an engine that runs our own code needs: what we need, with the engine's package in its place."""
    name = Requirement(requirement).name
    for line in RUN_IN.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text:
            yield requirement if Requirement(text).name == name else text


def _list_constraints(requirement: str) -> Iterator[str]:
    """List every version that is installed here but the engine's: environments differ in the engine only."""
    name = Requirement(requirement).name
    for line in RUN_LOCK.read_text(encoding="utf-8").splitlines():
        if (found := PINNED.match(line)) and Requirement(found[0]).name != name:
            yield found[0]


def _list_of_recipe(launcher: Mapping[str, Any], requirement: str) -> list[str]:
    """List the requirements of a recipe with the engine's in its place, else the engine's alone."""
    listed = [str(r) for r in launcher.get("requirements", ())]
    name = Requirement(requirement).name
    return [requirement] if not listed else [requirement if Requirement(r).name == name else r for r in listed]
