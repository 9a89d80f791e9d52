"""Reads published tables as loose floors: same release, checkpoint, rig and load."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from matrix.model import Cell
from matrix.recorded import Measurement
from matrix.yaml.load import load_matrix
from reports.evidence.finding import Finding
from suites.checks import throughput

Result = Mapping[str, Any]
# A claim's metric -> ours, and whether more is better. Published TTFTs are not among them: they measure queue or cache.
COMPARED: Final[Mapping[str, tuple[Callable[[Result], float], bool]]] = {
    "output_throughput": (lambda r: float(r["output_throughput"]), True),
    "decode_throughput": (lambda r: 1000 / r["median_tpot_ms"] if r["median_tpot_ms"] else 0.0, True),
    "mean_tpot": (lambda r: float(r["mean_tpot_ms"]), False),
}
INPUT_ROOM: Final = 0.10  # banks make prompts of about a length
INPUT: Final = ("input_tokens", "prompt_tokens", "context_tokens")  # under one of these names
UNDERSTOOD: Final = {*INPUT, "concurrency", "output_tokens", "indexcache", "mtp", "dataset", "warmup", "repetitions"}


def check_claims(cell: Cell, result: Result) -> Iterator[Finding]:
    """Yield one finding for each published number that this load repeats."""
    for claim, measured in _claims_of(cell):
        if measured.metric in COMPARED and _repeats_claim(measured.conditions, result, cell):
            ours, more_is_better = COMPARED[measured.metric]
            label = f"{claim}.{measured.metric}.c{result['max_concurrency']}"
            yield throughput.check_claim(label, ours(result), float(measured.value), more_is_better=more_is_better)


@cache
def _claims_of(cell: Cell) -> tuple[tuple[str, Measurement], ...]:
    """Return the measurements that are published about this cell, each with its claim's id."""
    own = [c.value for c in load_matrix().claims if c.condition(cell.facts)]
    return tuple((claim.id, measured) for claim in own for measured in claim.measurements)


def _repeats_claim(conditions: Mapping[str, Any], result: Result, cell: Cell) -> bool:
    """Return whether a load can repeat every condition of the claim, and this one did."""
    asked = next((conditions[name] for name in INPUT if name in conditions), None)
    if asked is None or not conditions.keys() <= UNDERSTOOD:
        return False
    mean = result["total_input_tokens"] / max(1, result["completed"])
    features = all(conditions.get(f, f in cell.features) == (f in cell.features) for f in ("indexcache", "mtp"))
    same = conditions.get("concurrency") == result["max_concurrency"]
    same &= conditions.get("output_tokens", result["output_len_asked"]) == result["output_len_asked"]
    return bool(features and same and abs(mean / asked - 1) <= INPUT_ROOM)
