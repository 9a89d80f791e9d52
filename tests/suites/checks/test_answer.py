"""Right answers pass in any dress; wrong, broken and endless ones do not."""

from __future__ import annotations

import pytest

from fixtures.banks.item import Item
from fixtures.client.reply import Reply, ToolCall
from suites.checks import answer
from tests.faults.stub.answers import STORY

CAPITAL = Item(id="x.1", kind="fact", messages=({"role": "user", "content": "Capital of France?"},), answer="Paris")
SUM = Item(id="x.2", kind="arithmetic", messages=({"role": "user", "content": "12 x 15?"},), answer="180")
TALE = Item(id="x.3", kind="long_generation", messages=({"role": "user", "content": "Tell a story."},))


def said(content: str, finish_reason: str = "stop", **fields: object) -> Reply:
    return Reply(content=content, finish_reason=finish_reason, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", ["Paris", "**Paris**", "The capital of France is Paris.", "paris"])
def test_a_right_answer_passes(content: str) -> None:
    assert answer.check_answer(CAPITAL, said(content)).ok


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("London", "not in the reply"),
        ("", "empty"),
        ("Paris" + ", or maybe another one" * 25, "loop"),
        ("Paris, " + ", ".join(f"town {chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(90)), "buried"),
        ("Paris <|user|>", "leak"),
    ],
)
def test_a_wrong_answer_says_why(content: str, why: str) -> None:
    finding = answer.check_answer(CAPITAL, said(content))
    assert not finding.ok
    assert why in finding.detail


def test_a_right_answer_that_did_not_end_is_wrong() -> None:
    assert "finish_reason" in answer.check_answer(CAPITAL, said("Paris", "length")).detail


def test_a_call_is_no_answer() -> None:
    call = ToolCall(id="1", name="lookup", arguments="{}")
    assert "called 'lookup'" in answer.check_answer(CAPITAL, said("Paris", tool_calls=(call,))).detail


@pytest.mark.parametrize("content", ["180", "12 x 15 = 180.", "First 12 x 10 = 120, then 60 more: **180**"])
def test_the_last_number_of_a_solution_counts(content: str) -> None:
    assert answer.check_answer(SUM, said(content)).ok


@pytest.mark.parametrize("content", ["181", "180, no, it is 190", "one hundred and eighty"])
def test_another_last_number_is_wrong(content: str) -> None:
    assert not answer.check_answer(SUM, said(content)).ok


def test_prose_is_judged_by_form() -> None:
    assert answer.check_text(TALE, said(STORY)).ok


def test_prose_that_stops_is_wrong_unless_the_limit_cut_it() -> None:
    half = STORY[: len(STORY) // 2].rstrip(" .,")
    assert not answer.check_text(TALE, said(half)).ok
    assert answer.check_text(TALE, said(half, "length")).ok


def test_prose_without_a_finish_reason_is_wrong() -> None:
    assert not answer.check_text(TALE, Reply(content=STORY)).ok


def test_a_finding_shows_the_reply() -> None:
    assert "London" in answer.check_answer(CAPITAL, said("London")).explain()


def asked_for(text: str) -> Item:
    return Item(id="x", kind="long_generation", messages=({"role": "user", "content": text},))


@pytest.mark.parametrize(
    ("request_", "told", "ok"),
    [
        ("Write an essay of at least 300 words.", 60, False),
        ("Write an essay of at least 300 words.", 160, True),
        ("Write at least 1,500 words.", 160, False),
        ("Tell me a short story.", 60, True),
    ],
)
def test_a_long_text_that_ends_too_early_is_another_text(request_: str, told: int, ok: bool) -> None:
    story = f"{' '.join(STORY.split()[:told]).rstrip('.,')}."
    found = answer.check_text(asked_for(request_), Reply(content=story, finish_reason="stop"))
    assert found.ok is ok, found.detail
    assert ok or "stopped after" in found.detail


def test_a_long_text_that_was_cut_by_the_limit_is_long_enough() -> None:
    reply = Reply(content=" ".join(STORY.split()[:60]), finish_reason="length")
    assert answer.check_text(asked_for("Write at least 1,500 words."), reply).ok
