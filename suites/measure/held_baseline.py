"""Checks `--baseline` before the first test: its launches must be of selected cells, today's plans and this hardware.

A file of another rig or release judges nothing and looks as if it did; a file of another plan or GPU judges wrongly.
Both are refused before an engine is loaded. A folder collects launches of many rigs and releases: only those that fit
are used. Cells without a fitting launch are measured and not judged, as without a baseline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matrix.errors import ConfigError, Problem
from matrix.planning.plan import Plan
from reports.compare.baselines import Baseline, Fitting, find_files, name_hardware, read_baseline


def require_fitting(paths: Sequence[Path], plans: Sequence[Plan], host: Mapping[str, Any]) -> None:
    """Require that each file given by name fits the selected cells.

    Raises:
        ConfigError: naming each file that is no baseline of it, what it is of, and what was expected.
    """
    files = [path for path in find_files(paths) if path in paths]
    problems = [Problem(str(file), 0, "", why) for file in files for why in _explain_unfit(file, plans, host)]
    if problems:
        raise ConfigError(problems)


def fit_plan(earlier: Baseline, plan: Plan, host: Mapping[str, Any]) -> Fitting:
    """Select the part of a baseline that fits a plan on this host."""
    gpus, cpu = name_hardware(host)
    return earlier.fitting(plan.cell.id, plan.fingerprint, gpus, cpu)


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
