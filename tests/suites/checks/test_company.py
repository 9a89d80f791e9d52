"""An answer in company is held against the one given alone: mass decides, ties are allowed, calls count as text."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from fixtures.banks.item import ExpectedCall, Item
from fixtures.client.reply import Reply, ToolCall
from suites.checks.company import (
    check_goes_on,
    check_same_answer,
    check_same_calls,
    compute_tolerance,
    measure_divergence_floor,
)

ITEM = Item(id="x.1", kind="needle", messages=({"role": "user", "content": "What is the code?"},), answer="a1b2c3")


def at(chosen: str, **candidates: float) -> dict[str, Any]:
    tops = [{"token": token, "logprob": value} for token, value in candidates.items()]
    return {"token": chosen, "logprob": candidates[chosen], "top_logprobs": tops}


def said(text: str, *positions: dict[str, Any], **fields: Any) -> Reply:
    return Reply(content=text, logprobs=positions, **fields)


SURE = said("a1", at("a1", a1=-0.001, b2=-7.0, c3=-9.0))
TAIL = said("a1", at("a1", a1=-0.001, b2=-7.6, c3=-8.4))  # 0.6 nats in candidates of one in a thousand
FLAT = said("a1", at("a1", a1=-0.6, b2=-1.2, c3=-2.3))
CALL = said("", at("<c>", **{"<c>": -0.001, "b": -7.0}), tool_calls=(ToolCall(id="1", name="f", arguments='{"x": 1}'),))
NAN = said("a1", at("a1", a1=float("nan"), b2=-7.0))


@pytest.mark.parametrize(
    ("alone", "other", "wrong"),
    [
        ([SURE], SURE, ""),
        ([SURE], TAIL, ""),
        ([SURE], FLAT, "nats a position"),
        ([SURE], said("b2", at("b2", b2=-0.001, a1=-7.0)), "no tie"),
        ([SURE], NAN, "no logarithm"),
        ([NAN, SURE], SURE, "no logarithm"),  # the order of the two must not matter
        ([SURE, NAN], SURE, "no logarithm"),
        ([CALL], replace(CALL, tool_calls=(replace(CALL.tool_calls[0], id="2"),)), ""),
        ([CALL], replace(CALL, tool_calls=(replace(CALL.tool_calls[0], arguments='{"x": 2}'),)), "every token"),
        ([CALL], replace(CALL, tool_calls=()), "every token"),
    ],
)
def test_what_differs_beyond_noise_is_told(alone: list[Reply], other: Reply, wrong: str) -> None:
    found = check_same_answer(ITEM, alone, other, tie=0.3, check="together.text")
    assert found.ok == (not wrong) and found.sensitive
    assert wrong in f"{found.detail} {found.got}"


def test_without_logprobs_the_same_text_is_the_same_and_another_proves_nothing() -> None:
    one, two = Reply(content="a1"), Reply(content="b2")
    assert check_same_answer(ITEM, [one], one, tie=0.3, check="together.text").sensitive
    found = check_same_answer(ITEM, [one], two, tie=0.3, check="together.text")
    assert found.ok and not found.sensitive


def test_the_floor_is_the_farthest_of_the_answers_alone() -> None:
    assert measure_divergence_floor([SURE]) == 0.0
    assert measure_divergence_floor([SURE, SURE, FLAT]) == measure_divergence_floor([SURE, FLAT]) > 0.1


def test_a_noisy_engine_gets_three_times_its_floor_up_to_a_point() -> None:
    noisy = said("a1", at("a1", a1=-0.02, b2=-4.0))
    near = check_same_answer(ITEM, [SURE, noisy], FLAT, tie=0.3, check="together.text")
    assert not near.ok and near.data["limit"] <= 3 * 4.4e-2


@pytest.mark.parametrize(("chosen", "limit"), [(-1e-7, 1e-5), (-0.001, 1.26e-3), (-0.7, 4.4e-2)])
def test_the_surer_the_answer_the_less_it_may_move(chosen: float, limit: float) -> None:
    assert compute_tolerance(said("a1", at("a1", a1=chosen, b2=-9.0))) == pytest.approx(limit, rel=0.01)


def test_a_sure_answer_at_another_temperature_is_told() -> None:
    """The mass beside the chosen token is a thousand times what it was, and still under a hundredth."""
    sure, hot = (said("a1", at("a1", a1=-left, b2=math.log(left))) for left in (1e-6, 3e-3))
    assert not check_same_answer(ITEM, [sure], hot, check="together.text", tie=0.3).ok


def test_drafted_tokens_show_nothing() -> None:
    drafted = {"token": "a1", "logprob": 0.0, "top_logprobs": []}
    found = check_same_answer(ITEM, [said("a1", drafted)], SURE, tie=0.3, check="together.text")
    assert found.ok


CALLS = tuple(
    Item(
        id=f"calls.{n}",
        kind="parallel_calls",
        messages=(),
        tools=({"name": "f", "parameters": {"type": "object"}},),
        call=tuple(ExpectedCall(name="f", arguments={"x": 10 * n + place}) for place in range(2)),
    )
    for n in range(2)
)


def made(*values: int) -> Reply:
    calls = tuple(ToolCall(id=f"c{v}", name="f", arguments=f'{{"x": {v}}}') for v in values)
    return Reply(
        content="", tool_calls=calls, finish_reason="tool_calls", prompt_tokens=9, completion_tokens=9, streamed=False
    )


@pytest.mark.parametrize(
    ("alone", "beside", "why"),
    [
        (made(0, 1), made(0, 1), ""),
        (made(0, 1), made(1, 0), ""),
        (made(0, 1), made(0, 11), "holds a call of calls.1"),
        (made(0, 1), made(0), "no call f"),
        (made(0, 1), replace(made(0, 1), completion_tokens=0), "counts no completion token"),
    ],
)
def test_a_reply_beside_others_has_its_own_calls(alone: Reply, beside: Reply, why: str) -> None:
    found = check_same_calls(CALLS[0], alone, beside, others=CALLS)
    assert found.ok is not bool(why) and why in found.detail and found.sensitive


def test_calls_that_are_wrong_alone_judge_nothing() -> None:
    found = check_same_calls(CALLS[0], made(7), made(11), others=CALLS)
    assert found.ok and not found.sensitive


STAYED = said(
    "red green blue",
    at("red", red=-0.001, tin=-7.0),
    at(" green", **{" green": -0.001, " tin": -7.0}),
    at(" blue", **{" blue": -0.001, " tin": -7.0}),
    finish_reason="length",
)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    ("text", "finish_reason", "ok"),
    [
        ("red green blue", "length", True),
        ("red green blue", "abort", False),
        ("red green", "stop", False),
        ("red green of the other one blue", "length", False),
    ],
)
def test_a_reply_goes_on_as_if_nobody_had_hung_up(streamed: bool, text: str, finish_reason: str, ok: bool) -> None:
    kept = STAYED.logprobs if text == STAYED.content else STAYED.logprobs[:2]
    reply = Reply(content=text, finish_reason=finish_reason, streamed=streamed, logprobs=() if streamed else kept)
    assert check_goes_on(ITEM, STAYED, reply, tie=0.01).ok is ok
