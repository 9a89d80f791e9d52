"""The envelope: what fits passes, each way of not fitting is named."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from fixtures.banks.item import Item
from fixtures.client.reply import Reply, ToolCall
from suites.checks import protocol

ITEM = Item(
    id="x.1", kind="fact", messages=({"role": "user", "content": "Hi"},), answer="Hello", tokens_prompt_about=100
)
GOOD = Reply(content="Hello", finish_reason="stop", prompt_tokens=105, completion_tokens=2)
CALL = ToolCall(id="1", name="f", arguments="{}")


def test_a_fitting_envelope_passes() -> None:
    assert protocol.check_envelope(ITEM, GOOD, max_tokens=16).ok
    usages: tuple[object, ...] = ({"total_tokens": 107}, {}, None)
    for usage in usages:
        assert protocol.check_envelope(ITEM, replace(GOOD, raw={"usage": usage}), max_tokens=16).ok


def test_a_streamed_one_needs_its_end() -> None:
    assert protocol.check_envelope(ITEM, replace(GOOD, streamed=True, done_seen=True)).ok
    assert "[DONE]" in protocol.check_envelope(ITEM, replace(GOOD, streamed=True)).detail


def test_calls_are_announced_by_their_finish_reason() -> None:
    calling = replace(GOOD, content="", tool_calls=(CALL,), completion_tokens=9)
    assert protocol.check_envelope(ITEM, replace(calling, finish_reason="tool_calls")).ok
    assert "with 1 tool calls" in protocol.check_envelope(ITEM, calling).detail


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (replace(GOOD, finish_reason="tool_calls"), "with 0 tool calls"),
        (replace(GOOD, finish_reason=None), "is not one of"),
        (replace(GOOD, finish_reason="length"), "after 2 of 16"),
        (replace(GOOD, prompt_tokens=None), "no usage"),
        (replace(GOOD, completion_tokens=None), "no usage"),
        (replace(GOOD, completion_tokens=0), "no completion token"),
        (replace(GOOD, completion_tokens=17), "16 allowed"),
        (replace(GOOD, completion_tokens=400), "bytes of text"),
        (replace(GOOD, prompt_tokens=1550), "prompt tokens"),
        *(
            (replace(GOOD, raw={"usage": {"total_tokens": total}}), "a total of")
            for total in (106, 0, -1, 107.5, "107", math.nan)
        ),
        (replace(GOOD, cached_tokens=106), "106 cached tokens of a prompt of 105"),
        (replace(GOOD, form_faults=("the role is 'user', not 'assistant'",)), "the role is 'user'"),
        (replace(GOOD, content=""), "empty"),
        (replace(GOOD, content="", reasoning="Hm."), "only reasoning"),
        (replace(GOOD, content="<think>Hm.</think>Hello"), "leaked"),
        (replace(GOOD, reasoning="I call <tool_call>f</tool_call>"), "left in the reasoning"),
    ],
)
def test_what_does_not_fit_is_named(broken: Reply, why: str) -> None:
    finding = protocol.check_envelope(ITEM, broken, max_tokens=16)
    assert not finding.ok
    assert why in finding.detail


def test_reasoning_beside_an_answer_is_fine() -> None:
    thinking = replace(GOOD, reasoning="The user greets me.", completion_tokens=9)
    assert protocol.check_envelope(ITEM, thinking).ok


def test_a_truncated_prompt_shows_in_its_count() -> None:
    long = replace(ITEM, tokens_prompt_about=8000)
    assert not protocol.check_envelope(long, replace(GOOD, prompt_tokens=2048)).ok


def test_prompt_tokens_can_be_exact() -> None:
    assert protocol.check_prompt_tokens(ITEM, GOOD, 105).ok
    assert not protocol.check_prompt_tokens(ITEM, GOOD, 104).ok
    found = protocol.check_prompt_tokens(ITEM, GOOD, 104)
    assert (found.check, found.expected, found.got, found.item) == ("protocol.prompt_tokens", "104", "105", ITEM.id)


@pytest.mark.parametrize(("chars", "chunks", "ok"), [(160, 1, True), (161, 1, False), (161, 2, True), (900, 0, False)])
def test_a_stream_comes_in_pieces(chars: int, chunks: int, *, ok: bool) -> None:
    told = replace(GOOD, content="a" * chars, streamed=True, done_seen=True, chunks=chunks, completion_tokens=90)
    assert protocol.check_envelope(ITEM, told).ok is ok
    assert protocol.check_envelope(ITEM, replace(told, streamed=False)).ok


@pytest.mark.parametrize(("known", "ok"), [(set(), True), ({"call_1"}, True), ({"call_0"}, False)])
def test_a_call_has_an_id_that_no_earlier_turn_has(known: set[str], *, ok: bool) -> None:
    made = ToolCall(id="call_0", name="f", arguments="{}")
    reply = Reply(content="", tool_calls=(made,), finish_reason="tool_calls")
    found = protocol.check_new_ids(ITEM, reply, known)
    assert found.ok is ok and ("is the id of an earlier turn" in found.detail) is not ok
