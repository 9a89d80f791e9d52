"""What is slower than its baseline is measured once more on a fresh launch; nothing else is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fixtures.banks.glm5 import Glm5Bank
from reports.compare.baselines import Baseline, read_baseline
from reports.compare.slower import WAVE
from reports.evidence.files import EvidenceWriter
from reports.evidence.finding import Finding
from suites.asking.contract import EngineHandle
from suites.checks import throughput
from suites.measure import loads
from suites.measure.baseline_with_relaunch import Load, MeasuredInputs
from tests.suites.checks.test_throughput import result
from tests.suites.world import DEPTH, FakeRunning, Recorder, cell

FIRST, FRESH = FakeRunning("http://first", None), FakeRunning("http://fresh", None)
HEALTHY_TPOT_S, SLOW_TPOT_S = 0.02, 0.03
FIT = {"client_fit": True, "client_beats": 500}
LENGTH = 50


def loaded(tpot: float, streams: int = 1, **changes: Any) -> dict[str, Any]:
    """Return what `loads.load` would have measured."""
    found = result(streams=streams, tpot=tpot, length=LENGTH, **FIT) | {"output_len_asked": LENGTH}
    return found | {WAVE: throughput.rate_by_wave(found)[0]} | changes


@dataclass
class Bench:
    """Two launches that measure what they are told, and what was asked of them."""

    first: Sequence[Mapping[str, Any]]
    fresh: Sequence[Mapping[str, Any]] = ()
    attached: bool = False
    launches: int = 5
    reasons: list[str] = field(default_factory=list)
    evidence: Recorder = field(default_factory=Recorder)

    def measure(self, engine: EngineHandle, *_: Any, streams: int, **__: Any) -> dict[str, Any]:
        taken = self.first if engine is FIRST else self.fresh
        return dict(next(found for found in taken if found["max_concurrency"] == streams))

    def relaunch(self, why: str) -> EngineHandle | None:
        self.reasons.append(why)
        return None if self.attached else FRESH

    def findings(
        self, folder: Path, true: Callable[[Mapping[str, Any]], Finding] = throughput.check_littles_law
    ) -> Any:
        judged = MeasuredInputs(
            cell=cell(),
            bank=Glm5Bank(),
            evidence=self.evidence,
            depth=DEPTH,
            baseline=self._baseline(folder),
            relaunch=self.relaunch,
            measure=self.measure,
        )
        asked = [
            Load(streams=found["max_concurrency"], output_len=LENGTH, prompt_tokens=100, true=true)
            for found in self.first
        ]
        return list(judged.findings(FIRST, asked))

    def _baseline(self, folder: Path) -> Baseline:
        for run in range(self.launches):
            with EvidenceWriter(folder / "b.jsonl", f"r{run}") as writer:
                for found in self.first:
                    healthy = loaded(HEALTHY_TPOT_S * (1 + run / 1000), streams=found["max_concurrency"])
                    recorded = Recorder()
                    loads.record_load(recorded, healthy, depth=DEPTH.name)
                    writer.append(
                        {"kind": "measurement", "cell": cell().id, "name": n, "value": v, "unit": u, "conditions": c}
                        for (n, v, u), c in zip(recorded.measurements, recorded.conditions, strict=True)
                    )
        return read_baseline([folder / "b.jsonl"]) if self.launches else Baseline()


SLOW, FAST = loaded(SLOW_TPOT_S), loaded(HEALTHY_TPOT_S)
TPOT = "throughput.not_slower.median_tpot_ms"


def red(findings: Sequence[Finding]) -> set[str]:
    return {f.check for f in findings if not f.ok}


def test_slow_once_passes_and_says_so(tmp_path: Path) -> None:
    bench = Bench([SLOW], [FAST])
    found = bench.findings(tmp_path)
    assert red(found) == set()
    (tpot,) = [f for f in found if f.check == TPOT]
    assert tpot.note == tpot.detail == "1.50 of the baseline, 1.00 on a fresh launch"
    assert len(bench.reasons) == 1 and TPOT in bench.reasons[0]


def test_slow_twice_fails_with_both_ratios(tmp_path: Path) -> None:
    bench = Bench([SLOW], [loaded(1.1 * SLOW_TPOT_S)])
    found = bench.findings(tmp_path)
    assert red(found) == {TPOT, f"throughput.not_slower.{WAVE}"}
    (tpot,) = [f for f in found if f.check == TPOT]
    assert (tpot.detail, tpot.note) == ("1.50 of the baseline, 1.65 on a fresh launch", "")
    assert len(bench.reasons) == 1


def test_both_measurements_are_kept_and_told_apart(tmp_path: Path) -> None:
    bench = Bench([SLOW], [FAST])
    bench.findings(tmp_path)
    recorded = zip(bench.evidence.measurements, bench.evidence.conditions, strict=True)
    tpots = [(round(v), c.get("attempt")) for (n, v, _), c in recorded if n == "median_tpot_ms"]
    assert tpots == [(30, None), (20, 2)]


def test_as_fast_as_before_is_measured_once(tmp_path: Path) -> None:
    bench = Bench([FAST])
    assert red(bench.findings(tmp_path)) == set()
    assert bench.reasons == []


@pytest.mark.parametrize("launches", [0, 4])
def test_without_enough_launches_nothing_is_launched_again(tmp_path: Path, launches: int) -> None:
    bench = Bench([SLOW], launches=launches)
    assert red(bench.findings(tmp_path)) == set()
    assert bench.reasons == []


def _impossible(_: Mapping[str, Any]) -> Finding:
    return Finding(check="throughput.possible", ok=False, expected="", got="")


def test_what_is_wrong_in_another_way_is_not_launched_again(tmp_path: Path) -> None:
    incomplete = Bench([SLOW | {"failed": 1, "errors": ["HTTP 500"]}], [FAST])
    assert "throughput.complete" in red(incomplete.findings(tmp_path / "a"))
    impossible = Bench([SLOW], [FAST])
    assert {"throughput.possible", TPOT} <= red(impossible.findings(tmp_path / "b", _impossible))
    assert incomplete.reasons == impossible.reasons == []


def test_after_what_is_no_measurement_nothing_more_is_asked(tmp_path: Path) -> None:
    broken = loaded(HEALTHY_TPOT_S, 2, failed=1, errors=["HTTP 500"])
    found = Bench([FAST, broken, loaded(HEALTHY_TPOT_S, 4)]).findings(tmp_path)
    assert [f.data["concurrency"] for f in found if f.check == "throughput.complete"] == [1, 2]


def test_somebody_elses_engine_keeps_its_first_verdict(tmp_path: Path) -> None:
    bench = Bench([SLOW], attached=True)
    found = bench.findings(tmp_path)
    assert TPOT in red(found)
    assert [f.detail for f in found if f.check == TPOT] == [
        "not measured on a fresh launch: the engine is somebody else's"
    ]


def test_of_several_loads_only_the_slow_ones_are_repeated_on_one_fresh_launch(tmp_path: Path) -> None:
    bench = Bench([SLOW, loaded(HEALTHY_TPOT_S, 2), loaded(SLOW_TPOT_S, 4)], [FAST, loaded(SLOW_TPOT_S, 4)])
    found = bench.findings(tmp_path)
    assert [f.ok for f in found if f.check == TPOT] == [True, True, False]  # of 2 streams, then of 1 and 4
    assert len(bench.reasons) == 1


def test_a_fresh_launch_must_be_a_measurement_too(tmp_path: Path) -> None:
    cut = FAST | {"output_lens": [1] * len(FAST["output_lens"])}
    assert "throughput.complete" in red(Bench([SLOW], [cut]).findings(tmp_path))


def test_a_client_that_was_not_fit_on_the_fresh_launch_excuses_nothing(tmp_path: Path) -> None:
    late = FAST | {"client_fit": False, "client_unfit_because": "CPU 99 %"}
    assert TPOT in red(Bench([SLOW], [late]).findings(tmp_path))


def test_other_prompts_on_the_fresh_launch_excuse_nothing(tmp_path: Path) -> None:
    assert TPOT in red(Bench([SLOW], [FAST | {"total_input_tokens": 1}]).findings(tmp_path))
