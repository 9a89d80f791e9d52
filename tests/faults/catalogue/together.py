"""Company: a real engine beyond index_topk, damaged only while another request is in flight, or in a stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fixtures.client.reply import Reply, ToolCall
from tests.faults.catalogue.attention import LONG_CHARS, alter_codes
from tests.faults.catalogue.fault import Asked, Fault
from tests.faults.catalogue.features import flatten_logprobs
from tests.faults.suite_tests import COMPANY, STREAMS_BEYOND

LOST_CHUNK = 4  # of a stream: one with text in it


def _is_beside(asked: Asked) -> bool:
    return asked.in_flight > 1 and _is_long(asked) and not asked.load


def _is_long(asked: Asked) -> bool:
    return len(json.dumps(asked.body.get("messages", ()))) > LONG_CHARS


def _count_turns(asked: Asked) -> int:
    return sum(m.get("role") == "user" for m in asked.body.get("messages", ()))


def _alter_calls(reply: Reply, asked: Asked) -> Reply:
    return replace(reply, tool_calls=tuple(_alter_call(c) for c in reply.tool_calls))


def _alter_call(call: ToolCall) -> ToolCall:
    told: dict[str, Any] = json.loads(call.arguments)
    return replace(call, arguments=json.dumps({name: f"{value}0" for name, value in told.items()}))


def _say_the_others(reply: Reply, asked: Asked) -> Reply:
    """Return what was answered before this, which is a perfectly good answer; another code where that was the same."""
    other = asked.earlier
    if not reply.content or _count_turns(asked) < 2:
        return reply
    if other is None or other.content in ("", reply.content):
        return alter_codes(reply, asked)
    return replace(reply, content=other.content)


def _drop_delta(event: dict[str, Any], index: int) -> dict[str, Any] | None:
    return None if index == LOST_CHUNK else event


def _if_beside(damage: Callable[[Reply, Asked], Reply]) -> Callable[[Reply, Asked], Reply]:
    return lambda reply, asked: damage(reply, asked) if _is_beside(asked) else reply


FAULTS: Mapping[str, Fault] = {
    "long_calls_change_in_company": Fault(
        family="together",
        does="call arguments after a long conversation are altered while another request is in flight",
        kills=(COMPANY,),
        touches=_is_beside,
        reply=_alter_calls,
    ),
    "long_turns_swap_in_company": Fault(
        family="together",
        does="a later turn over a long text gets another request's answer while both are in flight",
        kills=(COMPANY,),
        touches=_is_beside,
        reply=_say_the_others,
    ),
    "company_flattens_numbers": Fault(
        family="together",
        does="logprobs of a long prompt are those of another temperature while other requests are in flight",
        kills=(COMPANY,),
        touches=_is_beside,
        reply=flatten_logprobs,
    ),
    "long_streams_lose_a_delta": Fault(
        family="together",
        does="a stream behind a long prompt loses one of its deltas",
        kills=(STREAMS_BEYOND,),
        touches=_is_long,
        event=_drop_delta,
    ),
}
