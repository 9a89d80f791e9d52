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


def test_one_candidate_is_the_greedy_text() -> None:
    greedy, other = Reply(content="a"), Reply(content="b")
    assert fields.check_narrowed(ITEM, greedy, greedy, "top_k").ok
    found = fields.check_narrowed(ITEM, greedy, other, "top_k")
    assert (found.check, found.detail) == ("fields.narrowed.top_k", "top_k left more than one token to the sampler")
