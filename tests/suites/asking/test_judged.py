"""Each item is asked when its turn comes, and its reply is judged by its own check and by the envelope."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from suites.asking.judged import judge_both_ways, judge_each
from suites.checks import answer

ITEMS = [
    Item(id=name, kind="fact", messages=({"role": "user", "content": "Hi"},), answer="Hello") for name in ("x.1", "x.2")
]


def reply(text: str = "Hello.", **options: Any) -> Reply:
    streamed = bool(options.get("stream"))
    return Reply(
        content=text, finish_reason="stop", prompt_tokens=5, completion_tokens=2, streamed=streamed, done_seen=streamed
    )


def test_two_findings_an_item_and_nothing_is_asked_ahead() -> None:
    asked: list[str] = []

    def ask(item: Item, **options: Any) -> Reply:
        asked.append(item.id)
        return reply()

    found = judge_each(ask, ITEMS, answer.check_answer)
    assert next(found).item == "x.1" and asked == ["x.1"]
    assert [(f.check, f.item, f.ok) for f in found] == [
        ("protocol.envelope", "x.1", True),
        ("answer.right", "x.2", True),
        ("protocol.envelope", "x.2", True),
    ]


@pytest.mark.parametrize(("room", "right"), [(2, True), (1, False)])
def test_the_envelope_knows_how_much_room_there_was(room: int, right: bool) -> None:
    _, envelope = judge_each(lambda item: reply(), ITEMS[:1], answer.check_answer, room=lambda item: room)
    assert envelope.ok is right


def test_a_stream_is_asked_beside_the_whole_and_its_envelope_is_judged() -> None:
    told = [reply("Hello.", stream=True), reply("Hello!")]
    same, envelope = judge_both_ways(lambda item, stream=False: told.pop(0), ITEMS[:1])
    assert (same.ok, envelope.ok) == (False, True)
    told = [reply("Hello.", stream=True), reply("Hello.")]
    assert all(f.ok for f in judge_both_ways(lambda item, stream=False: told.pop(0), ITEMS[:1]))
