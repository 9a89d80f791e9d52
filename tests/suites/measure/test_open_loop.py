"""An open loop takes its rate from the launch, sends every prompt once, and is held against earlier launches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.banks.glm5 import Glm5Bank
from matrix.errors import EngineError
from reports.compare.baselines import read_baseline
from reports.evidence.files import EvidenceWriter
from suites.measure import load_text, loads, open_loop
from suites.measure.baseline_with_relaunch import MeasuredInputs
from tests.faults.stub.engine import StubEngine
from tests.suites.world import DEPTH, FakeRunning, Recorder, cell

STREAMS = 2
SMALL = replace(DEPTH, open_requests=5, open_output_tokens=8, load_prompt_tokens=DEPTH.open_prompt_tokens)
ASKED: dict[str, Any] = {"streams": STREAMS, "output_len": 8, "waves": open_loop.CLOSED_WAVES, "share": 0.5}


def test_every_prompt_is_sent_once_and_the_rate_is_a_share_of_the_launchs_own() -> None:
    with StubEngine() as stub:
        cached: list[bool] = []
        answer = stub.answer
        stub.answer = lambda request: cached.append((made := answer(request)).cached_tokens > 0) or made  # type: ignore
        found = open_loop.measure_open_load(FakeRunning(stub.base_url, stub.api_key), Glm5Bank(), SMALL, **ASKED)
    closed = STREAMS * (1 + open_loop.CLOSED_WAVES)
    assert cached == [False] * (2 * closed + 5)
    assert found["offered_rate"] == pytest.approx(0.5 * found["closed_request_throughput"])
    assert len(found[load_text.TEXTS]) == open_loop.READ
    assert all(closed <= number + STREAMS < closed + 5 for number in found[load_text.NUMBERS])


def test_a_server_that_completes_nothing_has_no_capacity() -> None:
    with pytest.raises(EngineError, match="has no capacity"):
        open_loop.measure_open_load(FakeRunning("http://127.0.0.1:9", "k"), Glm5Bank(), SMALL, **ASKED)


def opened(ttft_ms: float) -> dict[str, Any]:
    """Return what `measure_open_load` would."""
    with StubEngine() as stub:
        found = open_loop.measure_open_load(FakeRunning(stub.base_url, stub.api_key), Glm5Bank(), SMALL, **ASKED)
    return found | {
        "median_ttft_ms": ttft_ms,
        "median_tpot_ms": 10.0,
        "client_fit": True,
        "client_unfit_because": "",
        load_text.TEXTS: [],
    }


@pytest.mark.parametrize(("ttft_ms", "ok"), [(101.0, True), (160.0, False)])
def test_a_first_token_that_comes_later_than_at_earlier_launches_fails(
    tmp_path: Path, ttft_ms: float, ok: bool
) -> None:
    load, found = open_loop.make_load(0.5, STREAMS, SMALL), opened(100.0)
    for run in range(5):
        with EvidenceWriter(tmp_path / "b.jsonl", f"r{run}") as writer:
            recorded = Recorder()
            loads.record_load(recorded, found | {"median_ttft_ms": 100.0 + run}, depth=SMALL.name, **load.where)
            writer.append(
                {"kind": "measurement", "cell": cell().id, "name": n, "value": v, "unit": u, "conditions": c}
                for (n, v, u), c in zip(recorded.measurements, recorded.conditions, strict=True)
            )
    evidence = Recorder()
    judged = MeasuredInputs(
        cell=cell(),
        bank=Glm5Bank(),
        evidence=evidence,
        depth=SMALL,
        baseline=read_baseline([tmp_path / "b.jsonl"]),
        relaunch=lambda _: None,
        measure=lambda *_, **__: found | {"median_ttft_ms": ttft_ms},
    )
    told = {f.check: f for f in judged.findings(FakeRunning("http://first", None), [load])}
    assert told["throughput.not_slower.median_ttft_ms"].ok is ok
    assert {"offered_rate", "good_share", "late_share", "p99_e2el_ms"} <= {name for name, _, _ in evidence.measurements}
