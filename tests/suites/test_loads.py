"""From a load result to measurements, and who is to blame when the client was too slow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fixtures.banks.glm5 import Glm5Bank
from fixtures.stub_engine import StubEngine
from matrix.errors import HostError
from reports.finding import Finding
from suites import loads
from tests.suites.world import DEPTH, FakeRunning, Recorder, cell

UNFIT = {"client_fit": False, "client_unfit_because": "client CPU 99% > 70%"}


def test_a_starved_client_is_the_hosts_fault() -> None:
    with pytest.raises(HostError, match="client CPU 99%"):
        loads.must_be_fit(UNFIT, cell(sm=90))


def test_on_the_cpu_rig_it_is_only_recorded() -> None:
    loads.must_be_fit(UNFIT, cell())


def test_a_load_measures_and_records(tmp_path: Path) -> None:
    evidence = Recorder()
    with StubEngine() as stub:
        engine = FakeRunning(stub.base_url, stub.api_key)
        result: dict[str, Any] = loads.load(engine, Glm5Bank(), DEPTH, streams=2, output_len=8, waves=2)
    loads.record(evidence, result)
    assert result["output_lens"] == [8] * 4
    assert result["failed"] == 0
    assert {name for name, _, _ in evidence.measurements} == set(loads.RECORDED)


FINDING = Finding(check="throughput.littles_law", ok=False, expected="2", got="1.7", detail="1.70 streams implied")


def test_a_fit_client_may_fail_the_accounting() -> None:
    assert loads.if_fit({"client_fit": True}, FINDING) is FINDING


def test_an_unfit_client_neither_passes_nor_fails_anything() -> None:
    judged = loads.if_fit(UNFIT, FINDING)
    assert (judged.ok, judged.sensitive) == (True, False)
    assert "client CPU 99%" in judged.detail and "1.70 streams" in judged.detail
