"""Thoughts: filed as answers, answers filed as thoughts, and what gets lost between both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.faults.stub.answers import THOUGHTS, tokens
from tests.faults.stub.defect import HELD_S, Answer, Asked, Damage, Defect, when
from tests.faults.stub.replies import spent
from tests.faults.suite_tests import (
    THINK,
    THINK_BESIDE,
    THINK_BESIDE_TOOLS,
    THINK_CALL,
    THINK_CUT,
    THINK_EFFORT,
    THINK_LEAKS,
    THINK_STREAM,
    THINK_SWITCH,
)

LOOP = 12 * "Wait, let me check that. "


def _thinking(damage: Damage) -> Damage:
    """Only where a thought was asked for."""
    return when(lambda asked: asked.thinking, damage)


def _as_content(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, reasoning="", content=answer.reasoning + answer.content)


def _answer_as_thought(answer: Answer, asked: Asked) -> Answer:
    """Move the answer into the thought: the parser waits for an end tag that never comes (sglang#37645)."""
    return replace(answer, reasoning=answer.content, content="") if answer.content else answer


def _never_ends(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, content="", calls=(), finish_reason="length")


def _swallow(answer: Answer, asked: Asked, form: str) -> Answer:
    said = "".join(form.format(name=c.name, arguments=c.arguments) for c in answer.calls)
    return replace(answer, reasoning=answer.reasoning + said, calls=(), finish_reason="stop") if said else answer


def _cut_as_content(answer: Answer, asked: Asked) -> Answer:
    cut = answer.finish_reason == "length" and not answer.content
    return _as_content(answer, asked) if cut else answer


def _think_on(answer: Answer, asked: Asked) -> Answer:
    cut = answer.finish_reason == "length" and not answer.content
    return replace(answer, reasoning=THOUGHTS[""], completion_tokens=len(tokens(answer.reasoning))) if cut else answer


def _think_of_another(answer: Answer, asked: Asked) -> Answer:
    held = replace(answer, hold_s=HELD_S) if asked.kind == "needle" else answer
    other = asked.before.answer if asked.before and asked.inside > 1 else None
    return replace(held, reasoning=f"{answer.reasoning} {other}") if other else held


def _other_effort(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, reasoning=3 * answer.reasoning) if asked.effort == "low" else answer


DEFECTS: Mapping[str, Defect] = {
    "thinks_in_the_content": Defect(family="thinking", kills=(THINK,), damage=_thinking(_as_content)),
    "thinks_twice": Defect(
        does="the content repeats the thought in front of the answer",
        family="thinking",
        kills=(THINK,),
        damage=_thinking(lambda a, asked: replace(a, content=f"{a.reasoning} {a.content}")),
    ),
    "never_thinks": Defect(
        does="the reasoning field is always empty",
        family="thinking",
        kills=(THINK, THINK_CALL),
        damage=lambda a, asked: replace(a, reasoning=""),
    ),
    "skips_the_thought_after_a_request_without": Defect(
        does="the first request with thinking on behind one with thinking off gets no thought",
        family="thinking",
        kills=(THINK_BESIDE,),
        damage=when(lambda a: a.thinking and not a.told_before, lambda a, asked: replace(a, reasoning="")),
    ),
    "always_thinks": Defect(
        does="the reasoning field is filled although thinking is off",
        family="thinking",
        kills=(THINK_SWITCH,),
        damage=lambda a, asked: a if asked.load else replace(a, reasoning=a.reasoning or "Let me see."),
    ),
    "answers_in_the_thought": Defect(family="thinking", kills=(THINK,), damage=_thinking(_answer_as_thought)),
    "thought_takes_the_budget": Defect(family="thinking", kills=(THINK, THINK_CALL), damage=_thinking(_never_ends)),
    "loops_in_the_thought": Defect(
        family="thinking",
        kills=(THINK, THINK_CALL),
        damage=_thinking(lambda a, asked: replace(a, reasoning=a.reasoning + LOOP)),
    ),
    "swallows_calls_as_markup": Defect(
        does="a call after a thought stays in the reasoning field as `<tool_call>` markup",
        family="thinking",
        kills=(THINK_CALL,),
        damage=_thinking(lambda a, asked: _swallow(a, asked, "<tool_call>{name}{arguments}</tool_call>")),
    ),
    "swallows_calls_as_words": Defect(
        does="a call after a thought stays in the reasoning field as a sentence",
        family="thinking",
        kills=(THINK_CALL,),
        damage=_thinking(lambda a, asked: _swallow(a, asked, " I call {name} with {arguments}.")),
    ),
    "leaves_markup_in_the_thought": Defect(
        does="the reasoning field ends with `</think>`",
        family="thinking",
        kills=(THINK, THINK_CALL),
        damage=_thinking(lambda a, asked: replace(a, reasoning=f"{a.reasoning}</think>")),
    ),
    "stream_loses_the_thought": Defect(
        family="thinking",
        kills=(THINK_STREAM,),
        damage=when(lambda asked: asked.stream, lambda a, asked: replace(a, reasoning=a.reasoning[:-9])),
    ),
    "cut_thought_as_the_answer": Defect(family="thinking", kills=(THINK_CUT,), damage=_thinking(_cut_as_content)),
    "cut_thought_as_finished": Defect(
        does="a thought that max_tokens cut ends with finish_reason stop",
        family="thinking",
        kills=(THINK_CUT,),
        damage=_thinking(lambda a, asked: replace(a, finish_reason="stop") if not a.content else a),
    ),
    "counts_no_thoughts": Defect(
        does="usage leaves out the tokens of the thought",
        family="thinking",
        kills=(THINK_CUT,),
        damage=_thinking(lambda a, asked: replace(a, completion_tokens=spent(replace(a, reasoning="")))),
    ),
    "thinks_on_and_counts_its_limit": Defect(
        does="max_tokens does not end a thought, and usage and finish_reason say that it did",
        family="thinking",
        kills=(THINK_CUT,),
        damage=_thinking(_think_on),
    ),
    "thinks_in_the_content_beside_tools": Defect(
        does="where tools are offered and none is called, the thought stands in front of the answer",
        family="thinking",
        kills=(THINK_BESIDE_TOOLS,),
        damage=when(lambda a: a.thinking and bool(a.offered), lambda a, asked: a if a.calls else _as_content(a, asked)),
    ),
    "thoughts_leak_in_parallel": Defect(
        does="a thought names the code of another request in flight",
        family="thinking",
        kills=(THINK_LEAKS,),
        damage=_thinking(_think_of_another),
    ),
    "effort_is_reversed": Defect(
        does="reasoning_effort low makes the thought three times as long",
        family="thinking",
        kills=(THINK_EFFORT,),
        damage=_other_effort,
    ),
}
