"""A reply is as long as it must be: to the letter, and to the token."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from suites.checks import token_limits

ITEM = Item(id="i", kind="fact", messages=(), answer="Grass is green.")
WHOLE = Reply(content="Grass is green.", finish_reason="stop", completion_tokens=5)


@pytest.mark.parametrize(
    ("content", "finish", "said"),
    [
        ("Grass is **green**.", "stop", ""),
        ("Grass is green. The sky is blue.", "stop", "goes on for 4 words"),
        ("Grass is green..", "stop", "goes on behind"),
        ("Grass is", "stop", "ends 1 words early"),
        ("Grass is blue.", "stop", "not the answer"),
        ("", "stop", "ends 3 words early"),
        ("Grass is green.", "length", "finish_reason"),
    ],
)
def test_the_answer_and_no_more(content: str, finish: str, said: str) -> None:
    found = token_limits.check_exact(ITEM, Reply(content=content, finish_reason=finish))
    assert found.ok is (not said) and said in found.detail


@pytest.mark.parametrize(
    ("content", "tokens", "finish", "ok"),
    [
        ("Grass is", 2, "length", True),
        ("Grass is\ufffd", 2, "length", True),
        ("", 2, "length", True),
        ("Grass is", 1, "length", False),
        ("Grass is", None, "length", False),
        ("Grass is", 2, "stop", False),
        ("Grass was", 2, "length", False),
        ("Grass is green.", 2, "length", False),
        ("Grass is green.", 5, "stop", False),
    ],
)
def test_a_limit_cuts_to_the_token(content: str, tokens: int | None, finish: str, *, ok: bool) -> None:
    reply = Reply(content=content, completion_tokens=tokens, finish_reason=finish)
    assert token_limits.check_cut(ITEM, reply, WHOLE, 2).ok is ok


def test_a_limit_inside_the_thought_cuts_the_thought() -> None:
    whole, reply = replace(WHOLE, reasoning="I know. "), Reply(content="", reasoning="I ", completion_tokens=2)
    assert token_limits.check_cut(ITEM, replace(reply, finish_reason="length"), whole, 2).ok


@pytest.mark.parametrize(
    ("content", "tokens", "finish", "filled", "enough"),
    [
        ("Grass is green. And so on", 9, "length", True, True),
        ("Grass is green. And so on", 12, "stop", False, True),
        ("Grass is green.", 5, "stop", False, False),
        ("Grass is blue. And so on", 9, "length", False, False),
        ("Grass is green. And so on", None, "length", False, False),
    ],
)
def test_going_on(content: str, tokens: int | None, finish: str, *, filled: bool, enough: bool) -> None:
    reply = Reply(content=content, completion_tokens=tokens, finish_reason=finish)
    assert token_limits.check_past_the_end(ITEM, reply, WHOLE, 9).ok is filled
    assert token_limits.check_at_least(ITEM, reply, WHOLE, 9).ok is enough


def test_space_at_the_end_of_the_whole_is_no_part_of_its_beginning() -> None:
    whole = replace(WHOLE, content=" Grass is green. \n")
    reply = Reply(content=" Grass is green. And so on", completion_tokens=9, finish_reason="length")
    assert token_limits.check_past_the_end(ITEM, reply, whole, 9).ok
    assert not token_limits.check_past_the_end(ITEM, replace(reply, content="Grass is green."), whole, 9).ok


def test_a_text_that_ends_or_goes_on_within_a_word_has_words_of_its_own() -> None:
    within = token_limits.check_exact(ITEM, Reply(content="Grass is gre", finish_reason="stop"))
    assert not within.ok and within.detail == "ends early"
    assert (within.check, within.expected, within.got) == ("length.exact", "Grass is green.", "Grass is gre")


@pytest.mark.parametrize(
    ("content", "tokens", "wrong"),
    [
        ("Grass is green.", 4, ""),
        ("Grass is green", 4, "'.' was held back and lost, whole, finish_reason 'length'"),
        ("", 4, "'Grass is green.' was held back and lost, whole, finish_reason 'length'"),
        ("Grass was green.", 4, "not the whole reply"),
        ("Grass is green.", 5, "5 tokens, 4 allowed"),
        ("Grass is green.", None, "None tokens, 4 allowed"),
    ],
)
def test_a_limit_that_cuts_only_the_end_loses_no_text(content: str, tokens: int | None, wrong: str) -> None:
    reply = Reply(content=content, completion_tokens=tokens, finish_reason="length")
    found = token_limits.check_whole_at_limit(ITEM, reply, WHOLE, 4)
    assert (found.ok, found.detail) == (not wrong, wrong)


@pytest.mark.parametrize(("finish", "limit"), [("stop", 4), ("length", 5)])
def test_an_end_token_that_is_counted_is_not_text(finish: str, limit: int) -> None:
    assert token_limits.find_last_limit(WHOLE, Reply(content="Grass is green.", finish_reason=finish)) == limit
