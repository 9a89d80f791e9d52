"""Compares a cell's speed with that of the same cell without one feature, in the same evidence.

Both cells have the same rig, release and checkpoint, and the measurement has the same conditions. A ratio of two
launches is no proof of a speed-up: `--baseline` exists for launch-to-launch noise. The ratio is shown and not judged;
reports.compare.prediction judges what is predicted of a feature.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from reports.compare.feature_pairs import FeaturePair, find_feature_pairs
from reports.evidence.summary import CellRow, make_board
from reports.evidence.types import Measured, Record

COMPARED: Final = ("wave_output_throughput", "median_tpot_ms", "p99_itl_ms", "median_ttft_ms", "prefill_cold_tps")
NOT_COMPARED: Final = ("client_fit", "input_len", "attempt")  # of client, tokenizer's rounding, launch
Numbers = Mapping[tuple[str, str], tuple[float, Mapping[str, Any]]]  # name, conditions -> median, conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """One number of a cell with a feature, and without it."""

    cell: str
    feature: str
    name: str
    conditions: Mapping[str, Any]
    with_it: float
    without: float

    @property
    def ratio(self) -> float:
        return self.with_it / self.without

    def __str__(self) -> str:
        where = ", ".join(f"{k} {v}" for k, v in self.conditions.items())
        return f"{self.cell}: {self.feature} makes {self.name} {self.ratio:.2f} x {self.without:.4g} ({where})"


def find_ablations(records: Sequence[Record]) -> list[Ablation]:
    """Find every pair of cells that differ by one feature, and compare each number that both measured."""
    return [found for pair in find_feature_pairs(make_board(records).rows) for found in _compare_pair(pair)]


def _compare_pair(pair: FeaturePair[CellRow]) -> Iterator[Ablation]:
    theirs, cell, feature = _gather_numbers(pair.without), pair.cell.cell, pair.feature
    for key, (value, where) in _gather_numbers(pair.cell).items():
        if key in theirs and (without := theirs[key][0]):
            yield Ablation(cell=cell, feature=feature, name=key[0], conditions=where, with_it=value, without=without)


def _gather_numbers(row: CellRow) -> Numbers:
    by_key: dict[tuple[str, str], list[Measured]] = {}
    for m in row.measurements:
        if m.name in COMPARED:
            by_key.setdefault((m.name, json.dumps(_kept_conditions(m), sort_keys=True)), []).append(m)
    return {key: (statistics.median(m.value for m in ms), _kept_conditions(ms[0])) for key, ms in by_key.items()}


def _kept_conditions(measured: Measured) -> Mapping[str, Any]:
    return {k: v for k, v in measured.conditions.items() if k not in NOT_COMPARED}


def render_ablations(found: Sequence[Ablation]) -> str:
    """Render one line per number."""
    return "\n".join(map(str, found)) or "no two cells here differ by one feature and measured the same"
