"""Runs an agent's loop: each step behind everything that was said before, with the model's own calls fed back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from reports.evidence.finding import Finding
from suites.asking.judged import Ask, Room
from suites.checks import protocol

Message = Mapping[str, Any]
Judge = Callable[[Item, Reply], Finding]


def run_loop(ask: Ask, steps: Sequence[Item], judge: Judge, *, room: Room) -> Iterator[Finding]:
    """Yield two findings a step, of streamed replies, and one more where it calls.

    The loop ends early where a result has no call to belong to."""
    said: list[Message] = []
    known: set[str] = set()
    for step in steps:
        added = _answer_calls(step.messages, said)
        if added is None:
            return
        said += added
        # The engine's own turns, not the bank's: agents feed back what they were told.
        item = replace(step, messages=tuple(said))
        reply = ask(item, stream=True)
        yield judge(item, reply)
        yield protocol.check_envelope(item, reply, max_tokens=room(item))
        if reply.tool_calls:
            yield protocol.check_new_ids(item, reply, known)
            known.update(call.id for call in reply.tool_calls)
        said.append(_write_turn(reply))


def _answer_calls(messages: Sequence[Message], said: Sequence[Message]) -> list[Message] | None:
    """Return a step's messages, results under the ids of the calls that the engine made; None where it made none."""
    made = [call["id"] for call in (said[-1].get("tool_calls") or ())] if said else []
    results = [m for m in messages if m.get("role") == "tool"]
    if not results:
        return list(messages)
    # A result without its call cannot be sent: the loop ends, and its findings stand.
    if len(made) != len(results):
        return None
    return [{**message, "tool_call_id": call_id} for message, call_id in zip(results, made, strict=True)]


def _write_turn(reply: Reply) -> Message:
    """Return the assistant's turn as the engine said it, its thought left out as the vendors advise."""
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in reply.tool_calls
    ]
    return {"role": "assistant", "content": reply.content, **({"tool_calls": calls} if calls else {})}
