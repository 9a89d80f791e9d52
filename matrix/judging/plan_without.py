"""The same plan with something left out: what an ablation launches, and whether a patch is still needed.

pytest --without-patch NAME       plans with `without_patch`, and `removal_verdict` judges what became of the tests
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.judging.status import Status
from matrix.planning.plan import Plan
from matrix.preflight.patch import PATCHES, Patch, load_patch

BROKEN = {Status.FAIL, Status.CRASH, Status.HANG}
FINE = {Status.PASS, Status.MEASURED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """`status` is how the run counts: XPASS is red until the patch is retired."""

    patch: str
    verdict: Literal["needed", "unneeded", "unknown"]
    status: Status
    detail: str


def patches_of(plan: Plan) -> tuple[str, ...]:
    """Every patch that this launch carries: of the engine's source, or merged into the checkpoint's JSON files."""
    merged = (load_patch(path.parent.name) for path in sorted(PATCHES.glob("*/patch.yaml")))
    return (*plan.patch_names, *(p.id for p in merged if p.merges and _merged_keys(p, plan)))


def without_patch(plan: Plan, name: str) -> Plan:
    """Return the plan without a patch; its fingerprint differs, so that no engine is shared.

    Raises:
        ConfigError: the plan has no such patch, so leaving it out would test nothing.
    """
    if name in plan.patch_names:
        return replace(plan, patches=tuple(p for p in plan.patches if p.key != name))
    if name not in (known := patches_of(plan)):
        hint = suggest_nearest(name, known) or "; it has none"
        raise ConfigError([Problem("--without-patch", 0, name, f"{plan.cell.id} is not launched with it{hint}")])
    dropped = _merged_keys(load_patch(name), plan)
    kept = {s: tuple(v for v in plan.sections[s] if v.path[0] not in keys) for s, keys in dropped.items()}
    return replace(plan, sections={**plan.sections, **kept})


def _merged_keys(patch: Patch, plan: Plan) -> dict[str, set[str]]:
    """Section -> the keys that the patch brings into it; empty unless the plan has all of them as the patch says."""
    if not patch.applies(plan.cell.facts):
        return {}
    brought: dict[str, set[str]] = {}
    for file, merge in patch.merges.items():
        section = file.removesuffix(".json")
        wanted = dict(merge.set) | {new: {"$rename": old} for old, new in merge.rename.items()}
        # A recipe may have overruled one of the values: what is left is no longer the patch's.
        if not wanted.items() <= plan.values(section).items():
            return {}
        brought[section] = set(wanted)
    return brought


def without_setting(plan: Plan, section: str, key: str) -> Plan:
    """Return the plan without one setting, as if no recipe set it.

    Raises:
        ConfigError: nothing sets it.
    """
    kept = tuple(s for s in plan.sections[section] if s.key != key)
    if len(kept) == len(plan.sections[section]):
        hint = suggest_nearest(key, (s.key for s in plan.sections[section]))
        raise ConfigError([Problem(plan.cell.id, 0, section, f"nothing sets {key}{hint}")])
    return replace(plan, sections={**plan.sections, section: kept})


def removal_verdict(patch: str, statuses: Iterable[Status]) -> Removal:
    """Judge a patch by the tests of the unpatched cell.

    Known failures, host trouble and refuted hardware decide nothing: only a test that broke, or tests that passed.
    """
    seen = list(statuses)
    broken, passed = [s for s in seen if s in BROKEN], [s for s in seen if s in FINE]
    if broken:
        detail = f"{len(broken)} of {len(seen)} tests break without it ({', '.join(sorted(set(broken)))})"
        return Removal(patch=patch, verdict="needed", status=Status.PASS, detail=detail)
    # One test that was not asked may be the very one that needs the patch.
    if not passed or len(passed) < len(seen):
        others = sorted({str(s) for s in seen if s not in FINE}) or ["nothing ran"]
        detail = f"not decided: {', '.join(others)}"
        return Removal(patch=patch, verdict="unknown", status=Status.NOT_EVIDENCE, detail=detail)
    detail = f"all {len(seen)} tests pass without it: retire the patch, or find the test that it is for"
    return Removal(patch=patch, verdict="unneeded", status=Status.XPASS, detail=detail)
