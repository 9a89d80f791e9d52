"""A stream may part from the whole answer at a tie only; what is lost or said twice is told with its place."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.client.reply import Reply
from suites.checks.stream_text import check_stream_text

WORDS = [" the", " red", " fox", " ran", " over", " the", " old", " wall", " and", " far", " away"]
TEXT = "".join(WORDS)


def at(token: str, *, other: str = " cat", gap: float = 7.0) -> dict[str, Any]:
    tops = [{"token": token, "logprob": -0.01}, {"token": other, "logprob": -0.01 - gap}]
    return {"token": token, "logprob": -0.01, "top_logprobs": tops}


SURE = Reply(content=TEXT, logprobs=tuple(map(at, WORDS)))
TIED = Reply(content=TEXT, logprobs=tuple(at(w, gap=0.3 if w == " fox" else 7.0) for w in WORDS))
DRAFTED = Reply(content=TEXT, logprobs=tuple({"token": w, "logprob": 0.0} for w in WORDS))
HIDDEN = Reply(content=TEXT, logprobs=(*SURE.logprobs, at("<|user|>")))
BLIND = Reply(content=TEXT)
LOST, TWICE = TEXT.replace(" fox", ""), TEXT.replace(" fox", " fox fox")


@pytest.mark.parametrize("whole", [SURE, HIDDEN, DRAFTED])
@pytest.mark.parametrize("streamed", [LOST, TWICE], ids=["lost", "twice"])
def test_lost_and_repeated_deltas_are_told(whole: Reply, streamed: str) -> None:
    found = check_stream_text(streamed, whole)
    assert not found.ok and "nothing ties" in found.detail


@pytest.mark.parametrize(("streamed", "place"), [(TEXT[:-5], 42), (f"{TEXT} again", 47), ("", 0)])
@pytest.mark.parametrize("whole", [SURE, DRAFTED], ids=["sure", "drafted"])
def test_an_end_that_differs_is_told(streamed: str, place: int, whole: Reply) -> None:
    found = check_stream_text(streamed, whole)
    assert not found.ok and f"character {place}:" in found.detail


@pytest.mark.parametrize(
    ("streamed", "whole", "sensitive"),
    [
        (TEXT, SURE, True),
        (TEXT, BLIND, True),
        (TEXT.replace(" fox ran over", " cat slept below"), TIED, True),  # a tie, and another story
        (TEXT.replace(" fox ran over", " cat slept below the hill"), DRAFTED, True),  # nothing is known there
        (LOST, BLIND, False),
        ("", Reply(content=""), False),
    ],
)
def test_ties_and_the_unknown_are_no_fault(streamed: str, whole: Reply, sensitive: bool) -> None:
    found = check_stream_text(streamed, whole)
    assert found.ok and found.sensitive == sensitive, found.detail


def test_reasoning_is_read_as_well() -> None:
    whole = Reply(content=" yes", reasoning=TEXT, logprobs=(*SURE.logprobs, at(" yes")))
    assert check_stream_text(f"{TEXT} yes", whole).ok
    assert not check_stream_text(f"{LOST} yes", whole).ok
