"""Checks `--baseline` before the first test: its launches must be of selected cells, today's plans and this hardware.

A file of another rig or release judges nothing and looks as if it did; a file of another plan or GPU judges wrongly.
Both are refused before an engine is loaded. A folder collects launches of many rigs and releases: only those that fit
are used. Cells without a fitting launch are measured and not judged, as without a baseline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.model import Release
from matrix.planning.plan import Plan
from reports.compare.baselines import Baseline, Fitting, find_files, name_hardware, read_baseline
from reports.compare.earlier_release import fit_release, name_sibling


def require_fitting(paths: Sequence[Path], plans: Sequence[Plan], host: Mapping[str, Any]) -> None:
    """Require that each file given by name fits the selected cells.

    Raises:
        ConfigError: naming each file that is no baseline of it, what it is of, and what was expected.
    """
    # Files by name alone: a folder is a collection, of which what fits is used.
    files = [path for path in find_files(paths) if path in paths]
    problems = [Problem(str(file), 0, "", why) for file in files for why in _explain_unfit(file, plans, host)]
    if problems:
        raise ConfigError(problems)


def fit_earlier(earlier: Baseline, plan: Plan, host: Mapping[str, Any], release: Release | None) -> Fitting:
    """Select the part of a baseline that a cell is held against: its own launches, or those of an earlier release.

    Cells of another engine than the release, and of the release itself, are held against nothing.
    """
    if release is None:
        return fit_plan(earlier, plan, host)
    sibling = name_sibling(plan.cell, release)
    gpus, cpu = name_hardware(host)
    # The release itself has no earlier self here, and another engine is another program.
    if not sibling:
        return Fitting(baseline=Baseline(), refused=())
    return fit_release(earlier, plan.cell.id, sibling, gpus, cpu)


def require_release(
    paths: Sequence[Path], plans: Sequence[Plan], host: Mapping[str, Any], name: str, known: Mapping[str, Release]
) -> Release:
    """Require that some selected cell can be held against this release.

    Raises:
        ConfigError: there is no such release, no baseline, or no launch of it that fits a selected cell.
    """
    problem = partial(Problem, "--baseline-release", 0, "")
    if name not in known:
        raise ConfigError([problem(f"there is no release {name!r}{suggest_nearest(name, known)}")])
    if not paths:
        raise ConfigError([problem("name its launches with --baseline: an evidence file, or a folder of them")])
    release, earlier = known[name], read_baseline(paths)
    siblings = {plan.cell.id: name_sibling(plan.cell, release) for plan in plans}
    own = [plan for plan in plans if siblings[plan.cell.id]]
    if plans and not own:
        why = f"{name} is of {release.engine}, and no selected cell is another release of it"
        raise ConfigError([problem(f"{why}; selected is {plans[0].cell.id}, say")])
    fits = [fit_earlier(earlier, plan, host, release) for plan in own]
    # Any one suffices: a night covers many cells, and the earlier release need not have run them all.
    if own and not any(fit.baseline.values for fit in fits):
        refused = sorted({why for fit in fits for why in fit.refused})
        wanted = siblings[own[0].cell.id]
        why = "; ".join(refused) or f"{_say_cells(earlier)}; wanted is {wanted}"
        raise ConfigError([problem(f"the baseline holds no launch of {name} that fits: {why}")])
    return release


def fit_plan(earlier: Baseline, plan: Plan, host: Mapping[str, Any]) -> Fitting:
    """Select the part of a baseline that fits a plan on this host."""
    gpus, cpu = name_hardware(host)
    return earlier.select_fitting(plan.cell.id, plan.fingerprint, gpus, cpu)


def _explain_unfit(file: Path, plans: Sequence[Plan], host: Mapping[str, Any]) -> Iterator[str]:
    earlier = read_baseline([file])
    own = [plan for plan in plans if plan.cell.id in earlier.cells]
    if plans and not own:
        yield f"it holds no launch of a selected cell: {_say_cells(earlier)}; selected is {plans[0].cell.id}, say"
    for plan in own:
        fit = fit_plan(earlier, plan, host)
        if not fit.baseline.values:
            yield f"it is no baseline for {plan.cell.id}: {'; '.join(fit.refused)}; measure it anew"


def _say_cells(earlier: Baseline) -> str:
    return f"it is of {min(earlier.cells)}, say" if earlier.cells else "it holds no measurement at all"
