"""A talk feeds the engine's own replies back, and counts what came from its cache by usage or else by its metric."""

from __future__ import annotations

from fixtures.banks.canary_bank import CanaryBank
from fixtures.client.client import Client
from fixtures.client.reply import Reply
from suites.asking.talk import ask_turn, hold_talk
from tests.faults.stub.engine import MODEL, StubEngine
from tests.suites.world import FakeRunning

BANK = CanaryBank()


def test_each_turn_stands_behind_the_replies_before() -> None:
    with StubEngine() as stub:
        talk = stub.learn(BANK).long_turns(tokens=333, turns=3)
        with Client(stub.base_url, MODEL, stub.api_key) as client:
            turns = list(hold_talk(client, FakeRunning(stub.base_url, stub.api_key), {}, talk))
    assert [t.reply.content for t in turns] == [item.answer for item in talk]
    assert turns[2].item.messages == talk[2].messages
    assert turns[0].cached == 0 and all((t.cached or 0) > 100 for t in turns[1:])


def test_a_metric_counts_where_usage_does_not_tell() -> None:
    told = iter(("vllm:prefix_cache_hits_total 5\n", "vllm:prefix_cache_hits_total 69\n"))

    class Silent(Client):
        def ask(self, *_: object, **__: object) -> Reply:
            return Reply(content="x")

        def get(self, path: str) -> str:
            return next(told)

    dialect = {"metrics_path": {"get": "/metrics"}, "cached_tokens": {"metric": "vllm:prefix_cache_hits_total"}}
    client = Silent("http://127.0.0.1:1", "m")
    assert ask_turn(client, FakeRunning("", None), dialect, BANK.facts(1)[0]).cached == 64
