"""The questions of a probe: a few of each kind, judged by the checks that the suites use.

About 9,000 prompt and 1,500 generated tokens with the default lengths: what a vendor bills for it is cents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import room_for
from fixtures.client.reply import Reply
from reports.evidence.finding import Finding
from suites.checks import answer, needle, protocol, tools

Ask = Callable[..., Reply]
NEEDLE_TOKENS: Final = (1_500, 3_000)  # within and beyond the family's index_topk of 2,048
ROOM_FOR_THOUGHT: Final = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question and how its reply is judged. `kind` groups them in the report."""

    kind: str
    item: Item
    judge: Callable[[Item, Ask, int], Iterator[Finding]]
    room: int


def list_questions(bank: Bank, *, thinking: bool, needle_tokens: Sequence[int] = NEEDLE_TOKENS) -> tuple[Question, ...]:
    """List what is asked, cheap ones first: a broken server shows it before the long prompts are sent."""
    room = ROOM_FOR_THOUGHT if thinking else 0
    groups: tuple[tuple[str, Sequence[Item], Callable[[Item, Ask, int], Iterator[Finding]]], ...] = (
        ("facts", bank.facts(3), _judge_answer),
        ("sums", bank.arithmetic(2), _judge_answer),
        ("memory over turns", bank.recall(1), _judge_answer),
        ("tool calls", (*bank.calls(2), *bank.zero_argument_calls(1), *bank.parallel_calls(1)), _judge_calls),
        ("no tool needed", bank.no_tool_needed(1), _judge_no_call),
        ("tool results", bank.tool_results(1), _judge_answer),
        ("stream and whole", (*bank.calls(1), *bank.facts(1)), _judge_both_ways),
        ("needles", [bank.needle(tokens=n, depth=0.3) for n in needle_tokens], _judge_needle),
    )
    return tuple(
        Question(kind=kind, item=item, judge=judge, room=room_for(item) + room)
        for kind, items, judge in groups
        for item in items
    )


def _judge_answer(item: Item, ask: Ask, room: int) -> Iterator[Finding]:
    reply = ask(item, max_tokens=room)
    yield answer.check_answer(item, reply)
    yield protocol.check_envelope(item, reply, max_tokens=room)


def _judge_calls(item: Item, ask: Ask, room: int) -> Iterator[Finding]:
    reply = ask(item, max_tokens=room)
    yield tools.check_calls(item, reply)
    yield protocol.check_envelope(item, reply, max_tokens=room)


def _judge_no_call(item: Item, ask: Ask, room: int) -> Iterator[Finding]:
    reply = ask(item, max_tokens=room)
    yield tools.check_no_call(item, reply)
    yield protocol.check_envelope(item, reply, max_tokens=room)


def _judge_both_ways(item: Item, ask: Ask, room: int) -> Iterator[Finding]:
    streamed, whole = ask(item, stream=True, max_tokens=room), ask(item, max_tokens=room)
    yield tools.check_stream_equals_whole(item, streamed, whole)
    yield protocol.check_envelope(item, streamed, max_tokens=room)


def _judge_needle(item: Item, ask: Ask, room: int) -> Iterator[Finding]:
    yield needle.check_needle(item, ask(item, max_tokens=room), index_topk=None)
