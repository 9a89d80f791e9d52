"""The suite around the judgement: what it records, when it fails, and that stale recordings are an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fixtures.banks.canary_bank import CanaryBank
from fixtures.client.client import Client
from lab.references.record_recordings import ROOM, list_launches
from matrix.errors import ConfigError
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, make_plan
from matrix.planning.ranks import read_pattern
from matrix.yaml.load import load_matrix
from suites import test_effective
from suites.asking.depth import QUICK
from suites.measure import recordings
from tests.faults.stub.engine import MODEL, StubEngine
from tests.fixtures.llamacpp.serving import needs_canary
from tests.matrix.judging.test_observation import LOGS
from tests.suites.world import FakeRunning, Recorder


def planned(name: str) -> Plan:
    return make_plan(load_matrix(), next(c for c in expand_matrix(load_matrix()).runnable if c.id == name))


def in_effect(asked: Plan, log: Path | None, evidence: Recorder | None = None) -> Recorder:
    """Run the suite's test on a stub that prints what a recorded log says."""
    evidence = evidence or Recorder()
    with StubEngine() as stub, Client(stub.base_url, MODEL, stub.api_key) as client:
        running: Any = FakeRunning(stub.base_url, stub.api_key)
        object.__setattr__(running, "log_path", log)
        test_effective.test_requested_features_are_in_effect(
            cell=asked.cell,
            plan=asked,
            engine=running,
            client=client,
            bank=stub.learn(CanaryBank()),
            evidence=evidence,
            depth=QUICK,
        )
    return evidence


VLLM_INDEXCACHE = "sm90x1.vllm_0_26_0.canary_bf16.indexcache"
VLLM_BASELINE = "sm90x1.vllm_0_26_0.canary_bf16.baseline"


def test_a_recorded_launch_with_indexcache_passes_and_leaves_its_proofs() -> None:
    evidence = in_effect(planned(VLLM_INDEXCACHE), LOGS / "vllm_0_26_0_canary_fsfs.log")
    assert [(f, o) for f, o, _ in evidence.proofs] == [
        ("kv_layout", "proven"),
        ("dsa", "proven"),
        ("indexcache", "proven"),
    ]


def test_a_recorded_launch_without_it_fails_and_still_leaves_its_proofs() -> None:
    evidence = Recorder()
    with pytest.raises(AssertionError, match=r"indexcache is refuted by counters and sizes: .*IndexCache is inert"):
        in_effect(planned(VLLM_INDEXCACHE), LOGS / "vllm_0_26_0_canary.log", evidence)
    assert ("indexcache", "refuted") in [(f, o) for f, o, _ in evidence.proofs]


def test_an_engine_that_shows_nothing_is_visibly_unproven() -> None:
    evidence = in_effect(planned(VLLM_INDEXCACHE), None)
    assert {o for _, o, _ in evidence.proofs} == {"unproven"}
    assert {f for f, _, _ in evidence.proofs} >= {"indexcache", "dsa"}


def test_an_engine_that_shows_nothing_that_was_asked_is_no_evidence() -> None:
    asked = planned(VLLM_BASELINE)
    with StubEngine() as stub, Client(stub.base_url, MODEL, stub.api_key) as client:
        running: Any = FakeRunning(stub.base_url, stub.api_key)
        with pytest.raises(pytest.skip.Exception, match=r"^NOT_EVIDENCE: vLLM shows nothing"):
            test_effective.test_requested_equals_effective(
                cell=asked.cell, plan=asked, engine=running, client=client, evidence=Recorder()
            )


# --- recordings -------------------------------------------------------------------------------------------------------

CPU = "cpu.llamacpp_2026_10_11549.canary_bf16."


def recorded() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(recordings.FILE.read_text(encoding="utf-8"))
    return loaded


def test_there_is_a_recording_for_every_way_the_cpu_cells_compute() -> None:
    ways = {read_pattern(c) for c in expand_matrix(load_matrix()).runnable if c.id.startswith(("cpu.llama",))}
    assert ways | {recordings.DENSE} == recorded()["ways"].keys() == list_launches()[0].keys()


def test_a_checkpoint_that_shares_by_itself_is_held_against_its_own_pattern() -> None:
    ways = {c.id.split(".", 1)[1]: read_pattern(c) for c in expand_matrix(load_matrix()).runnable}
    sharing = {name: way for name, way in ways.items() if ".canary_shared" in name}
    assert len(sharing) > 5 and set(sharing.values()) == {"FFSS"}
    assert ways["vllm_0_33_0.canary_bf16.baseline"] == "FFFF"


def test_recorded_ways_are_far_enough_apart() -> None:
    from matrix.judging.logprobs import measure_distance

    ways, tolerance = recorded()["ways"], recorded()["tolerance"]
    pairs = [(a, b) for a in ways for b in ways if a < b]
    assert min(measure_distance(ways[a], ways[b]) for a, b in pairs) >= 2 * tolerance - 1e-5
    assert ROOM * recorded()["noise"] <= tolerance


@needs_canary
@pytest.mark.parametrize("key", ["weights_sha256", "prompt_sha256"])
def test_stale_recordings_are_an_error_that_names_the_command(key: str, tmp_path: Path) -> None:
    file = tmp_path / "recordings.json"
    file.write_text(json.dumps({**recorded(), key: "0" * 64}))
    asked = planned(CPU + "baseline")
    with (
        Client("http://127.0.0.1:1", MODEL) as client,
        pytest.raises(ConfigError, match=f"{key} is 000.*record again: glm-matrix record-recordings"),
    ):
        list(recordings.prove_attention(asked.cell, asked, client, CanaryBank(), file))


@needs_canary
def test_the_committed_recordings_are_of_these_weights_and_this_prompt() -> None:
    """Fails after every change of either, with the command that mends it."""
    asked = planned(CPU + "baseline")
    item = recordings.make_prompt(CanaryBank())
    assert item is not None
    recordings.require_current(recorded(), asked.cell, item, recordings.FILE)


@pytest.mark.parametrize(
    "name",
    [
        "cpu.llamacpp_2026_10_11549.canary_q8_0.baseline",
        "cpu.llamacpp_2026_10_11549.canary_reap160.baseline",
        VLLM_BASELINE,
    ],
)
def test_launches_without_a_recording_are_left_alone(name: str) -> None:
    asked = planned(name)
    with Client("http://127.0.0.1:1", MODEL) as client:
        assert list(recordings.prove_attention(asked.cell, asked, client, CanaryBank())) == []
