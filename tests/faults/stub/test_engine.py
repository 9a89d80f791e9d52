"""The stub says that it is one, answers right when healthy, and each defect changes what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from fixtures.banks.glm5 import Glm5Bank
from fixtures.client.client import Client, EngineRefused
from matrix.checkout import CHECKOUT
from matrix.errors import EngineExited
from tests.faults.stub.answers import item_from_json, item_to_json
from tests.faults.stub.engine import API_KEY_ENV, MODEL, StubEngine
from tests.faults.stub.table import DEFECTS

BANK = Glm5Bank()
ITEMS = (
    *BANK.facts(3),
    *BANK.calls(3),
    *BANK.zero_argument_calls(1),
    *BANK.parallel_calls(1),
    *BANK.tool_results(1),
    BANK.needle(tokens=400, depth=0.5),
)


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.id)
def test_a_healthy_stub_is_right(item: object) -> None:
    with StubEngine() as stub, Client(stub.base_url, MODEL, stub.api_key) as client:
        assert item in ITEMS
        for known in ITEMS:
            stub.know(known)
        asked = next(i for i in ITEMS if i is item)
        reply = client.ask(asked)
    assert reply.content == (asked.answer or "")
    assert [c.name for c in reply.tool_calls] == [c.name for c in asked.call]


def test_it_says_that_it_is_a_stub() -> None:
    with StubEngine() as stub:
        found = requests.get(f"{stub.base_url}/v1/models", timeout=5)
    assert found.headers["Server"].strip() == "stub"
    assert found.json()["data"][0]["owned_by"] == "stub"


def test_a_prompt_over_the_context_is_refused_like_engines_do() -> None:
    item = BANK.needle(tokens=5000, depth=0.5)
    with StubEngine(context=4096) as stub, Client(stub.base_url, MODEL, stub.api_key) as client:
        stub.know(item)
        with pytest.raises(EngineRefused) as caught:
            client.ask(item)
    assert caught.value.status == 400


def test_a_misspelt_defect_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'forgets_needle'"):
        StubEngine(defect="forget_needle")


def test_there_are_at_least_forty_defects_in_seven_families() -> None:
    assert len(DEFECTS) >= 40
    assert len({d.family for d in DEFECTS.values()}) >= 7


def test_items_survive_the_answers_file() -> None:
    assert tuple(item_from_json(item_to_json(i)) for i in ITEMS) == ITEMS


@contextmanager
def process(tmp_path: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield the stub as a launcher starts it."""
    answers = tmp_path / "answers.jsonl"
    answers.write_text("\n".join(item_to_json(i) for i in ITEMS))
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.stub.engine", "--answers", str(answers), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        env={**os.environ, API_KEY_ENV: "other-key"},
    )
    try:
        assert started.stdout is not None
        yield started, started.stdout.readline().split()[-1]
    finally:
        started.kill()
        started.communicate()


def test_as_a_process_it_answers(tmp_path: Path) -> None:
    with process(tmp_path) as (_, url), Client(url, MODEL, "other-key") as client:
        assert client.ask(ITEMS[0]).content == ITEMS[0].answer


def test_as_a_process_it_really_dies(tmp_path: Path) -> None:
    with process(tmp_path, "--defect", "dies") as (started, url), Client(url, MODEL, "other-key") as client:
        with pytest.raises(EngineExited):
            client.ask(ITEMS[0])
        assert started.wait(5) == 3
