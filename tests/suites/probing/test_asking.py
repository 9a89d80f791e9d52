"""A server's limits and refusals: waits are as long as it asks and counted, and nothing else is softened."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from unittest.mock import Mock

import pytest

from fixtures.banks.item import Item
from fixtures.client.client import EngineRefused
from fixtures.client.reply import Reply
from fixtures.launch.attached.greeting import LimitTold
from suites.probing.asking import DEFAULT_WAIT_S, Asker, LimitReached, read_wait_s

ITEM = Item(id="x.1", kind="fact", messages=({"role": "user", "content": "Hi"},), answer="Hello")
LIMITED = EngineRefused(429, "slow down", retry_after="7")


@dataclass
class Server:
    """Answers with what it is given, in order, and keeps the bodies."""

    replies: list[Any]
    model: str = "m"
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def post(self, path: str, body: dict[str, Any]) -> Reply:
        self.bodies.append(body)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        assert isinstance(reply, Reply)
        return reply


def asker(*replies: Any) -> tuple[Asker, Server, list[float]]:
    server, slept = Server(list(replies)), list[float]()
    return Asker(server, sleep=slept.append), server, slept  # type: ignore[arg-type]


GOOD = Reply(content="Hello", prompt_tokens=5, completion_tokens=2)


def test_it_waits_as_long_as_it_is_asked_to_and_counts() -> None:
    one, _, slept = asker(LIMITED, LIMITED, GOOD)
    assert one.ask(ITEM, max_tokens=8) is GOOD
    assert (slept, one.waited_s, one.waits, one.tokens) == ([7.0, 7.0], 14.0, 2, [5, 2])


def test_the_greeting_waits_as_a_question_does_and_the_waits_count_together() -> None:
    """The model list is the first that a vendor's limit meets, and the probe ended there for a wait of one second."""
    one, _, slept = asker(LIMITED, GOOD)
    greetings: list[Any] = [LimitTold("HTTP 429", "1"), "served"]

    def greet() -> str:
        found = greetings.pop(0)
        if isinstance(found, Exception):
            raise found
        return str(found)

    assert one.greet(greet) == "served" and one.ask(ITEM) is GOOD
    assert (slept, one.waits, one.waited_s) == ([1.0, 7.0], 2, 8.0)


def test_a_greeting_that_wants_too_long_a_wait_is_its_own_error() -> None:
    one, _, slept = asker()
    with pytest.raises(LimitTold, match="asks to wait 3600"):
        one.greet(Mock(side_effect=LimitTold("it asks to wait 3600 s", "3600")))
    assert slept == []


@pytest.mark.parametrize("replies", [[EngineRefused(429, "", retry_after="3600")], [LIMITED] * 6])
def test_a_wait_that_is_too_long_or_too_often_ends_the_asking(replies: list[Any]) -> None:
    one, _, slept = asker(*replies, GOOD)
    with pytest.raises(LimitReached):
        one.ask(ITEM, max_tokens=8)
    assert len(slept) <= 5


def test_a_field_that_it_refuses_by_name_is_left_out_and_told() -> None:
    one, server, _ = asker(EngineRefused(400, "unknown field chat_template_kwargs"), GOOD, GOOD)
    one.ask(ITEM, max_tokens=8)
    one.ask(ITEM, max_tokens=8, stream=True)
    assert ["chat_template_kwargs" in body for body in server.bodies] == [True, False, False]
    assert "HTTP 400" in one.left_out


@pytest.mark.parametrize("refusal", [EngineRefused(400, "bad tools"), EngineRefused(500, "chat_template_kwargs")])
def test_any_other_refusal_is_an_answer(refusal: EngineRefused) -> None:
    one, server, _ = asker(refusal, GOOD)
    with pytest.raises(EngineRefused):
        one.ask(ITEM, max_tokens=8)
    assert len(server.bodies) == 1


def test_retry_after_is_seconds_or_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert read_wait_s("7") == 7.0 and 25 < read_wait_s(soon) <= 30
    assert [read_wait_s(text) for text in ("", "soon", "-3", "9" * 400)] == [DEFAULT_WAIT_S] * 4
    assert read_wait_s("Thu, 01 Jan 1970 00:00:00 GMT") == 0.0


def test_a_thought_gets_room_beside_the_answer() -> None:
    one, server, _ = asker(GOOD, GOOD)
    one.ask(ITEM)
    one.thinking = True
    one.ask(ITEM)
    assert [body["max_tokens"] for body in server.bodies] == [256, 256 + 2_048]
