"""What users of GLM and DeepSeek servers reported in 2026, written down before any suite was asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tests.faults.stub.answers import tokens
from tests.faults.stub.defect import Answer, Asked, Defect, Json, hold, retold, when
from tests.faults.stub.forms import fill_form
from tests.faults.suite_tests import (
    BOOTS,
    CALL,
    COMPANY,
    FIFTY,
    MESSAGES,
    ONE_TEXT,
    OTHERS_LEFT,
    PARTS,
    SCHEMA_BESIDE,
    SCHEMAS_STREAMED,
    SOAK,
    STREAM,
    TALK,
    TEXT,
    THINK_LOOP,
    UNWATCHED,
)

ALIKE_CHARS: Final = 500
SECOND_FIVE: Final = range(6, 11)  # of five that ask together twice: those before it have their answers
FULL_SHARE: Final = 0.6 * 4096  # of the stub's context
LATE_MESSAGES: Final = 4
SOUND_REQUESTS: Final = 15
CREEPS_S: Final = 0.0015  # a token, with each request: well over what a busy host adds (suites.checks.drift)
EMPTY_CHUNKS: Final = 3
WRONG_BOOT: Final = 3


def _list_deltas(told: list[Json]) -> list[Json]:
    return [
        call for e in told for c in e.get("choices") or () for call in (c.get("delta") or {}).get("tool_calls") or ()
    ]


def _overlap(told: list[Json]) -> list[Json]:
    before = ""
    for delta in _list_deltas(told):
        piece = delta["function"].get("arguments") or ""
        if len(before) > 2 and before[-2:].isalnum() and piece.isalnum():
            delta["function"]["arguments"] = before[-2:] + piece
        before = piece
    return told


def _name_each(told: list[Json]) -> list[Json]:
    name = ""
    for delta in _list_deltas(told):
        name = delta["function"].get("name") or name
        delta["function"]["name"] = name
    return told


def _inflate(told: list[Json]) -> list[Json]:
    *rest, usage = told
    if not rest or "usage" not in usage:
        return told
    empty = {**rest[0], "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": None}]}
    counted = usage["usage"]["completion_tokens"] + EMPTY_CHUNKS
    total = usage["usage"]["total_tokens"] + EMPTY_CHUNKS
    more = {**usage["usage"], "completion_tokens": counted, "total_tokens": total}
    return [*rest, *[empty] * EMPTY_CHUNKS, {**usage, "usage": more}]


def _think_aloud(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, content=f"<think>{answer.reasoning}</think>{answer.content}", reasoning="")


def _ends_in_a_result(asked: Asked) -> bool:
    return asked.item is not None and asked.item.messages[-1]["role"] == "tool"


def _garble(answer: Answer, asked: Asked) -> Answer:
    told = tokens(answer.content)
    return replace(answer, content="".join([*told[:10], *[" qz" for _ in told[10:]]]))


def _say_again(answer: Answer, asked: Asked) -> Answer:
    told = tokens(answer.content)
    if len(told) < 40:
        return answer
    return replace(answer, content="".join([*told[:20], *told[15:]]), completion_tokens=len(told) + 1)


def _break_call(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, calls=tuple(replace(c, arguments=c.arguments[:-1]) for c in answer.calls))


def _tell_call(answer: Answer, asked: Asked) -> Answer:
    empty = any(call.arguments == "{}" for call in answer.calls)
    return replace(answer, calls=(), content="I have called it.", finish_reason="stop") if empty else answer


def _take_form(answer: Answer, asked: Asked) -> Answer:
    other = next((b.form for b in asked.beside if b.form and b.form != asked.form), None)
    return replace(answer, content=fill_form(other)) if other and asked.form else answer


def _answer_as_before(answer: Answer, asked: Asked) -> Answer:
    before = asked.before
    if before is None or not before.answer or asked.number not in SECOND_FIVE or len(asked.prompt) < ALIKE_CHARS:
        return answer
    start = "\n".join(str(m.get("content")) for m in before.messages)[:ALIKE_CHARS]
    return replace(answer, content=before.answer) if asked.prompt.startswith(start) and answer.content else answer


def _tell_calls(answer: Answer, asked: Asked) -> Answer:
    told = "".join(f"<tool_call>{c.name}{c.arguments}</tool_call>" for c in answer.calls)
    return replace(answer, calls=(), content=told, finish_reason="stop") if told else answer


def _stop_early(answer: Answer, asked: Asked) -> Answer:
    kept = answer.content[: int(0.6 * len(answer.content))].rpartition(".")[0]
    return replace(answer, content=f"{kept}.", finish_reason="stop") if kept else answer


def _say_foreign(answer: Answer, asked: Asked) -> Answer:
    words = answer.content.split(" ")
    return replace(answer, content=" ".join([*words[: len(words) // 2], "因此", *words[len(words) // 2 :]]))


def _is_long_text(asked: Asked) -> bool:
    return asked.kind == "long_generation"


def _empty_parts(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, content="The tool returned nothing.", prompt_tokens=max(1, answer.prompt_tokens - 8))


DEFECTS: Mapping[str, Defect] = {
    "argument_deltas_overlap": Defect(
        does="a streamed call's later argument deltas begin with the last letters of the delta before",
        family="clients",
        kills=(SCHEMAS_STREAMED,),
        damage=when(lambda a: a.stream, retold(_overlap)),
    ),
    "thinks_aloud_behind_results": Defect(
        does="behind a tool's result the thought stands in the content, with its tags",
        family="thinking",
        kills=(THINK_LOOP,),
        damage=when(lambda a: a.thinking and _ends_in_a_result(a), _think_aloud),
    ),
    "streams_end_in_empty_chunks": Defect(
        does="a stream ends in three empty chunks that count as completion tokens",
        family="protocol",
        kills=(STREAM,),
        damage=when(lambda a: a.stream and not a.load, retold(_inflate)),
    ),
    "second_stream_garbles": Defect(
        does="a stream that begins beside another one is gibberish from its tenth token",
        family="together",
        kills=(COMPANY,),
        damage=when(lambda a: a.stream and not a.load, hold(when(lambda a: any(b.stream for b in a.beside), _garble))),
    ),
    "calls_break_near_the_end_of_the_context": Defect(
        does="calls lose their closing brace where the prompt fills more than 60 % of the context",
        family="tools",
        kills=(FIFTY,),
        damage=when(lambda a: a.prompt_tokens > FULL_SHARE, _break_call),
    ),
    "resumed_streams_say_it_again": Defect(
        does="a long stream beside another request says five of its tokens twice",
        family="together",
        kills=(OTHERS_LEFT,),
        damage=when(lambda a: a.stream and not a.load, hold(_say_again)),
    ),
    "names_the_tool_in_every_delta": Defect(
        does="each delta of a streamed call carries the tool's name",
        family="tools",
        kills=(STREAM,),
        damage=when(lambda a: a.stream, retold(_name_each)),
    ),
    "loses_results_in_parts": Defect(
        does="a tool's result whose content is a list of parts never reaches the engine",
        family="tools",
        kills=(PARTS,),
        damage=when(lambda a: a.parted and _ends_in_a_result(a), _empty_parts),
    ),
    "tells_empty_calls_behind_long_texts": Defect(
        does="a call without arguments behind a prompt longer than index_topk is told in words and not made",
        family="tools",
        kills=(CALL,),
        damage=when(lambda a: a.beyond, _tell_call),
    ),
    "obeys_the_neighbours_schema": Defect(
        does="of two requests with other schemas in flight the second one is held to the first one's",
        family="structured",
        kills=(SCHEMA_BESIDE,),
        damage=when(lambda a: bool(a.form), hold(_take_form)),
    ),
    "messages_stream_one_call_of_two": Defect(
        does="a stream of /v1/messages loses the second call",
        family="surfaces",
        kills=(MESSAGES,),
        damage=when(lambda a: a.surface == "messages" and a.stream, lambda a, asked: replace(a, calls=a.calls[:1])),
    ),
    "answers_the_one_before_that_begins_alike": Defect(
        does="the sixth to tenth request get the previous answer where both prompts begin with the same 500 characters",
        family="reuse",
        kills=(ONE_TEXT,),
        damage=_answer_as_before,
    ),
    "talks_lose_their_cache": Defect(
        does="nothing is found in the cache from the third turn of a conversation on",
        family="reuse",
        kills=(TALK,),
        damage=when(lambda a: a.messages > LATE_MESSAGES, lambda a, asked: replace(a, cached_tokens=0)),
    ),
    "pace_creeps": Defect(
        does="each token of a stream takes 1.5 ms longer with each request that was served before",
        family="soak",
        kills=(SOAK,),
        damage=lambda a, asked: replace(a, delay_s=CREEPS_S * asked.number) if asked.stream else a,
    ),
    "drafts_die": Defect(
        does="no draft is accepted from the sixteenth request on",
        family="soak",
        kills=(SOAK,),
        drift={"accepted_tokens": lambda number: 1.0 if number <= SOUND_REQUESTS else 0.0},
    ),
    "parser_is_missing_in_one_boot": Defect(
        does="one launch of five tells calls as text",
        family="boots",
        kills=(BOOTS,),
        damage=when(lambda a: a.boot == WRONG_BOOT, _tell_calls),
    ),
    "stops_at_a_sentence": Defect(
        does="a long text ends at 60 %, at the end of a sentence, with finish_reason stop",
        family="text",
        kills=(TEXT,),
        damage=when(lambda a: _is_long_text(a) and not a.load, _stop_early),
    ),
    "one_foreign_word": Defect(
        does="a long English text has one Chinese word in its middle",
        family="text",
        kills=(UNWATCHED,),
        damage=when(lambda a: _is_long_text(a) and not a.load, _say_foreign),
    ),
}
