"""Cold apart from warm, and only answers given during the load count as given under load."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.banks.glm5 import Glm5Bank
from fixtures.client.client import Client
from matrix.yaml.load import load_matrix
from suites.measure import speed
from suites.measure.no_prefix_cache import bypass_prefix_cache
from tests.faults.stub.engine import MODEL, StubEngine
from tests.suites.world import FakeRunning, Recorder

LLAMACPP = load_matrix().engines["llamacpp"]


def test_only_rounds_that_met_the_load_count() -> None:
    result: dict[str, Any] = {"start_times": [10.0, 11.0], "e2els": [1.0, 4.0]}  # from 10 to 15
    asked = [
        speed._Asked(8.0, 9.9, {"before": False}),
        speed._Asked(9.0, 10.1, {"a": True}),
        speed._Asked(12.0, 13.0, {"a": False, "b": True}),
        speed._Asked(14.9, 16.0, {"c": True}),
        speed._Asked(15.1, 16.0, {"after": False}),
    ]
    assert speed._answers_during(result, asked) == {"a": False, "b": True, "c": True}


def test_prefill_records_both_and_finds_them_apart() -> None:
    evidence = Recorder()
    with StubEngine() as stub, Client(stub.base_url, MODEL, stub.api_key) as client:
        items = stub.learn(Glm5Bank()).load_prompts(2, tokens=64)
        found = speed.measure_prefill(client, FakeRunning(stub.base_url, stub.api_key), items, LLAMACPP, evidence)
    assert found.ok and found.sensitive
    assert {name for name, _, _ in evidence.measurements} == {"prefill_cold_tps", "prefill_warm_tps"}
    assert all(n > 0 for n in found.data["warm_cached_tokens"])


@pytest.mark.parametrize(("dialect", "field"), [("llamacpp", "cache_prompt"), ("vllm", "cache_salt")])
def test_a_cold_request_says_so_in_the_engines_words(dialect: str, field: str) -> None:
    client = Client("http://127.0.0.1:9", "m")
    assert field in bypass_prefix_cache(client, dialect)
    assert bypass_prefix_cache(client, "vllm") != bypass_prefix_cache(client, "vllm")
    assert bypass_prefix_cache(client, "trtllm") == {}


def test_an_engine_that_will_not_flush_is_asked_all_the_same() -> None:
    with StubEngine() as stub, Client(stub.base_url, MODEL, stub.api_key) as client:
        assert bypass_prefix_cache(client, "sglang") == {}  # the stub answers 404
