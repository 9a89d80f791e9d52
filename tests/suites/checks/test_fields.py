"""A field that is half obeyed is not obeyed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from suites.checks import fields

ITEM = Item(id="i", kind="fact", messages=())
WHOLE = Reply(content="The capital is Paris.", finish_reason="stop")


@pytest.mark.parametrize(
    ("content", "finish", "ok"),
    [
        ("The capital ", "stop", True),
        ("The capital", "stop", True),
        ("The capital is", "stop", False),
        ("The cap", "stop", False),
        ("The capital ", "length", False),
    ],
)
def test_a_stop_string_ends_the_text_before_it(content: str, finish: str, *, ok: bool) -> None:
    assert fields.check_stop(ITEM, replace(WHOLE, content=content, finish_reason=finish), WHOLE, "is").ok is ok


@pytest.mark.parametrize(
    ("text", "ok"), [("ab" * 8, True), ("5" * 8, True), ("abc", False), ("", False), ("abcdefgh", False)]
)
def test_a_bias_leaves_one_token(text: str, *, ok: bool) -> None:
    assert fields.check_bias(ITEM, text, 8).ok is ok


def choice(index: Any, content: Any) -> dict[str, Any]:
    return {"index": index, "message": {"content": content}}


@pytest.mark.parametrize(
    ("choices", "ok"),
    [
        ([choice(0, "a"), choice(1, "a")], True),
        ([choice(0, "a"), choice(0, "a")], False),
        ([choice(0, "a"), choice(1, "b")], False),
        ([choice(0, "a")], False),
        ([choice(0, None), choice(1, "")], False),
        ([choice(0, None), choice(1, None)], False),
        ([{"index": 0, "message": ["a"]}, {"index": 1, "message": "a"}], False),
        (None, False),
        (["a", 7], False),
    ],
)
def test_several_choices_are_told_apart_and_say_the_same(choices: Any, *, ok: bool) -> None:
    assert fields.check_choices(ITEM, choices, 2).ok is ok


def test_a_refusal_is_no_evidence_and_a_5xx_is() -> None:
    refused, broken = (fields.check_refused_field(ITEM, "n", status, "no") for status in (400, 500))
    assert (refused.ok, refused.sensitive) == (True, False)
    assert not broken.ok and broken.sensitive and broken.check == "fields.n"
    long = fields.check_refused_field(ITEM, "n", 500, "x" * 900).got
    assert long == "HTTP 500: " + "x" * 200


def test_seeds_and_left_streams_are_held_to_the_same_text() -> None:
    other = replace(WHOLE, content="The capital is Rome.")
    moved, same = (fields.check_same_seed(ITEM, WHOLE, again) for again in (other, WHOLE))
    assert (moved.ok, same.ok, same.sensitive) == (False, True, True)
    assert (moved.expected, moved.got) == (WHOLE.content, other.content)
    assert fields.check_after_hang_up(ITEM, WHOLE, WHOLE).ok
    assert not fields.check_after_hang_up(ITEM, WHOLE, other).ok
    ended = fields.check_after_hang_up(ITEM, WHOLE, replace(other, finish_reason="length"))
    assert (ended.expected, ended.got) == (WHOLE.content, other.content)
    assert ended.detail.endswith("streams were left; finish_reason is 'length', 'stop' before")
    assert not fields.check_after_hang_up(ITEM, WHOLE, replace(WHOLE, finish_reason="length")).ok


def test_a_bias_tells_the_text_and_how_often_a_token_was_due() -> None:
    found = fields.check_bias(ITEM, "abc", 8)
    assert (found.check, found.expected, found.got) == ("fields.logit_bias", "one token 8 times", "abc")
    assert found.item == ITEM.id and "the bias was ignored" in found.detail


def test_a_stop_string_that_was_sent_is_told_with_what_else_is_wrong() -> None:
    found = fields.check_stop(ITEM, replace(WHOLE, finish_reason="length"), WHOLE, "is")
    assert (found.check, found.expected, found.got) == ("fields.stop", "The capital ", WHOLE.content)
    assert found.detail == (
        "the text is not what comes before the stop string; the stop string was sent; "
        "finish_reason is 'length', not 'stop'"
    )


def test_choices_are_told_with_their_texts() -> None:
    found = fields.check_choices(ITEM, [choice(0, "a"), choice(2, "")], 2)
    assert (found.check, found.expected, found.got) == ("fields.n", "2 equal choices", "a | ")
    assert found.detail == "their indexes are [0, 2]; greedy choices differ; a choice is empty"


def test_one_text_for_every_seed_is_no_sample() -> None:
    same, other = Reply(content="a"), Reply(content="b")
    assert fields.check_sampled(ITEM, [same, same, other]).ok
    assert "one text for every seed" in fields.check_sampled(ITEM, [same, same, same]).detail
    thoughts = [Reply(content="", reasoning=said) for said in "ab"]
    assert fields.check_sampled(ITEM, thoughts).ok


def test_one_candidate_is_the_greedy_text() -> None:
    greedy, other = Reply(content="a"), Reply(content="b")
    assert fields.check_narrowed(ITEM, greedy, greedy, "top_k").ok
    found = fields.check_narrowed(ITEM, greedy, other, "top_k")
    assert (found.check, found.detail) == ("fields.narrowed.top_k", "top_k left more than one token to the sampler")


@pytest.mark.parametrize(("gap", "ok"), [(0.0, True), (3.0, False)])
def test_two_tokens_as_likely_are_both_the_greedy_text(gap: float, ok: bool) -> None:
    tops = [{"token": "a", "logprob": -0.7}, {"token": "b", "logprob": -0.7 - gap}]
    greedy = Reply(content="a", logprobs=({**tops[0], "top_logprobs": tops},))
    assert fields.check_narrowed(ITEM, greedy, Reply(content="b"), "top_p").ok is ok


def whole(index: int, content: str = "a", finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {"index": index, "finish_reason": finish, "message": {"content": content, **message}}


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (whole(1), ""),
        (whole(1, finish="length"), "end with stop and length"),
        (whole(1, reasoning="I think."), "has its thought apart"),
        (whole(1, reasoning_content=" "), ""),
    ],
)
def test_equal_choices_end_and_think_alike(second: dict[str, Any], why: str) -> None:
    found = fields.check_choices(ITEM, [whole(0), second], 2)
    assert found.ok is not bool(why) and why in found.detail


def test_one_seed_draws_the_same_choices() -> None:
    both = [whole(0, "a"), whole(1, "b")]
    assert fields.check_same_choices(ITEM, both, list(both)).ok
    for again in ([whole(0, "a"), whole(1, "c")], [whole(0, "a")], None, [3, 4]):
        assert not fields.check_same_choices(ITEM, both, again).ok


def position(token: str, value: float, **others: float) -> dict[str, Any]:
    listed = {token: value, **others}
    return {"token": token, "logprob": value, "top_logprobs": [{"token": t, "logprob": v} for t, v in listed.items()]}


def test_a_penalty_must_change_what_it_costs_the_lead() -> None:
    near = Reply(content="x" * 6, logprobs=tuple(position("x", -0.1, y=-4.0) for _ in range(6)))
    sure = Reply(content="x" * 6, logprobs=tuple(position("x", -0.1, y=-30.0) for _ in range(6)))
    blind = Reply(content="x" * 25, logprobs=tuple(position("x", -0.1) for _ in range(25)))
    assert fields.find_penalised_place(near, 2.0) == 4  # 8 nats lost, 3.9 ahead, 4 left for the prompt's own
    assert fields.find_penalised_place(sure, 2.0) is None
    assert not fields.check_penalty(ITEM, near, near, 2.0).ok
    assert fields.check_penalty(ITEM, replace(near, content="xy"), near, 2.0).ok
    assert (told := fields.check_penalty(ITEM, sure, sure, 2.0)).ok and not told.sensitive
    assert not fields.check_penalty(ITEM, blind, blind, 2.0).ok  # 48 nats: no candidate is needed to see that
    assert fields.check_penalty(ITEM, Reply(content="x"), Reply(content="x"), 2.0).ok


def test_a_reply_without_logprobs_is_the_one_with_them() -> None:
    watched = Reply(
        content="xyz",
        finish_reason="length",
        completion_tokens=3,
        logprobs=tuple(position(c, -0.01, q=-9.0) for c in "xyz"),
    )
    plain = replace(watched, logprobs=())
    assert fields.check_unwatched(ITEM, plain, watched).ok
    for other, why in (
        (replace(plain, content="xz"), "whole: character 1"),
        (replace(plain, content="xz", streamed=True), "streamed: character 1"),
        (replace(plain, finish_reason="stop"), "finish_reason is 'stop'"),
        (replace(plain, completion_tokens=2), "completion_tokens is 2"),
    ):
        found = fields.check_unwatched(ITEM, other, watched)
        assert not found.ok and why in found.detail


@pytest.mark.parametrize(("status", "ok"), [(400, True), (422, True), (500, False), (200, False)])
def test_what_is_invalid_is_the_clients_fault(status: int, *, ok: bool) -> None:
    assert fields.check_refusal(ITEM, "messages", status, "{}").ok is ok


@pytest.mark.parametrize("what", ["tools that are a word", "a message without a role", "half a body"])
@pytest.mark.parametrize(("status", "ok"), [(400, True), (422, True), (500, False), (200, False)])
def test_what_is_malformed_is_the_clients_fault(what: str, status: int, *, ok: bool) -> None:
    found = fields.check_malformed(ITEM, what, status, "{}")
    assert (found.ok, found.detail) == (ok, "" if ok else f"HTTP {status} for {what}")


@pytest.mark.parametrize(("text", "ok"), [("a b" * 2, True), (" so so", False), ("a ba", False), ("", False)])
def test_the_named_token_fills_the_reply(text: str, *, ok: bool) -> None:
    assert fields.check_biased_token(ITEM, text, "a b", 2).ok is ok


def test_a_stream_numbers_each_of_its_tokens() -> None:
    told = Reply(content="xy", completion_tokens=2, finish_reason="length", logprobs=(position("x", -0.1),))
    assert not fields.check_numbered(ITEM, told).ok
    assert fields.check_numbered(ITEM, replace(told, logprobs=(*told.logprobs, position("y", -0.1)))).ok
    assert not fields.check_numbered(ITEM, replace(told, logprobs=())).sensitive


def _chunk(index: Any, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([_chunk(1, content="a"), _chunk(0, content="a"), _chunk(0, "stop"), _chunk(1, "stop"), {"choices": []}], ""),
        ([_chunk(0, content="a"), _chunk(0, "stop")], "their indexes are [0]"),
        ([_chunk(0, content="a"), _chunk(1, "stop", content="b"), _chunk(0, "stop")], "greedy choices differ"),
        ([_chunk(0, content="a"), _chunk(1), _chunk(0, "stop"), _chunk(1, "stop")], "a choice is empty"),
        ([_chunk(0, content="a"), _chunk(1, content="a"), _chunk(0, "stop")], "equal choices end with stop and None"),
        ([{"choices": None}, {"choices": [None]}, {"usage": {}}], "their indexes are []"),
    ],
)
def test_choices_of_a_stream_are_joined_by_their_index(events: list[dict[str, Any]], said: str) -> None:
    found = fields.check_choices(ITEM, fields.join_choices(events), 2)
    assert found.ok is not bool(said) and said in found.detail
