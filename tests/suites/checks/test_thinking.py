"""Each way in which a thought goes wrong has its own words, and a thought that is right has none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fixtures.banks.item import ExpectedCall, Item
from fixtures.client.reply import Reply, ToolCall
from suites.checks import thinking
from suites.checks.text import find_defects

ASKED = {"role": "user", "content": "What is the capital of France?"}
FACT = Item(id="fact", kind="fact", messages=(ASKED,), answer="Paris")
CALL = Item(
    id="call",
    kind="call",
    messages=(ASKED,),
    tools=({"name": "get_time", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},),
    call=(ExpectedCall(name="get_time", arguments={"city": "Rome"}),),
)
THOUGHT = "The user asks for a capital. I know the answer."
RIGHT = Reply(content="It is Paris.", reasoning=THOUGHT, finish_reason="stop", completion_tokens=20)
MADE = (ToolCall(id="a", name="get_time", arguments='{"city": "Rome"}'),)
CALLED = Reply(content="", reasoning=THOUGHT, tool_calls=MADE, finish_reason="tool_calls", completion_tokens=20)


def test_a_right_reply_behind_a_thought_passes() -> None:
    assert thinking.check_answer(FACT, RIGHT).ok
    assert thinking.check_calls(CALL, CALLED).ok
    assert thinking.check_separated([RIGHT, replace(RIGHT, reasoning="")]).ok


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"content": "", "reasoning": "It is Paris."}, "filed as reasoning"),
        ({"content": "", "finish_reason": "length"}, "whole budget of 20 tokens"),
        ({"reasoning": 40 * "Wait, let me check. "}, "in the reasoning: loop"),
        ({"reasoning": f"{THOUGHT}<tool_call>"}, "in the reasoning: leak"),
        ({"content": f"{THOUGHT} It is Paris."}, "the thought stands in the content, too"),
    ],
)
def test_a_wrong_answer_is_explained(changed: Any, said: str) -> None:
    found = thinking.check_answer(FACT, replace(RIGHT, **changed))
    assert not found.ok
    assert said in found.detail


@pytest.mark.parametrize("words", ["<tool_call>get_time", "I call get_time for Rome."])
def test_a_swallowed_call_is_named(words: str) -> None:
    found = thinking.check_calls(CALL, replace(CALLED, reasoning=words, tool_calls=(), finish_reason="stop"))
    assert "the call of 'get_time' was swallowed" in found.detail


def test_a_thought_about_a_tool_swallows_no_call() -> None:
    lost = replace(CALLED, reasoning="I could use get_time.", tool_calls=(), finish_reason="stop", content="Hm.")
    assert "swallowed" not in thinking.check_calls(CALL, lost).detail


def test_no_thought_at_all_is_no_separation() -> None:
    assert not thinking.check_separated([replace(RIGHT, reasoning=" ")]).ok
    assert not thinking.check_switched_off(FACT, RIGHT).ok
    assert thinking.check_switched_off(FACT, replace(RIGHT, reasoning="")).ok


CUT = Reply(content="", reasoning="The user asks", finish_reason="length", completion_tokens=3)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"finish_reason": "stop"}, "not 'length'"),
        ({"completion_tokens": 4}, "4 tokens were made, 3 allowed"),
        ({"completion_tokens": 0}, "0 tokens were made, 3 allowed"),
        ({"reasoning": RIGHT.reasoning}, "the whole thought, counted as 3 tokens"),
        ({"reasoning": "", "content": "The user asks"}, "filed as the answer"),
        ({"reasoning": "Something else"}, "another one"),
    ],
)
def test_a_budget_that_ends_inside_the_thought(changed: Any, said: str) -> None:
    found = thinking.check_cut_short(FACT, replace(CUT, **changed), RIGHT, max_tokens=3)
    assert found.ok is (not said)
    assert said in found.detail
    assert not thinking.check_cut_short(FACT, CUT, replace(RIGHT, reasoning=""), max_tokens=3).sensitive


def test_a_switch_that_is_ignored_is_told_with_the_thought_and_one_that_is_obeyed_with_the_answer() -> None:
    ignored, obeyed = (thinking.check_switched_off(FACT, replace(RIGHT, reasoning=r)) for r in (THOUGHT, ""))
    assert (ignored.got, ignored.detail, ignored.item) == (THOUGHT, "the switch was ignored", "fact")
    assert (obeyed.got, obeyed.detail) == (RIGHT.content, "")


def test_more_effort_is_not_fewer_tokens() -> None:
    assert thinking.check_effort(("low", "max"), (10, 10)).ok
    assert not thinking.check_effort(("low", "max"), (11, 10)).ok


def test_the_least_effort_is_held_to_the_most_whatever_lies_between() -> None:
    efforts = ("low", "medium", "max")
    right, wrong = thinking.check_effort(efforts, (10, 5, 20)), thinking.check_effort(efforts, (20, 30, 10))
    assert right.ok and right.detail == "" and right.data == {"efforts": list(efforts), "tokens": [10, 5, 20]}
    assert right.expected == "max thinks at least as long as low"
    assert right.got == "low 10 tokens, medium 5 tokens, max 20 tokens"
    assert not wrong.ok and wrong.detail == "the effort is ignored or reversed"
    with pytest.raises(ValueError, match="zip"):
        thinking.check_effort(efforts, (10, 20))


def test_the_thought_before_a_call_is_held_to_sound_text_in_whatever_language() -> None:
    looped = thinking.check_calls(CALL, replace(CALLED, reasoning=40 * "Wait, let me check. "))
    assert not looped.ok and "in the reasoning: loop" in looped.detail
    foreign = "用户想知道罗马的时间 我应该调用工具"
    assert [d for d in find_defects(foreign) if d.startswith("stray")]
    assert thinking.check_calls(CALL, replace(CALLED, reasoning=foreign)).ok


def test_thoughts_are_counted_over_all_replies_and_none_prove_nothing() -> None:
    one, none, unasked = (
        thinking.check_separated(r) for r in ([RIGHT, replace(RIGHT, reasoning="")], [replace(RIGHT, reasoning="")], [])
    )
    assert (one.got, one.detail, one.sensitive) == ("1 of 2 replies have one", "", True)
    assert one.data == {"replies": 2, "with_reasoning": 1}
    assert none.detail == "the switch was ignored, or thoughts stand in the content" and none.sensitive
    assert not unasked.sensitive


@pytest.mark.parametrize(("thought", "judged"), [("one two three four", False), ("one two three four five", True)])
def test_a_thought_of_a_few_words_is_not_cut(thought: str, *, judged: bool) -> None:
    cut = replace(CUT, finish_reason="stop", reasoning="another")
    found = thinking.check_cut_short(FACT, cut, replace(RIGHT, reasoning=thought), max_tokens=3)
    assert (found.sensitive, found.ok, found.item) == (judged, not judged, "fact")
    if judged:
        assert found.detail == "finish_reason is 'stop', not 'length'; the thought is another one than with more room"


@pytest.mark.parametrize(
    ("before", "again", "ok", "sensitive"),
    [("a", "b", True, True), ("a", "", False, True), ("", "", True, False), ("", "b", True, False)],
)
def test_a_thought_comes_again_behind_none(before: str, again: str, *, ok: bool, sensitive: bool) -> None:
    found = thinking.check_switched_on(FACT, replace(RIGHT, reasoning=before), replace(RIGHT, reasoning=again))
    assert (found.ok, found.sensitive) == (ok, sensitive)


STOPPED = replace(RIGHT, content="It is")


@pytest.mark.parametrize(
    ("reply", "stop", "ok"),
    [
        (STOPPED, "Paris.", True),
        (replace(STOPPED, reasoning=""), "Paris.", False),
        (replace(STOPPED, reasoning=THOUGHT[:20]), "Paris.", False),
        (replace(STOPPED, content="It is Paris."), "Paris.", False),
        (replace(STOPPED, finish_reason="length"), "Paris.", False),
        (replace(STOPPED, content="</think>It is"), "Paris.", False),
        (replace(RIGHT, content="", reasoning="The user asks for a "), "capital.", True),
        (replace(RIGHT, content="", reasoning="The user asks for a capital."), "capital.", False),
        (RIGHT, "capital.", True),  # engines may pass over thoughts
    ],
)
def test_a_stop_string_ends_a_reply_with_a_thought_before_it(reply: Reply, stop: str, *, ok: bool) -> None:
    assert thinking.check_stopped(FACT, reply, RIGHT, stop).ok is ok


def test_stop_strings_are_of_the_answer_and_of_the_thought() -> None:
    assert thinking.pick_stops(RIGHT) == ["is", "capital."]
    assert thinking.pick_stops(replace(RIGHT, reasoning="")) == ["is"]


@pytest.mark.parametrize(("told", "ok"), [(20, True), (15, True), (9, False), (0, False)])
def test_a_streamed_thought_has_its_numbers(told: int, *, ok: bool) -> None:
    whole, streamed = (replace(RIGHT, logprobs=({},) * count) for count in (20, told))
    assert thinking.check_numbered(FACT, streamed, whole).ok is ok
    assert not thinking.check_numbered(FACT, streamed, replace(whole, logprobs=())).sensitive
