"""The settings of a launch beyond its baseline, one unit each, and the launch with some of them taken out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from matrix.hardware import Json
from matrix.planning.plan import DEEP, FLAT, Plan, Setting

MEANT: Final = ("args", "env", "config", "tokenizer_config", "serve_config")  # what an engine reads
ALWAYS: Final = re.compile(r"\{(?:model|host|port|api_key_env)\}")  # a launch without them is none
PATCHES: Final = "patches"


@dataclass(frozen=True, slots=True)
class Unit:
    """One setting or patch. `instead`: what the launch has without it, None for nothing."""

    section: str
    path: tuple[str, ...]
    value: Json
    instead: Json
    where: str  # file:line

    def __hash__(self) -> int:
        # not the value: it may be a list, and a launch has one value for a path
        return hash((self.section, self.path))

    def __str__(self) -> str:
        name = ".".join(self.path)
        if self.section == PATCHES:
            return f"patch {name}"
        said = f"{name} {self.value}" if self.section == "args" else f"{self.section} {name}={self.value}"
        back = f" (instead of {self.instead})" if self.instead is not None else ""
        return f"{said.removesuffix(' True')}{back}"


def list_units(plan: Plan, baseline: Plan | None) -> tuple[Unit, ...]:
    """List what differs from the baseline; without one, all that a launch need not have."""
    return tuple(_iterate_units(plan, baseline))


def _iterate_units(plan: Plan, baseline: Plan | None) -> Iterator[Unit]:
    for section in MEANT:
        old = {s.path: s.value for s in baseline.sections[section]} if baseline else {}
        new = {s.path: s for s in plan.sections[section]}
        for path, setting in new.items():
            # placeholders are what connects the launch to its host: taken out, nothing would answer
            if setting.value != old.get(path) and not ALWAYS.search(str(setting.value)):
                yield Unit(section, path, setting.value, old.get(path), setting.where)
        # what a feature takes away is a unit as well: put back, the failure may be gone
        for path in old.keys() - new.keys():
            if old[path] is not None:
                yield Unit(section, path, None, old[path], "the baseline")
    kept = baseline.patch_names if baseline else ()
    yield from (Unit(PATCHES, p.path, True, None, p.where) for p in plan.patches if p.key not in kept)


def write_recipe(
    plan: Plan, without: Collection[Unit] = (), launcher: Mapping[str, Json] | None = None
) -> dict[str, Any]:
    """Return the one overlay that makes exactly this launch, without some units. `launcher` is merged into its own."""
    gone = {(u.section, u.path): u for u in without}
    made: dict[str, Any] = {
        "id": "bisect",
        "why": "The launch of this cell, as the recipes plan it, with what a bisection takes out.",
        "source": "glm-matrix bisect",
        "when": {"engine": plan.cell.engine.id},
    }
    for section in (*FLAT, *DEEP):
        values = _merge(plan.sections[section], section, gone)
        if section == "launcher":
            values |= launcher or {}
        if values:
            made[section] = values
    patches = [p.key for p in plan.patches if (PATCHES, p.path) not in gone]
    return {**made, **({PATCHES: patches} if patches else {})}


def _merge(
    settings: tuple[Setting, ...], section: str, gone: Mapping[tuple[str, tuple[str, ...]], Unit]
) -> dict[str, Any]:
    found = {s.path: s.value for s in settings}
    # back to the baseline's value, not merely absent: the engine's own default is a third launch
    found |= {path: unit.instead for (own, path), unit in gone.items() if own == section}
    tree: dict[str, Any] = {}
    for path, value in found.items():
        if value is None:
            continue
        node = tree
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = value
    return tree
