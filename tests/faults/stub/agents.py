"""What users of long, concurrent, thinking agents meet; written down by somebody who had not read the other faults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tests.faults.stub.defect import Answer, Asked, Defect, Json, calls, hold, retold, when
from tests.faults.suite_tests import (
    CALLS_COMPANY,
    COMPANY,
    COUNTED,
    CUT_CALL,
    LOOP,
    ONE_TEXT,
    OPEN,
    REQUIRED_THOUGHT,
    SEVERAL,
    TEXT,
    THINK_LEAKS,
    THINK_LOOP,
)

LATE_MESSAGES: Final = 12
PREFIX_CHARS: Final = 400  # that two prompts share
MANY: Final = 2  # requests in flight
LATE_CHUNK: Final = 200
STARVED_S: Final = 3.0


def _answer_the_neighbour(answer: Answer, asked: Asked) -> Answer:
    near = [b for b in asked.beside if b.prompt[:PREFIX_CHARS] == asked.prompt[:PREFIX_CHARS]]
    others = (b.item.answer for b in near if b.item and b.item.answer and b.item.answer != answer.content)
    other = next(others, None) if len(asked.prompt) > PREFIX_CHARS else None
    return replace(answer, content=other) if other and answer.content else answer


def _think_of_the_neighbour(answer: Answer, asked: Asked) -> Answer:
    near = [b.prompt[-160:] for b in asked.beside if b.thinking and b.prompt != asked.prompt]
    return replace(answer, reasoning=f"The question is: {near[0]}") if near and answer.reasoning else answer


def _tell_usage_of_the_neighbour(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, prompt_tokens=asked.beside[0].prompt_tokens)


def _call_of_the_neighbour(answer: Answer, asked: Asked) -> Answer:
    other = next((b.offered[0] for b in asked.beside if b.offered and b.offered[0] not in asked.offered), None)
    return calls(lambda c: replace(c, name=other or c.name))(answer, asked)


def _number_calls_anew(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, calls=tuple(replace(c, id=f"call_{n}") for n, c in enumerate(answer.calls)))


def _halve_late(told: list[Json]) -> list[Json]:
    for event in told[LATE_CHUNK::50]:
        delta = (event.get("choices") or [{}])[0].get("delta") or {}
        if delta.get("content"):
            delta["content"] += "\ufffd"
    return told


def _share_an_index(told: list[Json]) -> list[Json]:
    for event in told:
        for call in ((event.get("choices") or [{}])[0].get("delta") or {}).get("tool_calls") or ():
            call["index"] = 0
    return told


def _write_twice(answer: Answer, asked: Asked) -> Answer:
    return calls(lambda c: replace(c, arguments=json.dumps(c.arguments)))(answer, asked)


def _is_late(asked: Asked) -> bool:
    return asked.messages > LATE_MESSAGES


def _end_cut_call(answer: Answer, asked: Asked) -> Answer:
    cut = bool(asked.item and asked.item.call) and answer.finish_reason == "length"
    return replace(answer, finish_reason="stop", content="", completion_tokens=asked.room) if cut else answer


DEFECTS: Mapping[str, Defect] = {
    "answers_the_neighbour_behind_one_prefix": Defect(
        does="two requests in flight whose prompts begin alike get the answer to the first one's question",
        family="together",
        kills=(ONE_TEXT,),
        damage=hold(_answer_the_neighbour),
    ),
    "thinks_the_neighbours_thought": Defect(
        does="the thought is about the question of another request in flight, and the answer is right",
        family="thinking",
        kills=(THINK_LEAKS,),
        damage=when(lambda a: a.thinking, hold(_think_of_the_neighbour)),
    ),
    "calls_finish_as_stop_behind_a_streamed_thought": Defect(
        does="a streamed call behind a thought ends with finish_reason stop",
        family="thinking",
        kills=(THINK_LOOP,),
        damage=when(
            lambda a: a.thinking and a.stream, lambda a, asked: replace(a, finish_reason="stop") if a.calls else a
        ),
    ),
    "streams_calls_under_one_index_in_company": Defect(
        does="the deltas of all streamed calls have index 0 while another request is in flight",
        family="together",
        kills=(CALLS_COMPANY,),
        damage=when(
            lambda a: bool(a.offered), hold(when(lambda a: a.stream and a.inside >= MANY, retold(_share_an_index)))
        ),
    ),
    "tells_the_neighbours_usage": Defect(
        does="usage counts the prompt of another request in flight",
        family="together",
        kills=(COMPANY,),
        damage=hold(_tell_usage_of_the_neighbour),
    ),
    "calls_the_neighbours_tool": Defect(
        does="a call names a tool that only another request in flight offers",
        family="together",
        kills=(CALLS_COMPANY,),
        damage=when(lambda a: bool(a.offered), hold(_call_of_the_neighbour)),
    ),
    "numbers_calls_anew_in_every_turn": Defect(
        does="the first call of every turn of a conversation has the id call_0",
        family="clients",
        kills=(LOOP,),
        damage=_number_calls_anew,
    ),
    "starves_every_fifth": Defect(
        does="every fifth request of a load gets its first token when the others have ended",
        family="performance",
        kills=(OPEN,),
        damage=when(lambda a: a.load and a.loads % 5 == 0, lambda a, asked: replace(a, hold_s=STARVED_S)),
    ),
    "halves_characters_late_in_streams": Defect(
        does="a stream has U+FFFD behind its 200th chunk",
        family="text",
        kills=(TEXT,),
        damage=when(lambda a: a.stream and not a.load, retold(_halve_late)),
    ),
    "ignores_required_behind_a_thought": Defect(
        does="tool_choice required is ignored where thinking is on",
        family="thinking",
        kills=(REQUIRED_THOUGHT,),
        damage=when(
            lambda a: a.thinking and a.choice == "required",
            lambda a, asked: replace(a, calls=(), content="Of course.", finish_reason="stop"),
        ),
    ),
    "loses_the_system_message_beside_tools": Defect(
        does="the system message never reaches the engine where tools are offered",
        family="tools",
        kills=(COUNTED,),
        damage=when(
            lambda a: bool(a.offered and a.systems),
            lambda a, asked: replace(a, prompt_tokens=max(1, a.prompt_tokens - asked.systems)),
        ),
    ),
    "thinking_streams_end_without_done": Defect(
        does="a stream with a thought ends without [DONE]",
        family="thinking",
        kills=(THINK_LOOP,),
        damage=when(lambda a: a.thinking and a.stream, lambda a, asked: replace(a, done=False)),
    ),
    "writes_arguments_twice_late": Defect(
        does="arguments are JSON inside a JSON text once the conversation has more than twelve messages",
        family="clients",
        kills=(LOOP,),
        damage=when(_is_late, _write_twice),
    ),
    "thinks_in_the_content_of_later_turns": Defect(
        does="the thought stands in front of the answer from the second turn on",
        family="thinking",
        kills=(THINK_LOOP,),
        damage=when(
            lambda a: a.thinking and a.messages > 2,
            lambda a, asked: replace(a, content=f"{a.reasoning} {a.content}", reasoning=""),
        ),
    ),
    "ends_cut_calls_as_stop": Defect(
        does="a call that max_tokens cut is dropped, and finish_reason is stop",
        family="fields",
        kills=(CUT_CALL,),
        damage=_end_cut_call,
    ),
    "streams_the_first_choice_only": Defect(
        does="a stream with n=2 has one choice",
        family="fields",
        kills=(SEVERAL,),
        damage=when(lambda a: a.stream and a.n > 1, lambda a, asked: replace(a, choices=(a.content,))),
    ),
}
