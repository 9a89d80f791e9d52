"""A surface that a server has not is no evidence, and what else it refuses is told."""

from __future__ import annotations

import pytest

from fixtures.banks.canary_bank import CanaryBank
from fixtures.client.client import Client, EngineRefused
from suites.asking.surfaces import ask_surface, keep_first_turns
from tests.faults.stub.engine import MODEL, StubEngine

ITEMS = keep_first_turns(CanaryBank().facts(20))


def test_only_what_has_no_earlier_reply_is_kept() -> None:
    assert 0 < len(ITEMS) < len(CanaryBank().facts(20))
    assert all(message["role"] != "assistant" for item in ITEMS for message in item.messages)


@pytest.mark.parametrize("stream", [False, True])
def test_more_fields_reach_the_engine(*, stream: bool) -> None:
    schema = {"type": "object", "properties": {"city": {"enum": ["Rome"]}}}
    extra = {"text": {"format": {"type": "json_schema", "name": "reply", "schema": schema}}}
    with StubEngine() as stub:
        client = Client(stub.base_url, MODEL, stub.api_key)
        reply = ask_surface(client, "responses", ITEMS[0], max_tokens=64, stream=stream, extra=extra)
    assert reply.content == '{"city": "Rome"}'


@pytest.mark.parametrize(("status", "raises"), [(404, pytest.skip.Exception), (405, pytest.skip.Exception)])
def test_an_absent_route_is_no_evidence(
    monkeypatch: pytest.MonkeyPatch, status: int, raises: type[BaseException]
) -> None:
    _refuse(monkeypatch, status)
    with pytest.raises(raises, match="NOT_EVIDENCE"):
        ask_surface(Client("http://127.0.0.1:1", MODEL), "messages", ITEMS[0], max_tokens=8, stream=False)


def test_another_refusal_is_the_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    _refuse(monkeypatch, 400)
    with pytest.raises(EngineRefused):
        ask_surface(Client("http://127.0.0.1:1", MODEL), "messages", ITEMS[0], max_tokens=8, stream=False)


def _refuse(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    def refuse(self: Client, path: str, body: object) -> object:
        raise EngineRefused(status, "no")

    monkeypatch.setattr(Client, "post_document", refuse)
