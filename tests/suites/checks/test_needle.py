"""Codes: found, missed, mixed up, made up; and when a finding says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.banks.glm5 import Glm5Bank
from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from suites.checks import needle

HAY = "The secret code for amber fox is 625bdd. The secret code for red owl is 9c01fe. What is the code for amber fox?"
ITEM = Item(
    id="x.needle",
    kind="needle",
    messages=({"role": "user", "content": HAY},),
    answer="The secret code for amber fox is 625bdd.",
    tokens_prompt_about=1000,
)
ABSENT = Item(id="x.none", kind="no_needle", messages=ITEM.messages, answer="There is no secret code for blue cat.")


def said(content: str, prompt_tokens: int | None = 1000) -> Reply:
    return Reply(content=content, finish_reason="stop", prompt_tokens=prompt_tokens, completion_tokens=9)


@pytest.mark.parametrize("content", ["625bdd", "The secret code for amber fox is 625bdd.", "**625BDD**"])
def test_the_code_is_found(content: str) -> None:
    assert needle.check_needle(ITEM, said(content), index_topk=256).ok


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("I could not find it.", "not in the reply"),
        ("9c01fe", "9c01fe is a decoy"),
        ("625bdd or 9c01fe", "9c01fe is a decoy"),
        ("625bde", "made-up"),
        ("625bdd and a1b2c3", "a1b2c3 is a made-up code"),
        ("", "empty"),
    ],
)
def test_a_miss_says_what_kind(content: str, why: str) -> None:
    finding = needle.check_needle(ITEM, said(content), index_topk=256)
    assert not finding.ok
    assert why in finding.detail


def test_all_of_several_codes_are_wanted() -> None:
    both = Item(id="x", kind="needle", messages=ITEM.messages, answer="625bdd 9c01fe")
    assert needle.check_needle(both, said("They are 9c01fe and 625bdd."), index_topk=None).ok
    assert "['9c01fe'] not in the reply" in needle.check_needle(both, said("625bdd"), index_topk=None).detail


@pytest.mark.parametrize(("tokens", "sensitive"), [(256, False), (257, True), (1000, True)])
def test_a_prompt_within_index_topk_says_nothing_about_sparsity(tokens: int, sensitive: bool) -> None:
    assert needle.check_needle(ITEM, said("625bdd", tokens), index_topk=256).sensitive is sensitive


def test_without_usage_the_banks_count_decides() -> None:
    assert needle.check_needle(ITEM, said("625bdd", None), index_topk=999).sensitive
    assert not needle.check_needle(ITEM, said("625bdd", None), index_topk=1000).sensitive


def test_an_unfair_item_fails_whatever_the_model_says() -> None:
    absent = Item(id="x", kind="needle", messages=ITEM.messages, answer="0badc0de")
    guessable = Item(id="x", kind="needle", messages=ITEM.messages, answer="amber fox")
    assert "unfair" in needle.check_needle(absent, said("0badc0de"), index_topk=None).detail
    assert "unfair" in needle.check_needle(guessable, said("amber fox"), index_topk=None).detail


@pytest.mark.parametrize(
    "content",
    ["There is no secret code for blue cat.", "no code", "The text does not give one.", "文中没有这个密码。"],
)
def test_saying_that_there_is_none_is_right(content: str) -> None:
    asked = Item(id="x", kind="no_needle", messages=({"role": "user", "content": "请"},), answer="no code")
    assert needle.check_not_invented(asked, said(content)).ok


@pytest.mark.parametrize(
    "content", ["The secret code for blue cat is 625bdd.", "a1b2c3", "There is none, but a1b2c3 is close.", "Yes.", ""]
)
def test_inventing_or_evading_is_wrong(content: str) -> None:
    assert not needle.check_not_invented(ABSENT, said(content)).ok


@given(
    st.integers(0, 50), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from(["single", "multi_key", "multi_value"])
)
def test_every_needle_of_the_bank_is_fair_and_its_answer_passes(trial: int, depth: float, tier: str) -> None:
    item = Glm5Bank().needle_tier(tier, tokens=300, depth=depth, trial=trial)
    assert item is not None
    assert needle.check_needle(item, said(item.answer or ""), index_topk=None).ok


@given(st.text(alphabet="abcdef0123456789 -.", max_size=60))
def test_words_and_short_numbers_are_no_codes(text: str) -> None:
    assert all(len(code) >= 6 and any(c.isdigit() for c in code) for code in needle.find_codes(text))


def test_a_code_without_a_digit_is_a_code_and_a_word_is_not() -> None:
    assert needle.CODE.findall("the secret code is abcacf.") == ["abcacf"]
    assert needle.CODE.findall("a decade behind the facade") == []
