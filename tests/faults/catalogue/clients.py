"""Calls and forms as clients ask for them: what parsers make of types, and constraints that never reach the engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fixtures.client.reply import Reply, ToolCall
from tests.faults.catalogue.fault import Asked, Fault
from tests.faults.suite_tests import (
    BIASED,
    BIASED_NAMED,
    CHOICES,
    FIFTY,
    HALF_CALLS,
    LOOP,
    PENALTY,
    SCHEMA,
    SCHEMA_THOUGHT,
    SCHEMAS,
    SCHEMAS_STREAMED,
    STOPPED,
    THINK_LOOP,
)

Json = Any
LATE_MESSAGES, MANY_TOOLS = 12, 20
PLANTED = b'{"error": {"message": "planted", "code": 500}}'
CONSTRAINTS = ("response_format", "grammar", "structured_outputs", "regex")


def _calls(change: Callable[[ToolCall], ToolCall]) -> Callable[[Reply, Asked], Reply]:
    return lambda reply, asked: replace(reply, tool_calls=tuple(map(change, reply.tool_calls)))


def _guess_types(call: ToolCall) -> ToolCall:
    """Text that reads as JSON becomes what it reads as; 007 loses its zeros."""
    made = {
        key: _guess(value) if isinstance(value, str) else value for key, value in json.loads(call.arguments).items()
    }
    return replace(call, arguments=json.dumps(made))


def _guess(text: str) -> Json:
    try:
        return json.loads(text.lstrip("0") or "0")
    except ValueError:
        return text


def _write_as_text(call: ToolCall) -> ToolCall:
    made = {k: v if isinstance(v, str) else json.dumps(v) for k, v in json.loads(call.arguments).items()}
    return replace(call, arguments=json.dumps(made))


def _lose_calls(reply: Reply, asked: Asked) -> Reply:
    if not reply.tool_calls:
        return reply
    return replace(reply, content="I have no such tool.", tool_calls=(), finish_reason="stop")


def _without(*names: str) -> Callable[[dict[str, Json], Asked], dict[str, Json]]:
    return lambda body, asked: {key: value for key, value in body.items() if key not in names}


def _bias_the_next(body: dict[str, Json], asked: Asked) -> dict[str, Json]:
    return body | {"logit_bias": {str(int(token) + 1): bias for token, bias in body["logit_bias"].items()}}


def _late(asked: Asked) -> bool:
    return len(asked.body.get("messages", ())) > LATE_MESSAGES


def _many(asked: Asked) -> bool:
    return len(asked.body.get("tools") or ()) > MANY_TOOLS


def _list_arguments(asked: Asked) -> list[Json]:
    told = asked.body.get("messages")
    messages = told if isinstance(told, list) else ()
    made = [call for m in messages if isinstance(m, Mapping) for call in m.get("tool_calls") or ()]
    return [call["function"].get("arguments", ()) for call in made]


def _in_streams(asked: Asked) -> bool:
    return asked.stream


FAULTS: Mapping[str, Fault] = {
    "guesses_types_of_text": Fault(
        family="clients",
        does="text arguments that look like numbers become numbers (sglang#30644)",
        kills=(SCHEMAS,),
        reply=_calls(_guess_types),
    ),
    "streams_numbers_as_text": Fault(
        family="clients",
        does="numbers arrive as text, only in streams (sglang#36688)",
        kills=(SCHEMAS_STREAMED,),
        reply=_calls(_write_as_text),
        touches=_in_streams,
    ),
    "loses_calls_among_many_tools": Fault(
        family="clients",
        does="the engine calls no tool when a request offers more than 20",
        kills=(FIFTY,),
        reply=_lose_calls,
        touches=_many,
    ),
    "cuts_arguments_late": Fault(
        family="clients",
        does="call arguments are cut once the conversation has more than twelve messages (GLM-5#66)",
        kills=(LOOP, THINK_LOOP),
        reply=_calls(lambda call: replace(call, arguments=call.arguments[:-1])),
        touches=_late,
    ),
    "ignores_constraints": Fault(
        family="structured",
        does="response_format and grammars never reach the engine",
        kills=(SCHEMA, SCHEMA_THOUGHT, CHOICES),
        request=_without(*CONSTRAINTS),
    ),
    "ignores_constraints_in_streams": Fault(
        family="structured",
        does="response_format and grammars never reach the engine, only in streams",
        kills=(SCHEMA, SCHEMA_THOUGHT),
        request=_without(*CONSTRAINTS),
        touches=_in_streams,
    ),
    "ignores_stop_strings": Fault(
        family="fields", does="stop never reaches the engine", kills=(STOPPED,), request=_without("stop")
    ),
    "ignores_penalties": Fault(
        family="fields",
        does="frequency_penalty never reaches the sampler",
        kills=(PENALTY,),
        request=_without("frequency_penalty"),
    ),
    "fails_on_arguments_as_an_object": Fault(
        family="clients",
        does="a call in the history whose arguments are an object gets HTTP 500",
        kills=(HALF_CALLS,),
        touches=lambda asked: any(isinstance(told, dict) for told in _list_arguments(asked)),
        instead=(500, "application/json", PLANTED),
    ),
    "says_nothing_behind_a_null_call": Fault(
        family="clients",
        does="a call in the history whose arguments are null gets an empty reply",
        kills=(HALF_CALLS,),
        touches=lambda asked: None in _list_arguments(asked),
        reply=lambda reply, asked: replace(reply, content="", tool_calls=(), finish_reason="stop"),
    ),
    "biases_the_next_token": Fault(
        family="fields",
        does="logit_bias is applied to the token behind the named one",
        kills=(BIASED_NAMED,),
        touches=lambda asked: bool(asked.body.get("logit_bias")),
        request=_bias_the_next,
    ),
    "ignores_biases": Fault(
        family="fields", does="logit_bias never reaches the engine", kills=(BIASED,), request=_without("logit_bias")
    ),
}
