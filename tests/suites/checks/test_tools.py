"""Calls: by value and type, under the schema, streamed as whole, and none where none fits."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.banks.glm5 import Glm5Bank
from fixtures.banks.item import ExpectedCall, Item
from fixtures.client.reply import Reply, ToolCall
from fixtures.client.reply_assembly import Assembly, parse_document
from fixtures.client.sse import SseParser
from suites.checks import tools
from tests.faults.stub.defect import Answer
from tests.faults.stub.dialect import DIALECTS, Dialect
from tests.faults.stub.replies import events

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer", "minimum": 1},
        "place": {"type": "object", "properties": {"room": {"type": "string"}}, "required": ["room"]},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
        "urgent": {"type": "boolean"},
    },
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = (
    {"type": "function", "function": {"name": "forecast", "parameters": SCHEMA}},
    {"type": "function", "function": {"name": "lock", "parameters": {"type": "object", "properties": {}}}},
)
ARGUMENTS: dict[str, Any] = {"city": "Łódź", "days": 3, "place": {"room": "B1"}, "tags": ["a", "b"], "urgent": True}


def item(*calls: tuple[str, dict[str, Any]], answer: str | None = None) -> Item:
    expected = tuple(ExpectedCall(name=n, arguments=a) for n, a in calls)
    return Item(
        id="x", kind="call", messages=({"role": "user", "content": "?"},), tools=TOOLS, call=expected, answer=answer
    )


def made(*calls: tuple[str, str], finish_reason: str = "tool_calls", content: str = "") -> Reply:
    sent = tuple(ToolCall(id=f"c{i}", name=n, arguments=a) for i, (n, a) in enumerate(calls))
    return Reply(content=content, tool_calls=sent, finish_reason=finish_reason)


ASKED = item(("forecast", ARGUMENTS))


def test_the_right_call_passes_in_any_spelling_of_json() -> None:
    for text in (json.dumps(ARGUMENTS), json.dumps(ARGUMENTS, ensure_ascii=False, indent=2, sort_keys=True)):
        assert tools.check_calls(ASKED, made(("forecast", text))).ok


def test_a_call_without_arguments_passes() -> None:
    assert tools.check_calls(item(("lock", {})), made(("lock", "{}"))).ok


def changed(**values: Any) -> str:
    return json.dumps({**ARGUMENTS, **values})


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(content="It rains.", finish_reason="stop"), "no tool call"),
        (made(("forecast", changed(city="Lodz"))), "no call forecast"),
        (made(("forecast", changed(days="3"))), "is not of type 'integer'"),
        (made(("forecast", changed(days=0))), "minimum"),
        (made(("forecast", changed(urgent=1))), "is not of type 'boolean'"),
        (made(("forecast", changed(place={"room": "B2"}))), "no call forecast"),
        (made(("forecast", changed(place={}))), "'room' is a required property"),
        (made(("forecast", changed(tags=["b", "a"]))), "no call forecast"),
        (made(("forecast", changed(tags=["c"]))), "is not one of"),
        (made(("forecast", changed(extra=1))), "Additional properties"),
        (made(("forecast", "{}")), "'city' is a required property"),
        (made(("forecast", changed()[:-1])), "not JSON"),
        (made(("forecast", "")), "not JSON"),
        (made(("forecast", "null")), "is not of type 'object'"),
        (made(("forecast", '{"city": "a", "city": "b"}')), "a key occurs twice"),
        (made(("forecast", changed(city="</arg_value>"))), "leaked into the arguments"),
        (made(("weather", changed())), "not among the tools"),
        (made(("forecast", changed()), ("lock", "{}")), "extra call lock"),
        (made(("forecast", changed()), ("forecast", changed())), "extra call forecast"),
        (made(("forecast", changed()), finish_reason="stop"), "finish_reason"),
        (made(("forecast", changed()), content="<tool_call>"), "leaked into the content"),
    ],
)
def test_a_wrong_call_says_why(reply: Reply, why: str) -> None:
    finding = tools.check_calls(ASKED, reply)
    assert not finding.ok
    assert why in finding.detail


def test_call_ids_are_unique_and_there() -> None:
    reply = made(("forecast", changed()))
    assert not tools.check_calls(ASKED, replace(reply, tool_calls=(replace(reply.tool_calls[0], id=""),))).ok
    twice = item(("forecast", ARGUMENTS), ("lock", {}))
    both = made(("forecast", changed()), ("lock", "{}"))
    assert tools.check_calls(twice, both).ok
    same = tuple(replace(c, id="c") for c in both.tool_calls)
    assert "unique" in tools.check_calls(twice, replace(both, tool_calls=same)).detail


def test_parallel_calls_may_come_in_any_order_and_none_may_miss() -> None:
    twice = item(("forecast", ARGUMENTS), ("lock", {}))
    assert tools.check_calls(twice, made(("lock", "{}"), ("forecast", changed()))).ok
    assert "no call forecast" in tools.check_calls(twice, made(("lock", "{}"))).detail


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(content="I", finish_reason="length", completion_tokens=5), ""),
        (replace(made(("forecast", changed())), completion_tokens=5), ""),
        (replace(made(("forecast", '{"city": "Pa')), completion_tokens=5), "are not JSON"),
        (replace(made(("forecast", '{"city": "Pa')), finish_reason="length", completion_tokens=5), ""),
        (Reply(content="I", finish_reason="tool_calls", completion_tokens=5), "without a call"),
        (Reply(content="I", finish_reason="length", completion_tokens=6), "6 tokens, 5 allowed"),
        (Reply(content="", finish_reason="stop", completion_tokens=5), "dropped without a word"),
        (Reply(content="I", finish_reason="stop", completion_tokens=4), ""),
    ],
)
def test_half_a_call_is_none(reply: Reply, why: str) -> None:
    found = tools.check_cut_call(ASKED, reply, 5)
    assert found.ok is not bool(why) and why in found.detail


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(alphabet="abc日", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_a_value_is_the_same_after_a_round_trip(value: Any) -> None:
    assert tools.same_value(json.loads(json.dumps(value)), value)


@given(json_values, json_values)
def test_same_means_same_json(a: Any, b: Any) -> None:
    assert tools.same_value(a, b) == (json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True))


@pytest.mark.parametrize(("got", "want"), [("5", 5), (True, 1), (1, True), (0, False), (None, ""), ("a", ["a"])])
def test_another_type_is_another_value(got: Any, want: Any) -> None:
    assert not tools.same_value(got, want)


def test_words_are_wanted_where_no_tool_fits() -> None:
    none = item()
    assert tools.check_no_call(none, Reply(content="I have no tool for that.", finish_reason="stop")).ok
    assert not tools.check_no_call(none, made(("lock", "{}"))).ok
    assert not tools.check_no_call(none, Reply(content="", finish_reason="stop")).ok
    assert not tools.check_no_call(none, Reply(content="I have no tool", finish_reason="length")).ok


def test_an_expected_answer_is_compared_where_no_tool_fits() -> None:
    paris = item(answer="Paris")
    assert tools.check_no_call(paris, Reply(content="Paris", finish_reason="stop")).ok
    assert not tools.check_no_call(paris, Reply(content="London", finish_reason="stop")).ok
    assert tools.check_no_call(paris, made(("lock", "{}"))).data["called"]


@pytest.mark.parametrize(
    "change",
    [
        {"content": "Other"},
        {"reasoning": "Hm"},
        {"finish_reason": "stop"},
        {"prompt_tokens": 8},
        {"tool_calls": ()},
        {"tool_calls": (ToolCall(id="z", name="forecast", arguments='{"city": "X"'),)},
    ],
)
def test_a_stream_that_differs_is_noticed(change: dict[str, Any]) -> None:
    whole = replace(made(("forecast", changed())), prompt_tokens=7)
    streamed = replace(whole, streamed=True)
    assert tools.check_stream_equals_whole(ASKED, streamed, whole).ok
    assert not tools.check_stream_equals_whole(ASKED, replace(streamed, **change), whole).ok


def test_call_ids_may_differ_between_two_requests() -> None:
    whole = made(("lock", "{}"))
    other = replace(whole, tool_calls=(ToolCall(id="zzz", name="lock", arguments=" {} "),))
    assert tools.check_stream_equals_whole(ASKED, other, whole).ok


BANK = Glm5Bank()
CALLS = BANK.calls(6) + BANK.parallel_calls(3) + BANK.zero_argument_calls(2)


@given(st.sampled_from(CALLS), st.sampled_from([*DIALECTS.values()]), st.lists(st.integers(1, 5000), max_size=12))
def test_under_every_split_of_the_bytes_the_calls_are_the_same(asked: Item, dialect: Dialect, cuts: list[int]) -> None:
    """A delta may end anywhere, in the middle of a UTF-8 character too."""
    calls = tuple(
        ToolCall(id=f"c{i}", name=c.name, arguments=json.dumps(c.arguments, ensure_ascii=False))
        for i, c in enumerate(asked.call)
    )
    chunks = events(Answer(calls=calls, finish_reason="tool_calls"), dialect)
    wire = b"".join(b"data: " + json.dumps(e, ensure_ascii=False).encode() + b"\r\n\r\n" for e in chunks)
    parser, assembly, place = SseParser(), Assembly(), 0
    for cut in [*sorted(c % len(wire) for c in cuts), len(wire)]:
        for payload in parser.feed(wire[place:cut]):
            assembly.add(parse_document(payload))
        place = cut
    assert tools.check_calls(asked, assembly.reply()).ok


def test_trigger_f1_needs_both_kinds_to_mean_anything() -> None:
    wanted = {"a": True, "b": True, "c": False}
    assert tools.check_trigger_f1(wanted, wanted).ok
    assert tools.check_trigger_f1(wanted, wanted).sensitive
    assert not tools.check_trigger_f1({"a": True}, {"a": True}).sensitive
    finding = tools.check_trigger_f1(wanted, {"a": True, "b": False, "c": True})
    assert not finding.ok
    assert finding.data["f1"] == 0.5


def test_a_number_beyond_every_float_is_a_wrong_argument_and_no_error_of_ours() -> None:
    found = tools.check_calls(item(("lock", {})), made(("lock", '{"x": 1e999}')))
    assert found.detail == 'no call lock({}); extra call lock({"x": Infinity})'


@pytest.mark.parametrize(
    ("wanted", "called", "f1"),
    [
        ("", "", 1.0),  # nobody calls: nothing is missed
        ("a", "", 0.0),
        ("ab", "abc", 0.8),
        ("ab", "ab", 1.0),
    ],
)
def test_f1_weighs_missed_and_needless_calls_alike(wanted: str, called: str, f1: float) -> None:
    found = tools.check_trigger_f1({i: i in wanted for i in "abc"}, {i: i in called for i in "abc"})
    assert (found.check, found.expected, found.got) == ("tools.trigger_f1", ">= 0.98", f"{f1:.4f}")
    assert (found.ok, found.data) == (f1 == 1.0, {"f1": pytest.approx(f1), "items": 3})


def test_f1_at_its_bound_passes_and_wrong_items_are_named() -> None:
    wanted = {f"i{n}": n < 50 for n in range(100)}  # 49 hits, a miss and a needless call: 98 of 100
    found = tools.check_trigger_f1(wanted, {**wanted, "i0": False, "i99": True})
    assert (found.ok, found.detail) == (True, "i0, i99")


def test_equal_words_are_counted_alike_streamed_and_whole() -> None:
    whole = Reply(content="Hi.", finish_reason="stop", prompt_tokens=9, completion_tokens=3)
    assert tools.check_stream_equals_whole(item(), whole, whole).ok
    fewer, other = replace(whole, completion_tokens=2), replace(whole, content="Ho.", completion_tokens=2)
    assert tools.check_stream_equals_whole(item(), fewer, whole).detail == "completion_tokens: 2 streamed, 3 whole"
    assert "completion_tokens" not in tools.check_stream_equals_whole(item(), other, whole).detail


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", ""),
        ("I look it up for Rome.", ""),
        ('{"city":  "Rome"}', "stands in the content, too"),
        ("I look \ufffd it up.", "beside a call: mojibake"),
    ],
)
def test_words_beside_a_call_are_read_too(content: str, why: str) -> None:
    made = ToolCall(id="1", name="forecast", arguments='{"city": "Rome"}')
    reply = Reply(content=content, tool_calls=(made,), finish_reason="tool_calls")
    found = tools.check_calls(item(("forecast", {"city": "Rome"})), reply)
    assert found.ok is (not why) and why in found.detail


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(reasoning="I should call.", content=" ", finish_reason="stop"), "no tool call, only reasoning"),
        (Reply(reasoning="I should call.", content="It rains.", finish_reason="stop"), "no tool call"),
        (Reply(reasoning=" ", content="", finish_reason="stop"), "no tool call"),
    ],
)
def test_a_thought_and_nothing_else_is_told_apart(reply: Reply, said: str) -> None:
    assert tools.check_calls(item(("lock", {})), reply).detail == said


@pytest.mark.parametrize(
    ("content", "finish_reason", "ok"),
    [
        ("The results are 628 and jade island.", "stop", True),
        ("jade island, and for the other call 628.", "stop", True),
        ("The result is 628.", "stop", False),
        ("The results are 628 and jade.", "stop", False),
        ("The results are 628 and jade island", "length", False),
    ],
)
def test_both_results_stand_in_the_answer_in_either_order(content: str, finish_reason: str, ok: bool) -> None:
    found = tools.check_both_results(
        item(answer="628 and jade island"), Reply(content=content, finish_reason=finish_reason)
    )
    assert found.ok is ok
