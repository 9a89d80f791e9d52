"""Holds a cell's speed against the same cell of an earlier release: same rig, checkpoint and features. Pure.

Between two releases everything may change except what the user asked for, so plans are not compared, and hardware is.
With at least five launches of the earlier release the tolerance is their scatter (`reports.compare.slower`). With fewer
it is what two launches of one plan were seen to differ by (`ONE_LAUNCH`): a third of the speed fails, and a tenth less
does not, which the finding says.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from matrix.model import Cell, Release
from reports.compare.baselines import Baseline, Earlier, Fitting, Launched, MeasurementKey
from reports.compare.slower import BASELINE_LAUNCHES, ONE_LAUNCH, not_slower
from reports.evidence.finding import Finding

CHECK: Final = "throughput.not_slower_than_release"


def name_sibling(cell: Cell, release: Release) -> str:
    """Return the id of the same cell of another release; empty where it is of another engine, or the cell's own."""
    if release.engine != cell.engine.id or release.id == cell.release.id:
        return ""
    return replace(cell, release=release).id


def fit_release(earlier: Baseline, cell: str, sibling: str, gpus: Sequence[str], cpu: str) -> Fitting:
    """Select the sibling's values on such hardware, under the keys of the cell, and explain what was left out."""
    kept: dict[MeasurementKey, dict[Launched, Sequence[float]]] = {}
    refused: set[tuple[Launched, str]] = set()
    for key, launches in earlier.values.items():
        for at, values in launches.items() if key.cell == sibling else ():
            why = at.explain_misfit(at.fingerprint, gpus, cpu)  # of any plan
            if why:
                refused.add((at, why))
            else:
                kept.setdefault(key._replace(cell=cell), {})[at] = values
    whys = [why for _, why in refused]
    told = tuple(f"{whys.count(why)} launches {why}" for why in sorted(set(whys)))
    return Fitting(baseline=Baseline(kept), refused=told)


def not_slower_than_release(
    name: str, now: Sequence[float], earlier: Sequence[float], *, release: str, more_is_better: bool
) -> Finding:
    """Compare the median of these values with the medians of the launches of an earlier release."""
    found = not_slower(name, now, earlier, more_is_better=more_is_better)
    if len(earlier) >= BASELINE_LAUNCHES:
        return replace(found, check=f"{CHECK}.{name}", expected=f"{found.expected} of {release}")
    base, factor = statistics.median(earlier), ONE_LAUNCH[name]
    ratio = found.data["ratio"]
    slower = not (ratio >= 1 / factor if more_is_better else ratio <= factor)  # NaN is no speed to be green by
    return replace(
        found,
        check=f"{CHECK}.{name}",
        ok=not slower,
        expected=f"{base:.3g} of {release} ({len(earlier)} launches) within a factor of {factor:g}",
        detail=f"with {BASELINE_LAUNCHES} launches of {release} less would show",
        sensitive=True,
        data={"ratio": ratio, "allowed": factor - 1, "release": release},
    )


def compare_earlier(name: str, now: Sequence[float], earlier: Earlier, *, more_is_better: bool) -> Finding:
    """Compare with launches of the cell itself, or of another release, each by its own rule."""
    if not earlier.release:
        return not_slower(name, now, earlier.values, more_is_better=more_is_better)
    return not_slower_than_release(name, now, earlier.values, release=earlier.release, more_is_better=more_is_better)
