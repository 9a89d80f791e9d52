"""From a load result to measurements, and who is to blame when the client was too slow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.banks.glm5 import Glm5Bank
from matrix.errors import HostError
from reports.compare.slower import WAVE
from reports.evidence.finding import Finding
from suites.measure import loads
from tests.faults.stub.engine import StubEngine
from tests.suites.world import DEPTH, FakeRunning, Recorder, cell

UNFIT = {"client_fit": False, "client_unfit_because": "client CPU 99% > 70%", "client_beats": 500}


def test_a_starved_client_is_the_hosts_fault() -> None:
    with pytest.raises(HostError, match="client CPU 99%"):
        loads.require_fit(UNFIT, cell(sm=90))


def test_on_the_cpu_rig_it_is_only_recorded() -> None:
    loads.require_fit(UNFIT, cell())


def test_of_a_load_of_a_moment_it_is_only_recorded() -> None:
    """`quick` on a GPU: 40 beats, of which the latest would be the p99."""
    loads.require_fit(UNFIT | {"client_beats": 40}, cell(sm=90))


def test_a_load_measures_and_records(tmp_path: Path) -> None:
    evidence = Recorder()
    with StubEngine() as stub:
        engine = FakeRunning(stub.base_url, stub.api_key)
        result: dict[str, Any] = loads.measure_load(engine, Glm5Bank(), DEPTH, streams=2, output_len=8, waves=2)
    loads.record_load(evidence, result)
    assert result["output_lens"] == [8] * 4
    assert result["failed"] == 0
    assert {name for name, _, _ in evidence.measurements} == {*loads.RECORDED, WAVE}


def test_what_is_measured_was_not_asked_before() -> None:
    """Each prompt once: a warm-up of the measured ones would leave them in the prefix cache."""
    with StubEngine() as stub:
        taken: list[bool] = []
        answer = stub.answer
        stub.answer = lambda request: taken.append((made := answer(request)).cached_tokens > 0) or made  # type: ignore
        loads.measure_load(
            FakeRunning(stub.base_url, stub.api_key), Glm5Bank(), DEPTH, streams=2, output_len=4, waves=2
        )
    assert taken == [False] * 6


def test_without_a_warm_up_the_measured_prompts_are_the_same() -> None:
    with StubEngine() as stub:
        engine, asked = FakeRunning(stub.base_url, stub.api_key), []
        answer = stub.answer
        stub.answer = lambda request: asked.append(request["messages"]) or answer(request)  # type: ignore
        for warm_up in (True, False):
            depth = replace(DEPTH, load_warm_up=warm_up)
            loads.measure_load(engine, Glm5Bank(), depth, streams=1, output_len=4, waves=2)
    assert len(asked) == 5 and asked[1:3] == asked[3:]


@pytest.mark.parametrize(
    ("most", "asked"), [(1, (1, 2)), (16, (1, 16)), (128, (1, 32, 128)), (None, (1, 32, 128))], ids=str
)
def test_no_more_streams_than_the_launch_runs_at_once(most: int | None, asked: tuple[int, ...]) -> None:
    settings = {} if most is None else {"max_running_requests": most}
    assert loads.limit_streams(settings, (1, 32, 128)) == asked


FINDING = Finding(check="throughput.littles_law", ok=False, expected="2", got="1.7", detail="1.70 streams implied")


def test_a_fit_client_may_fail_the_accounting() -> None:
    assert loads.excuse_unfit_client({"client_fit": True}, FINDING) is FINDING


def test_an_unfit_client_neither_passes_nor_fails_anything() -> None:
    judged = loads.excuse_unfit_client(UNFIT, FINDING)
    assert (judged.ok, judged.sensitive) == (True, False)
    assert "client CPU 99%" in judged.detail and "1.70 streams" in judged.detail
