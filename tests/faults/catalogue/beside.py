"""A real engine whose requests take something from those in flight with them, or that reads on for nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fixtures.client.reply import Reply, ToolCall
from tests.faults.catalogue.fault import Asked, Fault
from tests.faults.suite_tests import (
    CALLS_COMPANY,
    CUT_CALL,
    FIELDS_COMPANY,
    FILLED,
    FOR_NOBODY,
    INVALID,
    MALFORMED,
    THINK_BESIDE,
    UNWATCHED,
)

Body = dict[str, Any]
LOST_EVENT = 31  # behind what short comparisons see
LONG_CHARS = 6_000  # of a prompt that nearly fills a context of 4,096 tokens
PLANTED = b'{"error": {"message": "planted", "code": 500}}'
FORM = {"type": "object", "properties": {"x": {"enum": ["y"]}}, "required": ["x"], "additionalProperties": False}


def _is_beside(asked: Asked) -> bool:
    return asked.in_flight > 1 and not asked.load


def _is_plain(asked: Asked) -> bool:
    """Return whether it is a greedy request without fields of its own, beside others."""
    own = {"logit_bias", "stop", "response_format", "seed"} & set(asked.body)
    return _is_beside(asked) and not own and asked.body.get("max_tokens", 0) > 1


def _add(**fields: Any) -> Callable[[Body, Asked], Body]:
    return lambda body, asked: body | fields


def _take_earlier_call(reply: Reply, asked: Asked) -> Reply:
    """Return the reply with its last call replaced by that of the reply before."""
    theirs = asked.earlier.tool_calls if asked.earlier else ()
    if len(reply.tool_calls) < 2 or not theirs:
        return reply
    return replace(
        reply,
        tool_calls=(
            *reply.tool_calls[:-1],
            replace(reply.tool_calls[-1], name=theirs[-1].name, arguments=theirs[-1].arguments),
        ),
    )


def _keep_first_call(reply: Reply, asked: Asked) -> Reply:
    return replace(reply, tool_calls=reply.tool_calls[:1])


def _call_what_was_cut(reply: Reply, asked: Asked) -> Reply:
    if reply.finish_reason != "length" or not asked.body.get("tools"):
        return reply
    half = ToolCall(id="call_0", name="stop_music", arguments='{"roo')
    return replace(reply, content="", tool_calls=(half,), finish_reason="tool_calls")


def _drop_late_event(event: Body, index: int) -> Body | None:
    return None if index == LOST_EVENT else event


def _is_unwatched(asked: Asked) -> bool:
    return asked.stream and not (asked.load or asked.body.get("logprobs") or asked.body.get("tools"))


FAULTS: Mapping[str, Fault] = {
    "second_calls_swap_in_company": Fault(
        family="together",
        does="the second call of a reply is that of another request while both are in flight",
        kills=(CALLS_COMPANY,),
        touches=_is_beside,
        reply=_take_earlier_call,
    ),
    "second_calls_are_lost_in_company": Fault(
        family="together",
        does="a reply with several calls keeps the first one only while another request is in flight",
        kills=(CALLS_COMPANY,),
        touches=_is_beside,
        reply=_keep_first_call,
    ),
    "takes_the_neighbours_temperature": Fault(
        family="together",
        does="a greedy request is sampled hot while other requests are in flight",
        kills=(FIELDS_COMPANY,),
        touches=_is_plain,
        request=_add(temperature=8.0, top_k=0, min_p=0.0, top_p=1.0),
    ),
    "takes_the_neighbours_form": Fault(
        family="together",
        does="a free reply has a JSON schema's form while other requests are in flight",
        kills=(FIELDS_COMPANY,),
        touches=_is_plain,
        request=_add(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": FORM}}),
    ),
    "takes_the_neighbours_limit": Fault(
        family="together",
        does="a reply ends after one token while other requests are in flight",
        kills=(FIELDS_COMPANY,),
        touches=_is_plain,
        request=_add(max_tokens=1),
    ),
    "thinks_where_a_neighbour_does": Fault(
        family="thinking",
        does="a request with thinking off gets a thought while other requests are in flight",
        kills=(THINK_BESIDE,),
        touches=_is_beside,
        request=_add(chat_template_kwargs={"enable_thinking": True}),
    ),
    "unwatched_streams_lose_a_delta": Fault(
        family="protocol",
        does="a stream without logprobs loses its 32nd chunk, and usage counts it",
        kills=(UNWATCHED,),
        touches=_is_unwatched,
        event=_drop_late_event,
    ),
    "cut_calls_are_calls": Fault(
        family="tools",
        does="a call that max_tokens cut arrives with half of its arguments and finish_reason tool_calls",
        kills=(CUT_CALL,),
        reply=_call_what_was_cut,
    ),
    "works_on_for_nobody": Fault(
        family="lifecycle",
        does="a stream whose reader hung up is computed to its end",
        kills=(FOR_NOBODY,),
        event=lambda event, index: event,
        reads_on=True,
    ),
    "fails_at_the_end_of_the_context": Fault(
        family="lifecycle",
        does="a reply that fills the context to its last token gets HTTP 500",
        kills=(FILLED,),
        touches=lambda asked: asked.load and len(asked.prompt) > LONG_CHARS,
        instead=(500, "application/json", PLANTED),
    ),
    "fails_on_what_is_invalid": Fault(
        family="lifecycle",
        does="a request that is no valid one gets HTTP 500 instead of 4xx",
        kills=(INVALID,),
        touches=lambda asked: isinstance(asked.body.get("messages"), str),
        instead=(500, "application/json", PLANTED),
    ),
    "fails_on_half_a_body": Fault(
        family="lifecycle",
        does="a body that ends in its middle gets HTTP 500",
        kills=(MALFORMED,),
        touches=lambda asked: not asked.body,
        instead=(500, "application/json", PLANTED),
    ),
    "takes_a_malformed_stop": Fault(
        family="lifecycle",
        does="stop strings that are numbers get HTTP 200",
        kills=(MALFORMED,),
        touches=lambda asked: asked.body.get("stop") == [5],
        instead=(200, "application/json", b'{"choices": []}'),
    ),
}
