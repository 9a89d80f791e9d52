"""Tools: what parsers, templates and grammars do to a right call."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fixtures.client.reply import Reply, ToolCall
from tests.faults.catalogue.fault import Asked, Fault
from tests.faults.suite_tests import (
    BEYOND,
    BOOT,
    CALL,
    CHOICE,
    FACTS,
    MISSING,
    NO_TOOL,
    RECALL,
    RESULT,
    STREAM,
    SUMS,
    TEXT,
    WITHIN,
)

Json = Any
Arguments = dict[str, Json]
FRAGMENTS_KEPT = 2  # of the streamed arguments


def _calls(change: Callable[[ToolCall], ToolCall]) -> Callable[[Reply, Asked], Reply]:
    return lambda reply, asked: replace(reply, tool_calls=tuple(map(change, reply.tool_calls)))


def _arguments(change: Callable[[Arguments], Arguments]) -> Callable[[Reply, Asked], Reply]:
    return _calls(lambda c: replace(c, arguments=json.dumps(change(json.loads(c.arguments)), ensure_ascii=False)))


def _without_calls(reply: Reply, asked: Asked) -> Reply:
    return replace(reply, content="Of course.", tool_calls=(), finish_reason="stop") if reply.tool_calls else reply


def _drop_zero_argument(reply: Reply, asked: Asked) -> Reply:
    """vLLM and SGLang parsers have lost calls without <arg_key>."""
    return _without_calls(reply, asked) if any(c.arguments == "{}" for c in reply.tool_calls) else reply


def _stringly(arguments: Arguments) -> Arguments:
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in arguments.items()}


def _miscopied(arguments: Arguments) -> Arguments:
    return {k: v[:-1] + "x" if isinstance(v, str) and v else v for k, v in arguments.items()}


def _as_text(reply: Reply, asked: Asked) -> Reply:
    """No parser: the call arrives as the model wrote it."""
    told = "".join(f"<tool_call>{c.name}{c.arguments}</tool_call>" for c in reply.tool_calls)
    return replace(reply, content=told, tool_calls=(), finish_reason="stop") if told else reply


def _needless(reply: Reply, asked: Asked) -> Reply:
    tools = asked.body.get("tools")
    if not tools or reply.tool_calls:
        return reply
    call = ToolCall(id="call_0", name=tools[0]["function"]["name"], arguments="{}")
    return replace(reply, content="", tool_calls=(call,), finish_reason="tool_calls")


def _think_aloud(reply: Reply, asked: Asked) -> Reply:
    return replace(reply, content=f"<think>Let me see.</think>{reply.content}")


def _think_in_circles(reply: Reply, asked: Asked) -> Reply:
    return replace(reply, reasoning=40 * "Wait, let me check that. ") if reply.content else reply


def _only_think(reply: Reply, asked: Asked) -> Reply:
    thought = reply.content or "Let me see."
    return replace(reply, reasoning=thought, content="", tool_calls=(), finish_reason="stop")


def _stop_after_fragments(chunk: dict[str, Json], index: int) -> dict[str, Json] | None:
    """Argument deltas after the first few are lost, in passing."""
    delta = (chunk.get("choices") or [{}])[0].get("delta") or {}
    return None if delta.get("tool_calls") and index > FRAGMENTS_KEPT else chunk


def _in_streams(asked: Asked) -> bool:
    return asked.stream


FAULTS: Mapping[str, Fault] = {
    "drops_zero_argument_call": Fault(
        family="tools", does="the engine loses a call that has no arguments", kills=(CALL,), reply=_drop_zero_argument
    ),
    "drops_every_call": Fault(family="tools", does="the engine loses every call", kills=(CALL,), reply=_without_calls),
    "drops_parallel_calls": Fault(
        family="tools",
        does="only the first of several calls arrives",
        kills=(CALL,),
        reply=lambda reply, asked: replace(reply, tool_calls=reply.tool_calls[:1]),
    ),
    "repeats_a_call": Fault(
        family="tools",
        does="each call arrives twice, under two ids",
        kills=(CALL,),
        reply=lambda reply, asked: replace(
            reply, tool_calls=(*reply.tool_calls, *(replace(c, id=f"{c.id}b") for c in reply.tool_calls))
        ),
    ),
    "swaps_the_name": Fault(
        family="tools",
        does="each call names a tool that was not offered",
        kills=(CALL,),
        reply=_calls(lambda c: replace(c, name=f"{c.name}_v2")),
    ),
    "wrong_types": Fault(family="tools", does="numbers arrive as text", kills=(CALL,), reply=_arguments(_stringly)),
    "miscopies_arguments": Fault(
        family="tools",
        does="the last letter of each text argument is wrong",
        kills=(CALL,),
        reply=_arguments(_miscopied),
    ),
    "breaks_json": Fault(
        family="tools",
        does="the arguments of each call lose their closing brace",
        kills=(CALL,),
        reply=_calls(lambda c: replace(c, arguments=c.arguments[:-1])),
    ),
    "same_call_ids": Fault(
        family="tools",
        does="parallel calls share one id",
        kills=(CALL,),
        reply=_calls(lambda c: replace(c, id="call_0")),
    ),
    "calls_as_text": Fault(family="tools", does="calls arrive as text with tags", kills=(CALL,), reply=_as_text),
    "calls_needlessly": Fault(
        family="tools",
        does="the engine calls a tool where the right answer has none",
        kills=(NO_TOOL, MISSING, RESULT),
        reply=_needless,
    ),
    "ignores_tool_choice": Fault(
        family="tools",
        does="tool_choice never reaches the engine",
        kills=(CHOICE,),
        request=lambda body, asked: {k: v for k, v in body.items() if k != "tool_choice"},
    ),
    "stream_truncates_arguments": Fault(
        family="tools",
        does="a stream loses the argument deltas after the second one",
        kills=(STREAM,),
        event=_stop_after_fragments,
    ),
    "stream_drops_calls": Fault(
        family="tools",
        does="a stream loses its calls (vllm#34449)",
        kills=(STREAM,),
        reply=_without_calls,
        touches=_in_streams,
    ),
    "stream_words_differ": Fault(
        family="tools",
        does="a streamed answer loses each letter `e`",
        kills=(STREAM,),
        touches=_in_streams,
        reply=lambda reply, asked: replace(reply, content=reply.content.replace("e", "")),
    ),
    "leaks_think_tags": Fault(
        family="tools",
        does="the content contains the thought, with its tags",
        kills=(BOOT, FACTS, SUMS, RECALL, CALL, RESULT, TEXT),
        reply=_think_aloud,
    ),
    "reasoning_loops": Fault(
        family="tools",
        does="the answer is right, and the reasoning field repeats one sentence 40 times",
        kills=(FACTS, SUMS, RECALL, WITHIN, BEYOND),
        reply=lambda reply, asked: (
            replace(reply, reasoning=40 * "Wait, let me check that. ") if reply.content else reply
        ),
    ),
    "call_left_in_reasoning": Fault(
        family="tools",
        does="the answer is right, and the reasoning field contains the markup of a call",
        kills=(BOOT, FACTS, SUMS, RECALL, RESULT),
        reply=lambda reply, asked: replace(reply, reasoning="<tool_call>get_time</tool_call>"),
    ),
    "only_reasoning": Fault(
        family="tools",
        does="the answer arrives in the reasoning field, and content is empty",
        kills=(BOOT, FACTS, SUMS, RECALL, CALL, RESULT),
        reply=_only_think,
    ),
}
