"""Right words in a form that clients read otherwise: order, roles, indexes, types and counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.faults.stub.defect import Answer, Asked, Defect, Json, retold, when
from tests.faults.stub.replies import spent
from tests.faults.suite_tests import (
    ANY_REPLY,
    BOOT,
    CALL,
    FACTS,
    NEWER_LIMIT,
    PARALLEL_STREAMED,
    PARTS,
    PREFIX,
    RESPONSES,
    STREAM,
    TEXT,
    THINK,
)


def _is_streamed(asked: Asked) -> bool:
    return asked.stream and not asked.load


def _choice(event: Json) -> dict[str, Any]:
    """Return an event's choice; an empty one for the event that counts."""
    found: dict[str, Any] = (event.get("choices") or [{}])[0]
    return found


def _end_early(told: list[Json]) -> list[Json]:
    """Put the event with finish_reason in front of the last words."""
    ends = [e for e in told if _choice(e).get("finish_reason")]
    rest = [e for e in told if e not in ends]
    return [*rest[:-2], *ends, *rest[-2:]] if ends and len(rest) > 2 else told


def _end_twice(told: list[Json]) -> list[Json]:
    """Say first that the limit ended it."""
    return [
        again
        for event in told
        for again in (
            ({**event, "choices": [{**_choice(event), "finish_reason": "length"}]}, event)
            if _choice(event).get("finish_reason")
            else (event,)
        )
    ]


def _think_last(told: list[Json]) -> list[Json]:
    """Send the thought behind the answer, in front of the end."""
    thoughts = [e for e in told if {"reasoning", "reasoning_content"} & {k for k, v in _delta(e).items() if v}]
    rest = [e for e in told if e not in thoughts]
    return [*rest[:-2], *thoughts, *rest[-2:]]


def _delta(event: Json) -> dict[str, Any]:
    found: dict[str, Any] = _choice(event).get("delta") or {}
    return found


def _drop_indexes(told: list[Json]) -> list[Json]:
    for event in told:
        for call in _delta(event).get("tool_calls") or ():
            call.pop("index", None)
    return told


def _share_an_index(told: list[Json]) -> list[Json]:
    for event in told:
        for call in _delta(event).get("tool_calls") or ():
            call["index"] = 0
    return told


def _speak_as_user(told: list[Json]) -> list[Json]:
    for event in told:
        for message in (_choice(event).get("message"), _delta(event)):
            if message and message.get("role"):
                message["role"] = "user"
    return told


def _parse_arguments(told: list[Json]) -> list[Json]:
    for call in (_choice(told[0]).get("message") or {}).get("tool_calls") or ():
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return told


def _end_with_other_text(told: list[Json]) -> list[Json]:
    for event in told:
        for item in (event.get("response") or {}).get("output") or ():
            for part in item.get("content") or () if item["type"] == "message" else ():
                part["text"] = "It is Atlantis."
    return told


def _say_calls_twice(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, content="".join(c.arguments for c in answer.calls)) if answer.calls else answer


DEFECTS: Mapping[str, Defect] = {
    "streams_count_half": Defect(
        does="usage of a stream counts half of the tokens, as if it counted its chunks",
        family="protocol",
        kills=(STREAM,),
        damage=when(_is_streamed, lambda a, asked: replace(a, completion_tokens=max(1, spent(a) // 2))),
    ),
    "tells_more_cached_than_the_prompt": Defect(
        does="usage reports 16 cached tokens more than the prompt has",
        family="protocol",
        kills=ANY_REPLY,
        damage=lambda a, asked: replace(a, cached_tokens=a.prompt_tokens + 16),
    ),
    "counts_the_computed_prompt_only": Defect(
        does="usage leaves out those tokens of the prompt that came from the prefix cache",
        family="protocol",
        kills=(PREFIX,),
        damage=lambda a, asked: replace(a, prompt_tokens=a.prompt_tokens - a.cached_tokens, cached_tokens=0),
    ),
    "speaks_behind_its_end": Defect(
        does="a stream sends its last words behind finish_reason",
        family="protocol",
        kills=(STREAM, TEXT),
        damage=when(_is_streamed, retold(_end_early)),
    ),
    "ends_twice": Defect(
        does="a stream sends finish_reason length and then the true one",
        family="protocol",
        kills=(STREAM, TEXT),
        damage=when(_is_streamed, retold(_end_twice)),
    ),
    "thinks_behind_the_answer": Defect(
        does="a stream sends the thought behind the answer",
        family="thinking",
        kills=(THINK,),
        damage=when(lambda a: a.stream and a.thinking, retold(_think_last)),
    ),
    "streams_calls_without_index": Defect(
        does="the deltas of a streamed call have no index",
        family="tools",
        kills=(STREAM,),
        damage=when(_is_streamed, retold(_drop_indexes)),
    ),
    "streams_calls_under_one_index": Defect(
        does="the deltas of all streamed calls have index 0",
        family="tools",
        kills=(PARALLEL_STREAMED,),
        damage=when(_is_streamed, retold(_share_an_index)),
    ),
    "reads_no_parts": Defect(
        does="content that is a list of parts is lost",
        family="clients",
        kills=(PARTS,),
        damage=when(lambda a: a.parted, lambda a, asked: replace(a, content="How can I help you?", prompt_tokens=12)),
    ),
    "ignores_max_completion_tokens": Defect(
        does="max_completion_tokens never reaches the engine",
        family="instructions",
        kills=(NEWER_LIMIT,),
        damage=when(
            lambda a: a.newer_limit,
            lambda a, asked: replace(a, content=(asked.item.answer if asked.item else "") or "", finish_reason="stop"),
        ),
    ),
    "speaks_as_the_user": Defect(
        does="the role of every reply is user",
        family="protocol",
        kills=(BOOT, FACTS, TEXT),
        damage=retold(_speak_as_user),
    ),
    "sends_arguments_as_objects": Defect(
        does="the arguments of a call are an object instead of text",
        family="tools",
        kills=(CALL,),
        damage=when(lambda a: not a.stream, retold(_parse_arguments)),
    ),
    "says_its_calls_too": Defect(
        does="the content of a reply with a call is the call's arguments",
        family="tools",
        kills=(CALL,),
        damage=_say_calls_twice,
    ),
    "responses_end_with_another_text": Defect(
        does="the last event of a stream of /v1/responses has another text than the deltas",
        family="surfaces",
        kills=(RESPONSES,),
        damage=when(lambda a: a.surface == "responses" and a.stream, retold(_end_with_other_text)),
    ),
}
