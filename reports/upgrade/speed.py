"""Compares the speed of two cells, with the noise of the earlier launches. Pure.

With at least five earlier launches the tolerance is theirs (`reports.compare.slower`). With fewer, the noise between
launches is not known; then only a change beyond what two launches of one plan were seen to differ by is judged.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from reports.compare.baselines import Baseline, MeasurementKey, collect_baseline, name_hardware
from reports.compare.slower import BASELINE_LAUNCHES, ONE_LAUNCH, WATCHED, not_slower
from reports.evidence.summary import CellRow
from reports.evidence.types import Measured, Record, Run

ROUNDED: Final = "input_len"  # follows the tokenizer
SpeedChange = Literal["slower", "faster", "same", "not judged", "missing"]
Numbers = Mapping[tuple[str, str], Sequence[float]]  # name, conditions -> one value for each launch


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedDifference:
    """One measured number before and after: medians over launches. `allowed` is the relative change that is noise."""

    name: str
    conditions: Mapping[str, Any]
    before: float
    after: float | None
    allowed: float
    launches: tuple[int, int]
    change: SpeedChange

    @property
    def ratio(self) -> float | None:
        return self.after / self.before if self.after is not None and self.before else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedOfRuns:
    """The speed records of both sides; `earlier` adds launches of the old side."""

    old: Baseline
    new: Baseline
    hosts: Mapping[str, Mapping[str, Any]]  # by run, of both sides
    unfit: frozenset[MeasurementKey]  # of the new side: measured by a client that was too slow

    def compare_cells(self, old: CellRow, new: CellRow) -> tuple[SpeedDifference, ...]:
        """Compare every watched number that the earlier launches of the same hardware measured."""
        hardware = self._hardware_of(new)
        before = _gather(self.old, old.cell, hardware=hardware, plans=old.fingerprints)
        after, late = _gather(self.new, new.cell), {_coverage_of(k) for k in self.unfit if k.cell == new.cell}
        return tuple(_compare_number(key, values, after.get(key), key in late) for key, values in before.items())

    def tell_hardware(self, old: CellRow, new: CellRow) -> str:
        """Tell that both sides ran on different hardware; empty where it is the same or not recorded."""
        before, after = self._hardware_of(old), self._hardware_of(new)
        same = not before or not after or before == after
        return "" if same else f"{_name_hardware(before)} -> {_name_hardware(after)}"

    def _hardware_of(self, row: CellRow) -> frozenset[tuple[tuple[str, ...], str]]:
        runs = {r.run for r in (*row.launches, *row.measurements)}
        return frozenset(h for r in runs if r in self.hosts if (h := name_hardware(self.hosts[r])) != ((), ""))


def read_speed(old: Sequence[Record], new: Sequence[Record], earlier: Baseline) -> SpeedOfRuns:
    """Collect the speed of both sides; launches of `earlier` count for the old side."""
    fit = [r for r in new if not _is_unfit(r)]
    before = collect_baseline(r for r in old if not _is_unfit(r))
    more = earlier.without_runs({r.run for r in (*old, *new)})
    keys = dict.fromkeys((*before.values, *more.values))  # in the order of the run: a set's differs from start to start
    joined = {key: {**more.values.get(key, {}), **before.values.get(key, {})} for key in keys}
    return SpeedOfRuns(
        old=Baseline(joined),
        new=collect_baseline(fit),
        hosts={r.run: r.host for r in (*old, *new) if isinstance(r, Run)},
        unfit=frozenset(collect_baseline(r for r in new if _is_unfit(r)).values),
    )


def _is_unfit(record: Record) -> bool:
    return isinstance(record, Measured) and record.conditions.get("client_fit") is False


def _gather(
    baseline: Baseline,
    cell: str,
    hardware: frozenset[tuple[tuple[str, ...], str]] = frozenset(),
    plans: frozenset[str] = frozenset(),
) -> dict[tuple[str, str], list[float]]:
    """Gather one median for each launch by name and conditions, of this hardware and these plans (empty: of any)."""
    found: dict[tuple[str, str], list[float]] = {}
    for key, launches in baseline.values.items():
        if key.cell != cell or key.name not in WATCHED:
            continue
        for at, values in launches.items():
            known = (at.gpus, at.cpu)
            same_host = not hardware or known == ((), "") or known in hardware
            if same_host and (not plans or not at.fingerprint or at.fingerprint in plans):
                found.setdefault(_coverage_of(key), []).append(statistics.median(values))
    return found


def _compare_number(
    key: tuple[str, str], before: Sequence[float], after: Sequence[float] | None, late: bool
) -> SpeedDifference:
    name, where = key
    finding = [not_slower(name, [value], before, more_is_better=WATCHED[name]) for value in after or ()]
    enough = len(before) >= BASELINE_LAUNCHES
    allowed = finding[0].data["allowed"] if finding and enough else ONE_LAUNCH[name] - 1
    base = statistics.median(before)
    now = statistics.median(after) if after else None
    if now is None:
        change: SpeedChange = "not judged" if late else "missing"
    elif enough and not all(f.sensitive for f in finding):
        change = "not judged"
    else:
        change = _judge_ratios([v / base for v in after or ()], allowed, more_is_better=WATCHED[name], enough=enough)
    launches = len(before), len(after or ())
    return SpeedDifference(
        name=name,
        conditions=json.loads(where),
        before=base,
        after=now,
        allowed=allowed,
        launches=launches,
        change=change,
    )


def _judge_ratios(ratios: Sequence[float], allowed: float, *, more_is_better: bool, enough: bool) -> SpeedChange:
    """Judge every later launch: slower or faster only where all of them are (docs/decisions/0012)."""
    worse = [_times_as_slow(r, more_is_better=more_is_better) for r in ratios]
    limit = 1 / (1 - allowed) if enough and more_is_better and allowed < 1 else 1 + allowed
    if all(not w <= limit for w in worse):  # NaN is no speed
        return "slower"
    if all(w < 1 / limit for w in worse):
        return "faster"
    if all(w <= limit for w in worse) and (enough or ratios == [1.0]):
        return "same"
    return "not judged"


def _times_as_slow(ratio: float, *, more_is_better: bool) -> float:
    if not more_is_better:
        return ratio
    return 1 / ratio if ratio else math.inf


def _coverage_of(key: MeasurementKey) -> tuple[str, str]:
    return key.name, json.dumps({k: v for k, v in key.where.items() if k != ROUNDED}, sort_keys=True)


def _name_hardware(hardware: frozenset[tuple[tuple[str, ...], str]]) -> str:
    return " or ".join(sorted(" and ".join(gpus) or cpu for gpus, cpu in hardware))
