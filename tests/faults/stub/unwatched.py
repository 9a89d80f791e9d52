"""Streams and replies that are right only where somebody looks: with logprobs, whole, in ASCII, or piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tests.faults.stub.answers import tokens
from tests.faults.stub.defect import Answer, Asked, Damage, Defect, Json, retold, when
from tests.faults.stub.replies import spent
from tests.faults.suite_tests import STREAM, TEXT, UNWATCHED

LATE = 30  # token of a reply: behind what short comparisons see


def _is_unwatched(asked: Asked) -> bool:
    return not (asked.logprobs or asked.load or asked.surface)


def _is_streamed(asked: Asked) -> bool:
    return asked.stream and not (asked.load or asked.surface)


def _change_tokens(change: Callable[[list[str]], list[str]]) -> Damage:
    """Change a long reply's tokens; usage and finish_reason are those of the right ones."""

    def damage(answer: Answer, asked: Asked) -> Answer:
        told = tokens(answer.content)
        if len(told) <= LATE + 2:
            return answer
        return replace(answer, content="".join(change(told)), completion_tokens=spent(answer))

    return damage


def _rewrite(change: Callable[[str], str]) -> Damage:
    return lambda a, asked: replace(a, content=change(a.content), completion_tokens=spent(a)) if a.content else a


def _join_deltas(told: list[Json]) -> list[Json]:
    """Send all of the content with its last delta, as a parser does that waits for the end."""
    said = [e for e in told if _delta(e).get("content")]
    if not said:
        return told
    text = "".join(_delta(e)["content"] for e in said)
    _delta(said[-1])["content"] = text
    return [e for e in told if e not in said[:-1]]


def _delta(event: Json) -> dict[str, Any]:
    found: dict[str, Any] = (event.get("choices") or [{}])[0].get("delta") or {}
    return found


def _change_ids(told: list[Json]) -> list[Json]:
    return [{**event, "id": f"stub-{number}"} for number, event in enumerate(told)]


DEFECTS: Mapping[str, Defect] = {
    "unwatched_streams_lose_a_delta": Defect(
        does="a stream without logprobs loses its 31st delta, and usage counts it",
        family="protocol",
        kills=(UNWATCHED,),
        damage=when(lambda a: _is_unwatched(a) and a.stream, _change_tokens(lambda t: [*t[:LATE], *t[LATE + 1 :]])),
    ),
    "unwatched_streams_swap_two_deltas": Defect(
        does="a stream without logprobs sends its 32nd delta before its 31st",
        family="protocol",
        kills=(UNWATCHED,),
        damage=when(
            lambda a: _is_unwatched(a) and a.stream,
            _change_tokens(lambda t: [*t[:LATE], t[LATE + 1], t[LATE], *t[LATE + 2 :]]),
        ),
    ),
    "unwatched_replies_choose_another_token": Defect(
        does="a reply without logprobs has another 31st token than with them",
        family="text",
        kills=(UNWATCHED,),
        damage=when(_is_unwatched, _change_tokens(lambda t: [*t[:LATE], " quite", *t[LATE + 1 :]])),
    ),
    "streams_lose_line_breaks": Defect(
        does="a stream has spaces instead of line breaks",
        family="protocol",
        kills=(UNWATCHED,),
        damage=when(_is_streamed, _rewrite(lambda text: text.replace("\n", " "))),
    ),
    "streams_lose_other_scripts": Defect(
        does="a stream loses every character that takes more than one byte",
        family="protocol",
        kills=(UNWATCHED,),
        damage=when(_is_streamed, _rewrite(lambda text: "".join(c for c in text if c.isascii()))),
    ),
    "streams_come_in_one_piece": Defect(
        does="a stream sends all of its text with its last delta",
        family="protocol",
        kills=(TEXT,),
        damage=when(lambda a: a.stream and not a.surface, retold(_join_deltas)),
    ),
    "streams_change_their_id": Defect(
        does="each chunk of a stream has another id",
        family="protocol",
        kills=(STREAM, TEXT),
        damage=when(lambda a: a.stream and not a.surface, retold(_change_ids)),
    ),
}
