"""Lifecycle: alive by its health page, and of no use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.faults.catalogue.fault import Fault
from tests.faults.suite_tests import BOOT, CALL, FACTS, LAUNCH, LOADED, OTHERS_LEFT, SINGLE, TEXT

BUSY = (503, "application/json", b'{"error": {"message": "planted: loading", "code": 503}}')
BROKEN = (500, "application/json", b'{"error": {"message": "CUDA error: an illegal memory access was encountered"}}')
LIVES_FOR = 2  # completions


def _say_the_rest(event: dict[str, Any]) -> dict[str, Any]:
    choice = event["choices"][0]
    delta = {**choice["delta"], "content": choice["delta"]["content"] + " of the other one"}
    return {**event, "choices": [{**choice, "delta": delta}]}


FAULTS: Mapping[str, Fault] = {
    "hang_ups_end_others": Fault(
        family="lifecycle",
        does="a stream ends with finish_reason stop when another client hangs up",
        kills=(OTHERS_LEFT,),
        at_hang_up=lambda event: None,
    ),
    "hang_ups_garble_others": Fault(
        family="bleed",
        does="a stream gets a rest of another one whose client hung up",
        kills=(OTHERS_LEFT,),
        at_hang_up=_say_the_rest,
    ),
    "healthy_then_dead": Fault(
        family="lifecycle",
        does="/health answers ok, and the connection of every request is closed without a reply",
        refuse=True,
        kills=(LAUNCH, BOOT, FACTS, CALL, TEXT, SINGLE, LOADED),
    ),
    "dies_after_two_replies": Fault(
        family="lifecycle",
        does="the engine answers two requests and then dies",
        refuse=True,
        kills=(FACTS, CALL, LOADED),
        touches=lambda asked: asked.number > LIVES_FOR,
    ),
    "dies_after_the_first_reply": Fault(
        family="lifecycle",
        does="the engine answers one request and then dies",
        refuse=True,
        kills=(FACTS, CALL, LOADED),
        touches=lambda asked: asked.number > 1,
    ),
    "fails_after_the_first_reply": Fault(
        family="lifecycle",
        does="the engine answers one request, and every later one gets HTTP 500",
        instead=BROKEN,
        kills=(FACTS, CALL, LOADED),
        touches=lambda asked: asked.number > 1,
    ),
    "answers_503_forever": Fault(
        family="lifecycle",
        does="every request gets HTTP 503",
        instead=BUSY,
        kills=(LAUNCH, BOOT, FACTS, CALL, SINGLE, LOADED),
    ),
    "never_healthy": Fault(
        family="lifecycle", does="/health answers 503 forever", statuses={"/health": 503}, kills=(LAUNCH,), slow=True
    ),
    "hangs": Fault(
        family="lifecycle",
        does="the engine accepts requests and never answers",
        stall_after=0,
        kills=(BOOT, FACTS),
        slow=True,
    ),
}
