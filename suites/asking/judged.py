"""Asks items one by one and judges each reply twice: by its own check, and by the envelope that all must have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from fixtures.banks.item import Item
from fixtures.client.client import room_for
from fixtures.client.reply import Reply
from reports.evidence.finding import Finding
from suites.checks import protocol, tools

Ask = Callable[..., Reply]  # `Client.ask`, or what asks as it does
Room = Callable[[Item], int]  # tokens that a reply may take


def judge_each(
    ask: Ask, items: Iterable[Item], judge: Callable[[Item, Reply], Finding], *, room: Room = room_for
) -> Iterator[Finding]:
    """Yield two findings an item; the next item is asked when both were taken."""
    for item in items:
        reply = ask(item)
        yield judge(item, reply)
        yield protocol.check_envelope(item, reply, max_tokens=room(item))


def judge_both_ways(ask: Ask, items: Iterable[Item], *, room: Room = room_for) -> Iterator[Finding]:
    """Ask each item as a stream and whole; both must say the same."""
    for item in items:
        streamed, whole = ask(item, stream=True), ask(item)
        yield tools.check_stream_equals_whole(item, streamed, whole)
        yield protocol.check_envelope(item, streamed, max_tokens=room(item))
