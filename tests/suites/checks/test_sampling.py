"""What is drawn is drawn for itself, and a penalty changes what it must."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from suites.checks import sampling

ITEM = Item(id="i", kind="fact", messages=({"role": "user", "content": "Tell me of ships."},))


def choices(*said: str) -> list[dict[str, Any]]:
    return [{"message": {"content": each}} for each in said]


@pytest.mark.parametrize(
    ("drawn", "ok"),
    [
        ([choices("a", "b"), choices("c", "c")], True),
        ([choices("a", "a"), choices("c", "c")], False),
        ([choices("a"), choices("b")], False),
        ([choices("a", "b"), None], False),
        ([[{"message": {"content": "", "reasoning": "x"}}, {"message": {"content": "", "reasoning": "y"}}]], True),
    ],
)
def test_choices_are_drawn_apart(drawn: Sequence[Any], *, ok: bool) -> None:
    assert sampling.check_drawn_apart(ITEM, drawn).ok is ok


def replies(*said: str) -> list[Reply]:
    return [Reply(content=each) for each in said]


@pytest.mark.parametrize(
    ("beside", "ok"), [("abcd", True), ("abxx", True), ("axxx", False), ("xxxx", False)], ids=["same", "half", "3", "4"]
)
def test_a_few_seeds_may_move(beside: str, *, ok: bool) -> None:
    assert sampling.check_seeds_in_company(ITEM, replies(*"abcd"), replies(*beside)).ok is ok


def test_seeds_that_all_say_the_same_show_nothing() -> None:
    assert not sampling.check_seeds_in_company(ITEM, replies(*"aaaa"), replies(*"aaaa")).sensitive


def position(token: str, value: float, rival: str, less: float) -> dict[str, Any]:
    top = [{"token": token, "logprob": value}, {"token": rival, "logprob": less}]
    return {"token": token, "logprob": value, "top_logprobs": top}


@pytest.mark.parametrize(
    ("second", "place"),
    [
        (position(" sea", -0.5, " tin", -1.5), 1),
        (position(" sea", -0.1, " tin", -4.0), None),  # too far ahead
        (position(" owl", -0.5, " tin", -1.5), None),  # not said before
        (position(" sea", -0.5, " ships", -1.5), None),  # a rival of the prompt may cost as much
        (position(" sea", -0.5, " sea", -1.5), None),
        (position(" sea", float("nan"), " tin", -1.5), None),
    ],
)
def test_a_presence_penalty_must_change_what_is_nearly_as_likely(second: dict[str, Any], place: int | None) -> None:
    plain = Reply(content=" sea sea", logprobs=(position(" sea", -0.1, " tin", -9.0), second))
    assert sampling.find_present_place(ITEM, plain, 2.0) == place
    same = sampling.check_presence(ITEM, Reply(content=" sea sea"), plain, 2.0)
    assert (same.ok, same.sensitive) == (place is None, place is not None)
    assert sampling.check_presence(ITEM, Reply(content=" sea tin"), plain, 2.0).ok
