"""Greedy decoding takes the likeliest token, and two equal requests part only at a tie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from suites.checks import isolation
from suites.checks.greedy import explain_parting, find_unlikely_choice

ITEM = Item(id="x.1", kind="fact", messages=({"role": "user", "content": "Hi"},), answer="Hello")


def at(chosen: str, **candidates: float) -> dict[str, Any]:
    tops = [
        {"token": token, "logprob": value} for token, value in sorted(candidates.items(), key=lambda each: -each[1])
    ]
    return {"token": chosen, "logprob": candidates[chosen], "top_logprobs": tops}


def said(text: str, *positions: Mapping[str, Any], reasoning: str = "") -> Reply:
    return Reply(content=text, reasoning=reasoning, logprobs=positions)


SURE = at("The", The=-0.1, A=-2.4)
A, B = (
    said("The cat", SURE, at("cat", cat=-0.625, dog=-0.875)),
    said("The dog", SURE, at("dog", cat=-0.875, dog=-0.625)),
)


def test_the_likeliest_token_is_chosen() -> None:
    assert find_unlikely_choice([A, B, said("x")]) == ""
    assert "position 1: greedy decoding chose 'dog' (-0.875), not 'cat' (-0.625)" in find_unlikely_choice(
        [A, said("The dog", SURE, at("dog", cat=-0.625, dog=-0.875))]
    )


def test_two_tokens_that_print_alike_are_two() -> None:
    tops = [{"token": t, "logprob": v} for t, v in (("The", -14.6), ("", -0.001), ("", -15.3))]
    assert "not '' (-0.001)" in find_unlikely_choice([said("The", {**tops[0], "top_logprobs": tops})])
    special = [{"token": "", "logprob": v} for v in (-0.001, -15.3)]
    assert find_unlikely_choice([said("", {**special[0], "top_logprobs": special})]) == ""


@given(st.dictionaries(st.text(max_size=3), st.floats(-9, 0), min_size=1))
def test_the_likeliest_of_any_candidates_is_no_fault_and_another_is(candidates: dict[str, float]) -> None:
    ordered = sorted(candidates, key=lambda token: candidates[token])
    for token in ordered:
        far = candidates[ordered[-1]] - candidates[token] > 1e-3
        assert bool(find_unlikely_choice([said("", at(token, **candidates))])) == far


@pytest.mark.parametrize(
    ("first", "other", "tie", "why"),
    [
        (A, A, 0.0, ""),
        (A, B, 0.25, ""),  # a tie as wide as the noise
        (A, B, 0.2, "'cat' and 'dog' are 0.25 nats apart, no tie"),
        (A, said("The cow", *A.logprobs), 9.0, "every token is the same and the text is not"),
        (A, said("The cat", *A.logprobs, reasoning="Hm."), 9.0, "every token is the same"),
        (A, said("The", SURE), 0.002, "one reply has 2 tokens, the other 1"),
        (A, said("The bird", SURE, at("bird", bird=-0.1)), 9.0, "inf nats apart"),
        (A, said("The \ufffd", SURE, at("\ufffd", **{"\ufffd": -0.1})), 0.0, ""),
        (A, said("something else"), 0.0, ""),  # no logprobs: blind
    ],
)
def test_texts_part_only_at_a_tie(first: Reply, other: Reply, tie: float, why: str) -> None:
    for one, two in ((first, other), (other, first)):
        found = explain_parting(one, two, tie=tie)
        assert bool(found) == bool(why) and (one is other or why in found)


def test_equal_numbers_with_another_text_fail_the_checks_of_isolation() -> None:
    """Logprobs alone were compared, and only of the first positions."""
    other = said("The cow", *A.logprobs)
    assert isolation.check_repeatable(ITEM, [A, A]).ok
    assert not isolation.check_repeatable(ITEM, [A, other]).ok
    assert not isolation.check_same_numbers("batch", ITEM, [A, A], other, allowed=0.15).ok
    assert isolation.check_same_numbers("batch", ITEM, [A, A], B, allowed=0.15).detail == ""  # a tie within twice 0.15
    assert not isolation.check_same_numbers("batch", ITEM, [A, A], B, allowed=0.1).ok
