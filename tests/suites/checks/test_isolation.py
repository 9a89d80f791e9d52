"""Markers stay at home, and numbers are compared with the engine's own noise, not with a wish."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.banks.item import Item
from fixtures.client.reply import Reply, ToolCall
from matrix.checkout import CHECKOUT
from suites.checks import isolation


def item(name: str, text: str = "What is the code?") -> Item:
    return Item(id=name, kind="needle", messages=({"role": "user", "content": text},), answer="a1b2c3")


MARKERS = {"x.1": "a1b2c3", "x.2": "d4e5f6"}
OWN = Reply(content="The code is a1b2c3.")


def said(logprob: float, token: str = "The") -> Reply:
    top = [{"token": token, "logprob": logprob}, {"token": " other", "logprob": -5.0 - logprob}]
    position = {"token": token, "logprob": logprob, "top_logprobs": top}
    return Reply(content=2 * token, logprobs=(position, position))


def test_the_own_marker_alone_passes() -> None:
    assert isolation.check_no_leak(item("x.1"), OWN, MARKERS).ok


@pytest.mark.parametrize(
    "reply",
    [
        replace(OWN, content="The code is a1b2c3. d4e5f6"),
        replace(OWN, reasoning="d4e5f6, they said"),
        replace(OWN, tool_calls=(ToolCall(id="1", name="f", arguments='{"code": "d4e5f6"}'),)),
    ],
)
def test_a_foreign_marker_anywhere_is_a_leak(reply: Reply) -> None:
    found = isolation.check_no_leak(item("x.1"), reply, MARKERS)
    assert not found.ok
    assert "holds the marker of x.2" in found.detail


def test_another_requests_answer_is_told_from_a_missing_one() -> None:
    assert "its own marker is missing" in isolation.check_no_leak(item("x.1"), Reply(content="d4e5f6"), MARKERS).detail
    assert isolation.check_no_leak(item("x.1"), Reply(content=""), MARKERS).detail == "its own marker is missing"


def test_a_marker_that_stands_in_the_own_prompt_is_no_leak() -> None:
    asked = item("x.1", "Codes: a1b2c3 and d4e5f6. Say both.")
    assert isolation.check_no_leak(asked, replace(OWN, content="a1b2c3 d4e5f6"), MARKERS).ok


def test_one_request_alone_shows_nothing() -> None:
    assert not isolation.check_no_leak(item("x.1"), OWN, {"x.1": "a1b2c3"}).sensitive


def test_equal_markers_are_unfair() -> None:
    assert "unfair" in isolation.check_no_leak(item("x.1"), OWN, {"x.1": "a1b2c3", "x.2": "a1b2c3"}).detail


def judged(same: list[Reply], other: Reply, **options: Any) -> bool:
    return isolation.check_same_numbers("batch", item("x"), same, other, allowed=0.15, **options).ok


def test_within_arithmetic_is_the_same_and_beyond_is_not() -> None:
    same = [said(-0.5), said(-0.5)]
    assert judged(same, said(-0.6))
    assert not judged(same, said(-0.7))


def test_a_noisy_engine_is_judged_by_its_own_noise() -> None:
    noisy = [said(-0.5), said(-0.6)]
    assert judged(noisy, said(-0.85))  # 0.25 from the nearest, 3 x 0.1 allowed
    assert not judged(noisy, said(-1.0))


def test_noise_has_an_end() -> None:
    wild = [said(-0.5), said(-3.0)]
    assert not isolation.check_repeatable(item("x"), wild).ok
    assert not judged(wild, said(-5.0))  # 3 x 0.3 is the most


def test_another_first_token_with_nothing_in_common_is_infinitely_far() -> None:
    alien = Reply(content="Q", logprobs=({"token": "Q", "logprob": -0.1, "top_logprobs": []},))
    found = isolation.check_same_numbers("batch", item("x"), [said(-0.5)], alien, allowed=0.15)
    assert (found.ok, found.data["distance"]) == (False, "inf")


def test_without_logprobs_nothing_is_claimed() -> None:
    blind = [Reply(content="a"), Reply(content="b")]
    found = isolation.check_same_numbers("batch", item("x"), blind, blind[0], allowed=0.15)
    assert (found.ok, found.sensitive) == (True, False)
    floor = isolation.check_repeatable(item("x"), blind)
    assert (floor.ok, floor.sensitive) == (True, False)


def test_an_uncached_answer_says_nothing_about_the_cache() -> None:
    same = [said(-0.5), said(-0.5)]
    assert not isolation.check_same_numbers(
        "prefix_cache", item("x"), same, same[0], allowed=0.15, sensitive=False
    ).sensitive


@given(a=st.floats(-2.4, -0.01), b=st.floats(-2.4, -0.01), c=st.floats(-2.4, -0.01))  # the other stands at -5 minus it
def test_one_of_the_equal_requests_is_always_the_same(a: float, b: float, c: float) -> None:
    same = [said(a), said(b), said(c)]
    assert all(judged(same, reply) for reply in same)


def test_the_room_depends_on_the_weights() -> None:
    assert isolation.logprob_tolerance("bf16") < isolation.logprob_tolerance("nvfp4") < isolation.MOST_NOISE + 0.01


def test_the_flash_canary_has_room_for_a_step_of_bf16_in_either_logit() -> None:
    reference = json.loads((CHECKOUT / "tests/lab/references/canary_flash_logits.json").read_text("utf-8"))
    _, exponent = math.frexp(max(max(row) for row in reference["logits"]))
    assert isolation.logprob_tolerance("bf16", "flash") == 2 * 2.0 ** (exponent - 8)  # bf16 keeps eight bits
    assert isolation.logprob_tolerance("bf16", "reap160") == isolation.TOLERANCE_BF16


def test_equal_prompts_have_one_length_whatever_the_cache_held() -> None:
    same = [Reply(content="a", prompt_tokens=n) for n in (24, 24, None)]
    assert not isolation.find_other_counts(same)
    assert isolation.find_other_counts([*same, Reply(content="a", prompt_tokens=1)]) == (
        "equal prompts have 24 and 1 tokens"
    )


def test_a_reply_lists_the_candidates_that_were_asked_for() -> None:
    two = said(-0.1)
    drafted = replace(two, logprobs=(two.logprobs[0], {**two.logprobs[1], "top_logprobs": []}))
    for reply in (two, drafted):
        assert isolation.check_repeatable(item("x.1"), [reply, reply], top=2).ok
    found = isolation.check_repeatable(item("x.1"), [two, two], top=5)
    assert not found.ok and "2 candidates a position, 5 asked for" in found.detail
    assert not isolation.find_few_candidates([replace(two, logprobs=())], 5)


def test_a_computed_prompt_was_in_no_cache() -> None:
    cached = replace(said(-0.1), cached_tokens=3)
    assert isolation.check_repeatable(item("x.1"), [cached, cached]).ok
    assert not isolation.check_repeatable(item("x.1"), [cached, cached], computed=True).ok
    for none in (0, None):
        cold = replace(cached, cached_tokens=none)
        assert isolation.check_repeatable(item("x.1"), [cold, cold], computed=True).ok
