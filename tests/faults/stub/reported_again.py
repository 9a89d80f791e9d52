"""A second round of what users reported in 2026 (decision 114), planted before a suite was asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import Final

from tests.faults.stub.answers import make_call
from tests.faults.stub.defect import HELD_S, Answer, Asked, Defect, Json, retold, when
from tests.faults.suite_tests import (
    CACHED_STREAMS,
    CHOICES_APART,
    ECHOES,
    EDITED,
    LEFT_TURN,
    NUMBERED_ALIKE,
    ONE_CALL,
    PRESENCE,
    RESPONSES,
    SCHEMA_RESPONSES,
    SCHEMA_THOUGHT,
    SEEDED_COMPANY,
    THINK_NUMBERED,
    THINK_STOPPED,
)

SLOWLY_S: Final = 0.01  # a chunk, so that a hang-up is seen before a stream is through
LATE_NATS: Final = -1.5


def _keep_stop(answer: Answer, asked: Asked) -> Answer:
    stop = next((s for s in asked.stops if s in answer.reasoning), "")
    if not stop:
        return answer
    kept = answer.reasoning.partition(stop)[0] + stop
    return replace(answer, reasoning=kept, content="", finish_reason="stop")


def _drop_numbers(told: list[Json]) -> list[Json]:
    for choice in (c for event in told for c in event.get("choices") or ()):
        if any((choice.get("delta") or {}).get(name) for name in ("reasoning", "reasoning_content")):
            choice.pop("logprobs", None)
    return told


def _number_late(told: list[Json]) -> list[Json]:
    """Give every second token the numbers of another one; the tokens beside them are the right ones."""
    positions = [
        p for e in told for c in e.get("choices") or () for p in (c.get("logprobs") or {}).get("content") or ()
    ]
    for position in positions[1::2]:
        position["logprob"] = position["top_logprobs"][0]["logprob"] = LATE_NATS
        position["top_logprobs"][1]["logprob"] = LATE_NATS + 1
        position["top_logprobs"].sort(key=lambda each: -each["logprob"])
    return told


def _draw_beside(answer: Answer, asked: Asked) -> Answer:
    held = replace(answer, hold_s=HELD_S)
    return replace(held, content=f" fig{answer.content[4:]}") if asked.beside else held


def _make_every_call(answer: Answer, asked: Asked) -> Answer:
    wanted = asked.item.call if asked.item and answer.calls else ()
    return replace(answer, calls=tuple(make_call(i, call, asked.number) for i, call in enumerate(wanted)))


def _forget_talk(answer: Answer, asked: Asked) -> Answer:
    if asked.stream:
        return replace(answer, delay_s=SLOWLY_S)
    lost = asked.hang_ups and asked.assistants and not asked.uncached
    return replace(answer, content="How can I help you?", prompt_tokens=1) if lost else answer


def _answer_unedited(answer: Answer, asked: Asked) -> Answer:
    before, now = asked.before, asked.item
    alike = before and now and before.id != now.id and before.messages[-1] == now.messages[-1]
    return replace(answer, content=before.answer or "") if before and alike and now and now.kind == "recall" else answer


def _move_places(told: list[Json]) -> list[Json]:
    places = count()
    return [{**e, "content_index": next(places)} if "content_index" in e else e for e in told]


def _stop_counting(told: list[Json]) -> list[Json]:
    return [{**e, "sequence_number": 0} for e in told]


def _tell_stale(answer: Answer, asked: Asked) -> Answer:
    """Tell other numbers of what the cache held."""
    stale = (None, *(-0.9 * (number % 5) for number in range(1, len(answer.echoed))))
    return replace(answer, echoed=stale) if asked.cached else answer


DEFECTS: Mapping[str, Defect] = {
    "thoughts_keep_their_stop_string": Defect(
        does="a thought that a stop string ended holds the stop string (vllm#52599)",
        family="thinking",
        kills=(THINK_STOPPED,),
        damage=when(lambda a: a.thinking, _keep_stop),
    ),
    "stop_strings_lose_the_thought": Defect(
        does="a reply that a stop string ended has no thought",
        family="thinking",
        kills=(THINK_STOPPED,),
        damage=when(lambda a: a.thinking and bool(a.stop), lambda a, asked: replace(a, reasoning="")),
    ),
    "streamed_thoughts_have_no_numbers": Defect(
        does="chunks of a stream that carry a thought have no logprobs (sglang#26778)",
        family="thinking",
        kills=(THINK_NUMBERED,),
        damage=when(lambda a: a.stream, retold(_drop_numbers)),
    ),
    "streams_have_the_numbers_of_others": Defect(
        does="every second token of a stream has the logprobs of another one",
        family="fields",
        kills=(NUMBERED_ALIKE,),
        damage=when(lambda a: a.stream and a.logprobs, retold(_number_late)),
    ),
    "ignores_presence_penalties": Defect(
        does="presence_penalty never reaches the sampler",
        family="fields",
        kills=(PRESENCE,),
        damage=when(lambda a: a.present, lambda a, asked: replace(a, content=asked.unstopped)),
    ),
    "draws_one_choice_for_all": Defect(
        does="all sampled choices of a request are one text",
        family="fields",
        kills=(CHOICES_APART,),
        damage=when(lambda a: a.n > 1 and a.hot, lambda a, asked: replace(a, choices=(a.content,) * asked.n)),
    ),
    "seeds_move_in_company": Defect(
        does="a seed draws another text while other requests are in flight (vllm#6038)",
        family="fields",
        kills=(SEEDED_COMPANY,),
        damage=when(lambda a: a.hot and a.n == 1 and a.room <= 8, _draw_beside),
    ),
    "echoes_stale_numbers": Defect(
        does="/v1/completions echoes a cached prompt with other logprobs than a computed one (vllm#42019)",
        family="surfaces",
        kills=(ECHOES,),
        damage=when(lambda a: a.echoes, _tell_stale),
        dialect="vllm",
    ),
    "echoes_no_prompt": Defect(
        does="/v1/completions takes echo and ignores it, of an engine that claims it",
        family="surfaces",
        kills=(ECHOES,),
        damage=when(lambda a: a.echoes, lambda a, asked: replace(a, content=" a", echoed=())),
        dialect="vllm",
    ),
    "makes_two_calls_where_one_is_wanted": Defect(
        does="parallel_tool_calls: false is ignored (vllm#26233)",
        family="tools",
        kills=(ONE_CALL,),
        damage=when(lambda a: a.single, _make_every_call),
    ),
    "forgets_the_talk_behind_a_left_turn": Defect(
        does="once a client hung up, later turns of a conversation are read without what stands before (sglang#36475)",
        family="reuse",
        kills=(LEFT_TURN,),
        damage=_forget_talk,
    ),
    "answers_an_edited_turn_as_before": Defect(
        does="a conversation that ends as the one before it is answered as that one was, whatever stands in between",
        family="reuse",
        kills=(EDITED,),
        damage=_answer_unedited,
    ),
    "streams_tell_nothing_cached": Defect(
        does="usage of a stream tells no cached tokens, usage of a whole reply does",
        family="reuse",
        kills=(CACHED_STREAMS,),
        damage=when(lambda a: a.stream, lambda a, asked: replace(a, cached_tokens=0)),
    ),
    "responses_ignore_the_schema": Defect(
        does="/v1/responses takes a JSON schema and ignores it (vllm#44012)",
        family="structured",
        kills=(SCHEMA_RESPONSES,),
        damage=when(lambda a: a.surface == "responses", lambda a, asked: replace(a, content="It is Lima.")),
        dialect="vllm",
    ),
    "schemas_leave_no_thought": Defect(
        does="a request with thinking on and a JSON schema gets no thought (vllm#47027)",
        family="structured",
        kills=(SCHEMA_THOUGHT,),
        damage=when(lambda a: a.thinking and bool(a.form), lambda a, asked: replace(a, reasoning="")),
    ),
    "responses_move_their_places": Defect(
        does="each delta of a stream of /v1/responses names another content_index (vllm#35184)",
        family="surfaces",
        kills=(RESPONSES,),
        damage=when(lambda a: a.surface == "responses" and a.stream, retold(_move_places)),
    ),
    "responses_do_not_count": Defect(
        does="every event of a stream of /v1/responses has sequence_number 0",
        family="surfaces",
        kills=(RESPONSES,),
        damage=when(lambda a: a.surface == "responses" and a.stream, retold(_stop_counting)),
    ),
}
