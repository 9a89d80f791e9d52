"""Lifecycle: alive by its health page, and of no use."""

from __future__ import annotations

from collections.abc import Mapping

from tests.faults.catalogue.fault import Fault
from tests.faults.suite_tests import BOOT, CALL, FACTS, LAUNCH, LOADED, SINGLE, TEXT

BUSY = (503, "application/json", b'{"error": {"message": "planted: loading", "code": 503}}')
BROKEN = (500, "application/json", b'{"error": {"message": "CUDA error: an illegal memory access was encountered"}}')
LIVES_FOR = 2  # completions

FAULTS: Mapping[str, Fault] = {
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
