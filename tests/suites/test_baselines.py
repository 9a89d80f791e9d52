"""Baselines are evidence files: one value a run, the same cell and the same conditions only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from matrix.errors import ConfigError
from reports.compare.baselines import Baseline, read_baseline
from reports.evidence.files import EvidenceWriter
from suites.measure import loads
from tests.suites.world import cell

WHERE = {"concurrency": 2, "input_len": 30, "client_fit": True}
RESULT: dict[str, Any] = {
    "client_fit": True,
    "wave_output_throughput": 90.0,
    "median_ttft_ms": 10.0,
    "median_tpot_ms": 5.0,
}


def launches(path: Path, values: list[float], name: str = "wave_output_throughput", run: str = "r") -> Path:
    for i, value in enumerate(values):
        fields = {"kind": "measurement", "cell": cell().id, "name": name, "value": value, "unit": "tok/s"}
        with EvidenceWriter(path, f"{run}{i}") as writer:
            writer.append([{**fields, "conditions": {**WHERE, "client_fit": bool(i % 2)}}])
    return path


def slower(path: Path, **changes: Any) -> list[bool]:
    found = loads.check_baseline(read_baseline([path]), cell(), RESULT | changes, WHERE)
    return [finding.ok for finding in found if finding.check.endswith("wave_output_throughput")]


def test_one_value_per_run_whatever_the_client(tmp_path: Path) -> None:
    path = launches(tmp_path / "b.jsonl", [100.0, 101.0, 99.0])
    launches(path, [103.0], run="r")  # run r0 again: its median is taken
    values = read_baseline([path]).list_launches(cell().id, "wave_output_throughput", WHERE)
    assert sorted(values) == [99.0, 101.0, 101.5]


def test_each_launch_of_a_run_is_one_value_and_the_attempt_is_no_condition(tmp_path: Path) -> None:
    """A test that was slow measured again on a fresh launch: two launches, and not the mean of both."""
    who = {"cell": cell().id, "fingerprint": "f"}
    launch = {"kind": "launch", **who, "outcome": "ok"}
    measured = {"kind": "measurement", **who, "name": "wave_output_throughput", "value": 80.0, "unit": "tok/s"}
    with EvidenceWriter(tmp_path / "b.jsonl", "r") as writer:
        writer.append([launch, {**measured, "conditions": WHERE}])
        writer.append([launch, {**measured, "value": 100.0, "conditions": {**WHERE, "attempt": 2}}])
        writer.append([{**measured, "value": 102.0, "conditions": WHERE}])  # a later test, on the new engine
    assert read_baseline([tmp_path / "b.jsonl"]).list_launches(cell().id, "wave_output_throughput", WHERE) == [
        80.0,
        101.0,
    ]


def test_other_conditions_and_cells_are_not_compared(tmp_path: Path) -> None:
    found = read_baseline([launches(tmp_path / "b.jsonl", [100.0])])
    assert found.list_launches(cell().id, "wave_output_throughput", {**WHERE, "concurrency": 3}) == []
    assert found.list_launches("other", "wave_output_throughput", WHERE) == []
    assert found.list_launches(cell().id, "median_tpot_ms", WHERE) == []


def test_slower_than_five_launches_fails_and_as_fast_passes(tmp_path: Path) -> None:
    path = launches(tmp_path / "b.jsonl", [100.0, 101.0, 99.0, 100.5, 99.5])
    assert slower(path) == [False]
    assert slower(path, wave_output_throughput=97.0) == [True]


def test_four_launches_are_too_few_to_fail(tmp_path: Path) -> None:
    assert slower(launches(tmp_path / "b.jsonl", [100.0, 101.0, 99.0, 100.5])) == [True]


def test_an_unfit_client_fails_no_engine(tmp_path: Path) -> None:
    path = launches(tmp_path / "b.jsonl", [100.0] * 5)
    assert slower(path, client_fit=False, client_unfit_because="CPU 99%") == [True]


def test_without_a_baseline_nothing_is_asserted() -> None:
    assert list(loads.check_baseline(Baseline(), cell(), RESULT, WHERE)) == []


def test_a_file_that_is_no_evidence_is_named(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text("nonsense\n")
    with pytest.raises(ConfigError, match="not JSON"):
        read_baseline([tmp_path / "b.jsonl"])
