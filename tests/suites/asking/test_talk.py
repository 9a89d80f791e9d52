"""A talk feeds the engine's own replies back."""

from __future__ import annotations

from fixtures.banks.canary_bank import CanaryBank
from fixtures.client.client import Client
from suites.asking.talk import hold_talk
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
