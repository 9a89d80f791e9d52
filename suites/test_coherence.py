"""Does it make sense? Facts, sums, memory over turns, and text that is language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client import Client, room_for
from reports.finding import Finding
from suites.checks import answer, protocol
from suites.contract import Evidence, expect
from suites.depth import Depth

pytestmark = [pytest.mark.coherence]


def test_knows_facts(client: Client, bank: Bank, evidence: Evidence, depth: Depth) -> None:
    items = bank.facts(depth.facts) + bank.chinese(depth.chinese) + bank.instructions(depth.instructions)
    expect(evidence, _answered(client, items, "coherence.fact"))


def test_does_arithmetic(client: Client, bank: Bank, evidence: Evidence, depth: Depth) -> None:
    expect(evidence, _answered(client, bank.arithmetic(depth.arithmetic), "coherence.arithmetic"))


def test_recalls_across_turns(client: Client, bank: Bank, evidence: Evidence, depth: Depth) -> None:
    longer = tuple(item for turns in depth.recall_turns[:1] for item in _long(bank, turns, depth))
    expect(evidence, _answered(client, bank.recall(depth.recall) + longer, "coherence.recall"))


def test_text_is_not_degenerate(client: Client, bank: Bank, evidence: Evidence, depth: Depth) -> None:
    """Streamed, as people read it: detokenizers break in streams first."""
    expect(evidence, _sound(client, bank.long_generation(depth.long_texts)))


def _long(bank: Bank, turns: int, depth: Depth) -> tuple[Item, ...]:
    return bank.recall_long(len(depth.recall_turns), turns=turns)


def _answered(client: Client, items: Iterable[Item], check: str) -> Iterator[Finding]:
    for item in items:
        reply = client.ask(item)
        yield answer.right(item, reply, check=check)
        yield protocol.envelope(item, reply, max_tokens=room_for(item))


def _sound(client: Client, items: Iterable[Item]) -> Iterator[Finding]:
    for item in items:
        reply = client.ask(item, stream=True)
        judge = answer.right if item.answer is not None else answer.sound
        yield judge(item, reply, check="coherence.text")
        yield protocol.envelope(item, reply, max_tokens=room_for(item))
