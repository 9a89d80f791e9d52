"""Thoughts: what reasoning parsers do to a right answer behind one. Nothing happens where thinking is off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fixtures.client.reply import Reply
from tests.faults.catalogue.fault import Asked, Fault
from tests.faults.suite_tests import THINK, THINK_CALL, THINK_CUT, THINK_STREAM, THINK_SWITCH

LOOP = 40 * "Wait, let me check that. "
SWITCH = "chat_template_kwargs"


def _thinking(asked: Asked) -> bool:
    switches = asked.body.get(SWITCH) or {}
    return any(value is True for value in switches.values())


def _streamed_thought(asked: Asked) -> bool:
    return asked.stream and _thinking(asked)


def _not_load(asked: Asked) -> bool:
    return not asked.load


def _as_content(reply: Reply, asked: Asked) -> Reply:
    return replace(reply, reasoning="", content=reply.reasoning + reply.content)


def _answer_as_thought(reply: Reply, asked: Asked) -> Reply:
    return replace(reply, reasoning=reply.content, content="") if reply.content else reply


def _swallow(reply: Reply, asked: Asked) -> Reply:
    if not reply.tool_calls:
        return reply
    said = "".join(f"<tool_call>{c.name}{c.arguments}</tool_call>" for c in reply.tool_calls)
    return replace(reply, reasoning=reply.reasoning + said, tool_calls=(), finish_reason="stop")


def _cut_as_content(reply: Reply, asked: Asked) -> Reply:
    return _as_content(reply, asked) if reply.finish_reason == "length" and not reply.content else reply


def _switch_on(body: dict[str, Any], asked: Asked) -> dict[str, Any]:
    return {**body, SWITCH: {"enable_thinking": True}}


FAULTS: Mapping[str, Fault] = {
    "thinks_in_the_content": Fault(
        family="thinking",
        does="the content begins with the thought, without a tag, as if no reasoning parser ran",
        kills=(THINK,),
        reply=_as_content,
        touches=_thinking,
    ),
    "answers_in_the_thought": Fault(
        family="thinking",
        does="the answer arrives in the reasoning field, and content is empty (sglang#37645)",
        kills=(THINK,),
        reply=_answer_as_thought,
        touches=_thinking,
    ),
    "thought_takes_the_budget": Fault(
        family="thinking",
        does="the thought takes all of max_tokens: finish_reason is length, and content is empty",
        kills=(THINK, THINK_CALL),
        reply=lambda reply, asked: replace(reply, content="", tool_calls=(), finish_reason="length"),
        touches=_thinking,
    ),
    "loops_in_the_thought": Fault(
        family="thinking",
        does="the thought repeats one sentence, and the answer is right",
        kills=(THINK, THINK_CALL),
        reply=lambda reply, asked: replace(reply, reasoning=reply.reasoning + LOOP),
        touches=_thinking,
    ),
    "call_swallowed_in_the_thought": Fault(
        family="thinking",
        does="the call stays in the reasoning field as markup",
        kills=(THINK_CALL,),
        reply=_swallow,
        touches=_thinking,
    ),
    "stream_loses_the_thought": Fault(
        family="thinking",
        does="a stream loses the reasoning field",
        kills=(THINK_STREAM,),
        reply=lambda reply, asked: replace(reply, reasoning=""),
        touches=_streamed_thought,
    ),
    "cut_thought_as_the_answer": Fault(
        family="thinking",
        does="a thought that max_tokens cut arrives as the answer",
        kills=(THINK_CUT,),
        reply=_cut_as_content,
        touches=_thinking,
    ),
    "ignores_the_thinking_switch": Fault(
        family="thinking",
        does="the engine thinks although the request switches thinking off",
        kills=(THINK_SWITCH,),
        request=_switch_on,
        touches=_not_load,
    ),
    "counts_no_thoughts": Fault(
        family="thinking",
        does="usage leaves out the tokens of the thought",
        kills=(THINK_CUT,),
        reply=lambda reply, asked: reply if reply.content else replace(reply, completion_tokens=0),
        touches=_thinking,
    ),
}
