"""Tool calls lost, altered, invented or leaked; reasoning where it does not belong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from fixtures.client.reply import ToolCall
from tests.faults.stub.defect import Answer, Asked, Defect, Json, about, arguments, calls, says, when, words
from tests.faults.suite_tests import ANY_REPLY, CALL, CHOICE, MISSING, NO_TOOL, REQUIRED, RESULT, STREAM


def _drop_calls(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, calls=(), finish_reason="stop", content="Of course.")


def _drop_zero_argument(answer: Answer, asked: Asked) -> Answer:
    """vLLM and SGLang parsers have lost calls without <arg_key>, in streams and out of them."""
    return _drop_calls(answer, asked) if any(c.arguments == "{}" for c in answer.calls) else answer


def _call_anything(answer: Answer, asked: Asked) -> Answer:
    if asked.item is None or not asked.item.tools or answer.calls:
        return answer
    function = asked.item.tools[0].get("function", asked.item.tools[0])
    call = ToolCall(id="call_0", name=function["name"], arguments="{}")
    return replace(answer, content="", calls=(call,), finish_reason="tool_calls")


def _think_first(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, content=f"<think>Let me see.</think>{answer.content}")


def _reasoning_only(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, reasoning=answer.content or "Let me see.", content="", calls=(), finish_reason="stop")


def _stream_loses_arguments(answer: Answer, asked: Asked) -> Answer:
    if not asked.stream:
        return answer
    return calls(lambda c: replace(c, arguments=c.arguments[: len(c.arguments) // 2]))(answer, asked)


def _stringly(arguments: dict[str, Json]) -> Json:
    """Numbers and booleans as text; text lengthened, so that tools of text only are damaged as well."""
    return {k: f"{v}!" if isinstance(v, str) else json.dumps(v) for k, v in arguments.items()}


def _calls_although_none(answer: Answer, asked: Asked) -> Answer:
    if asked.item is None or not asked.item.call or asked.choice != "none":
        return answer
    made = asked.item.call[0]
    call = ToolCall(id="call_0", name=made.name, arguments=json.dumps(dict(made.arguments)))
    return replace(answer, content="", calls=(call,), finish_reason="tool_calls")


DEFECTS: Mapping[str, Defect] = {
    "breaks_tool_json": Defect(
        does="the arguments of each call lose their closing brace",
        family="tools",
        kills=(CALL,),
        damage=calls(lambda c: replace(c, arguments=c.arguments[:-1])),
    ),
    "stringly_typed": Defect(
        does="numbers and booleans of a call arrive as text", family="tools", kills=(CALL,), damage=arguments(_stringly)
    ),
    "drops_arguments": Defect(
        does="each call loses its first argument",
        family="tools",
        kills=(CALL,),
        damage=arguments(lambda a: dict(list(a.items())[1:])),
    ),
    "adds_an_argument": Defect(
        does="each call gets an argument that its schema does not have",
        family="tools",
        kills=(CALL,),
        damage=arguments(lambda a: {**a, "extra": 1}),
    ),
    "swaps_the_name": Defect(family="tools", kills=(CALL,), damage=calls(lambda c: replace(c, name=c.name + "_v2"))),
    "drops_zero_arg_call": Defect(
        does="the engine loses a call that has no arguments", family="tools", kills=(CALL,), damage=_drop_zero_argument
    ),
    "drops_all_calls": Defect(
        does="the engine answers `Of course.` instead of calling a tool",
        family="tools",
        kills=(CALL, NO_TOOL),
        damage=when(lambda a: bool(a.item and a.item.call), _drop_calls),
    ),
    "drops_parallel_calls": Defect(
        family="tools", kills=(CALL,), damage=lambda a, asked: replace(a, calls=a.calls[:1])
    ),
    "repeats_call_ids": Defect(
        does="all calls of a reply have the same id",
        family="tools",
        kills=(CALL,),
        damage=calls(lambda c: replace(c, id="same")),
    ),
    "omits_call_ids": Defect(
        does="all calls of a reply have an empty id",
        family="tools",
        kills=(CALL,),
        damage=calls(lambda c: replace(c, id="")),
    ),
    "calls_needlessly": Defect(family="tools", kills=(NO_TOOL, MISSING, RESULT), damage=_call_anything),
    "ignores_tool_result": Defect(
        does="the engine answers that it does not know the result that the tool returned",
        family="tools",
        kills=(RESULT,),
        damage=about("tool_result", says("The result is not known yet.")),
    ),
    "calls_although_none": Defect(
        does="the engine calls a tool although tool_choice is none",
        family="tools",
        kills=(CHOICE,),
        damage=_calls_although_none,
    ),
    "ignores_required": Defect(
        does="the engine answers in words although tool_choice is required, unless it would have called anyway",
        family="tools",
        kills=(REQUIRED,),
        damage=when(lambda a: a.choice == "required" and not (a.item and a.item.call), says("I would rather talk.")),
    ),
    "drops_required_calls": Defect(
        does="the engine loses every call whose request has tool_choice required",
        family="tools",
        kills=(REQUIRED,),
        damage=when(lambda a: a.choice == "required", _drop_calls),
    ),
    "breaks_named_arguments": Defect(
        does="a call of the tool that tool_choice names loses its closing brace",
        family="tools",
        kills=(CHOICE,),
        damage=when(lambda a: isinstance(a.choice, Mapping), calls(lambda c: replace(c, arguments=c.arguments[:-1]))),
    ),
    "stream_loses_arguments": Defect(
        does="a streamed call loses the second half of its arguments",
        family="tools",
        kills=(STREAM,),
        damage=_stream_loses_arguments,
    ),
    "stream_drops_zero_arg_call": Defect(
        does="the engine loses a streamed call that has no arguments",
        family="tools",
        kills=(STREAM,),
        damage=when(lambda a: a.stream, _drop_zero_argument),
    ),
    "stream_differs": Defect(
        does="a streamed answer loses each letter `e`",
        family="tools",
        kills=(STREAM,),
        damage=when(lambda a: a.stream, words(lambda t: t.replace("e", ""))),
    ),
    "leaks_think": Defect(
        does="every answer begins with `<think>` and a thought", family="tools", kills=ANY_REPLY, damage=_think_first
    ),
    "leaks_tool_tags": Defect(
        does="a reply with a call also has `<tool_call>` as its content",
        family="tools",
        kills=(CALL,),
        damage=lambda a, asked: replace(a, content="<tool_call>") if a.calls else a,
    ),
    "reasoning_only": Defect(
        does="the answer arrives in the reasoning field, and content is empty",
        family="tools",
        kills=ANY_REPLY,
        damage=_reasoning_only,
    ),
}
