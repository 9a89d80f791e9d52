"""Tests that a reply has the length and the form that was asked for: to the letter, to the token, or by count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import Client, EngineRefused
from fixtures.client.reply import Reply
from matrix.model import Cell
from reports.evidence.finding import Finding
from suites.asking.contract import EvidenceSink, expect_ok
from suites.asking.depth import Depth
from suites.checks import constraints, fields, token_limits

pytestmark = [pytest.mark.instructions, pytest.mark.from_depth("full")]

MORE_TOKENS: Final = 16  # behind the end of a reply
# Of the engines that have `ignore_eos`, llama.cpp's server ignores `min_tokens` (seen on 2026.10.11549).
TAKES_MIN_TOKENS: Final = frozenset({"vllm", "sglang", "trtllm"})


def test_says_the_answer_and_no_more(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """A missed end token lets the engine go on, in sentences that are sound: agents then read two answers."""
    items = bank.exact_replies(depth.exact)
    expect_ok(evidence, (token_limits.check_exact(item, client.ask(item)) for item in items))


def test_ends_at_max_tokens(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Streamed and whole: a limit that is off by one, or a cut that says `stop`, breaks whoever asks for the rest."""
    expect_ok(evidence, _check_cut_replies(client, bank.exact_replies(depth.fields)))


@pytest.mark.for_cells(claims=["max_completion_tokens"])
def test_obeys_the_newer_name_of_the_limit(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """`max_completion_tokens` alone, as newer SDKs send it: ignored, a reply runs to its end or to the context's."""
    expect_ok(evidence, _check_newer_limit(client, bank.exact_replies(depth.fields)))


@pytest.mark.for_cells(claims=["ignore_eos"])
def test_goes_on_where_it_must(cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """`ignore_eos` and `min_tokens`: a reply that ends before is shorter than every load that is measured assumes."""
    claimed = ["ignore_eos", *(["min_tokens"] if cell.engine.dialect in TAKES_MIN_TOKENS else [])]
    expect_ok(evidence, _go_on(client, bank.exact_replies(depth.fields), claimed))


@pytest.mark.for_cells(claims=["instructions"])
def test_obeys_what_can_be_counted(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """A lost system message, a prompt cut at its end or a reply that stops early is sound text, and not this one."""
    items = bank.constrained(depth.constraints)
    expect_ok(evidence, (constraints.check_constraints(item, client.ask(item)) for item in items))


def _check_cut_replies(client: Client, items: Sequence[Item]) -> Iterator[Finding]:
    for item in items:
        whole = client.ask(item)
        half = max(1, (whole.completion_tokens or 0) // 2)
        # 1 is the edge at which a limit that is off by one becomes nothing or everything.
        for limit in dict.fromkeys((1, half)):
            for stream in (False, True):
                reply = client.ask(item, max_tokens=limit, stream=stream)
                yield token_limits.check_cut(item, reply, whole, limit)
        yield from _cut_at_the_end(client, item, whole)


def _check_newer_limit(client: Client, items: Sequence[Item]) -> Iterator[Finding]:
    for item in items:
        whole = client.ask(item)
        # Half: far from the end, where an engine that ignores the field is sure to be longer.
        limit = max(1, (whole.completion_tokens or 0) // 2)
        body = {
            "model": client.model,
            "messages": list(item.messages),
            "temperature": 0.0,
            "chat_template_kwargs": {client.switch: False},
            "max_completion_tokens": limit,
        }
        yield token_limits.check_cut(item, client.post("/v1/chat/completions", body), whole, limit)


def _cut_at_the_end(client: Client, item: Item, whole: Reply) -> Iterator[Finding]:
    """Ask for so many tokens that only the end is cut: then all of the text is known."""
    counted = max(1, whole.completion_tokens or 0)
    at_its_count = client.ask(item, max_tokens=counted)
    yield token_limits.check_whole_at_limit(item, at_its_count, whole, counted)
    limit = token_limits.find_last_limit(whole, at_its_count)
    for stream in (False, True):
        reply = client.ask(item, max_tokens=limit, stream=stream)
        yield token_limits.check_whole_at_limit(item, reply, whole, limit)


def _go_on(client: Client, items: Sequence[Item], claimed: Sequence[str]) -> Iterator[Finding]:
    for item in items:
        whole = client.ask(item)
        for field in claimed:
            # With more tokens the end token must be passed; with none the limit and the end fall together.
            for more, room_factor in ((MORE_TOKENS, 2), (0, 1)):
                yield _ask_for_more(client, item, whole, field, more=more, room_factor=room_factor)


def _ask_for_more(client: Client, item: Item, whole: Reply, field: str, *, more: int, room_factor: int) -> Finding:
    """Ask for `more` tokens than the whole reply has; none ends at the limit what the engine still holds back.

    A launch may refuse a field, e.g. beside drafts.
    """
    tokens = (whole.completion_tokens or 0) + more
    extra: dict[str, Any] = {field: True if field == "ignore_eos" else tokens}
    room = tokens if field == "ignore_eos" else room_factor * tokens
    try:
        reply = client.ask(item, max_tokens=room, extra=extra)
    except EngineRefused as refused:
        return fields.check_refused_field(item, field, refused.status, refused.body)
    judge = token_limits.check_past_the_end if field == "ignore_eos" else token_limits.check_at_least
    return judge(item, reply, whole, tokens)
