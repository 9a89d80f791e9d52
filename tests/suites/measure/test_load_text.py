"""The texts of a load are held against the same requests asked whole, each with its own prompt."""

from __future__ import annotations

import pytest

from fixtures.banks.glm5 import Glm5Bank
from suites.measure.load_text import TEXTS, check_texts
from tests.faults.stub.engine import StubEngine
from tests.suites.world import FakeRunning

SIZE = {"streams": 2, "prompt_tokens": 32, "output_len": 8}


def read(drop: int = 0) -> list[bool]:
    """Say what the stub says to the two measured prompts, changed, and judge it."""
    bank = Glm5Bank()
    with StubEngine() as stub:
        engine = FakeRunning(stub.base_url, stub.api_key)
        said = [_ask(engine, item) for item in bank.load_prompts(4, tokens=32)[2:]]
        texts = [text[drop:] for text in said]
        return [found.ok for found in check_texts(engine, bank, {TEXTS: texts}, **SIZE)]


def _ask(engine: FakeRunning, item: object) -> str:
    from fixtures.client.client import Client

    client = Client(engine.base_url, engine.model, engine.api_key)
    whole = client.chat(item.messages, max_tokens=8, top_logprobs=5, extra={"ignore_eos": True})  # type: ignore
    return whole.reasoning + whole.content


def test_texts_as_they_were_said_are_right() -> None:
    assert read() == [True, True]


@pytest.mark.parametrize("drop", [1, 3])
def test_a_lost_beginning_shows(drop: int) -> None:
    assert read(drop) == [False, False]


def test_a_load_that_kept_no_text_is_not_judged() -> None:
    assert list(check_texts(FakeRunning("http://127.0.0.1:9", "k"), Glm5Bank(), {}, **SIZE)) == []
