"""Half a call in a history is refused with a reason, or answered soundly."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fixtures.banks.item import Item
from fixtures.client.reply import Reply, ToolCall
from suites.checks import history

TOOL = {"type": "function", "function": {"name": "load", "parameters": {"type": "object", "required": ["at"]}}}
CALL = {"id": "call_0", "type": "function", "function": {"name": "load", "arguments": '{"at": 7}'}}
ITEM = Item(
    id="t.0",
    kind="tool_result",
    answer="The result is 77ff64.",
    tools=(TOOL,),
    messages=(
        {"role": "user", "content": "Load it."},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_0", "content": "77ff64"},
    ),
)
CUT = "arguments cut in their middle"
SOUND = Reply(content="The result is 77ff64.", finish_reason="stop", prompt_tokens=40, completion_tokens=8)
REASON = '{"error": {"message": "arguments are no JSON"}}'


def _call(arguments: str) -> Reply:
    made = ToolCall(id="a", name="load", arguments=arguments)
    return Reply(content="", tool_calls=(made,), finish_reason="tool_calls")


def test_each_history_differs_in_the_arguments_of_its_call_alone() -> None:
    made = dict(history.damage_arguments(ITEM))
    told = {
        what: item.messages[1]["tool_calls"][0]["function"].get("arguments", "absent") for what, item in made.items()
    }
    assert told[CUT] == '{"at' and told[history.AS_OBJECT] == {"at": 7} and told["a call without arguments"] == "absent"
    assert len({json.dumps(value) for value in told.values()}) == len(told) == 10
    assert {(i.messages[0], i.messages[2]) == (ITEM.messages[0], ITEM.messages[2]) for i in made.values()} == {True}
    assert len({item.id for item in made.values()}) == 10


def test_a_history_without_a_call_is_not_asked() -> None:
    assert list(history.damage_arguments(replace(ITEM, messages=ITEM.messages[:1]))) == []


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, REASON, ""),
        (422, '{"detail": [{"msg": "Input should be a valid string"}]}', ""),
        (400, "arguments are no JSON", ""),
        (500, REASON, f"HTTP 500 for {CUT}"),
        (503, REASON, f"HTTP 503 for {CUT}"),
        (400, "", f"HTTP 400 without a reason for {CUT}"),
        (400, '{"error": {"message": ""}}', f"HTTP 400 without a reason for {CUT}"),
        (400, '{"error": null}', f"HTTP 400 without a reason for {CUT}"),
    ],
)
def test_a_refusal_is_the_clients_fault_and_says_why(status: int, body: str, said: str) -> None:
    assert history.check_refused_history(ITEM, CUT, status, body).detail == said


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (SOUND, ""),
        (
            Reply(
                content="",
                tool_calls=(ToolCall(id="a", name="load", arguments='{"at": 7}'),),
                finish_reason="tool_calls",
            ),
            "",
        ),
        (Reply(content="", finish_reason="stop"), f"it says nothing, behind {CUT}"),
        (Reply(content="It is<|observation|>", finish_reason="stop"), "observation"),
        (
            Reply(content="", tool_calls=(ToolCall(id="a", name="load", arguments="{"),), finish_reason="tool_calls"),
            "JSON",
        ),
    ],
)
def test_an_answer_behind_half_a_call_is_sound(reply: Reply, said: str) -> None:
    found = history.check_served_history(ITEM, CUT, reply, SOUND)
    assert found.ok is not bool(said) and said in found.detail


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (SOUND, ""),
        (replace(SOUND, prompt_tokens=44), "44 prompt tokens, 40 for the same arguments as text"),
        (replace(SOUND, content="The result is 11."), "the answer is not in the reply"),
    ],
)
def test_arguments_as_an_object_are_what_their_text_is(reply: Reply, said: str) -> None:
    found = history.check_served_history(ITEM, history.AS_OBJECT, reply, SOUND)
    assert found.ok is not bool(said) and said in found.detail
