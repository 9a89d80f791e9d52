"""Tests the other protocols that a server offers: OpenAI's completions and responses, Anthropic's messages.

No snapshot says which routes a release registers, so the server is asked: 404, 405 and 501 are NOT_EVIDENCE.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from fixtures.banks.bank import Bank, Items
from fixtures.banks.canary.render import render_prompt
from fixtures.banks.item import Item
from fixtures.client.client import THOUGHT_TOKENS, Client, EngineRefused
from fixtures.client.reply import Reply
from fixtures.client.surfaces import PATHS, Surface, read_document, read_events, write_request
from reports.evidence.finding import Finding
from suites.asking.contract import EvidenceSink, expect_ok
from suites.asking.depth import POOL, Depth, pick_shortest
from suites.checks import answer, arguments, protocol, tools

pytestmark = [pytest.mark.surfaces, pytest.mark.from_depth("full")]

ABSENT: Final = (404, 405, 501)


def test_completes_a_rendered_prompt(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """/v1/completions: the prompt is the template's text, thinking off."""
    expect_ok(evidence, _check_surface(client, "completions", _pick_first_turns(bank, depth.fields)))


@pytest.mark.for_cells(claims=["separate_thoughts"])
def test_answers_over_responses(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """/v1/responses, with thinking as the template's default has it; streams have ended silently (vllm#39574)."""
    items = (*_pick_first_turns(bank, depth.fields), *_pick_calls(bank))
    expect_ok(evidence, _check_surface(client, "responses", items))


@pytest.mark.for_cells(claims=["separate_thoughts"])
def test_answers_over_messages(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Anthropic's /v1/messages, with thinking as the template's default has it."""
    items = (*_pick_first_turns(bank, depth.fields), *_pick_calls(bank))
    expect_ok(evidence, _check_surface(client, "messages", items))


def _pick_first_turns(bank: Bank, n: int) -> tuple[Item, ...]:
    """Pick facts that are asked in the first turn: how earlier replies are sent is each protocol's own affair."""
    return tuple(_keep_first_turns(bank.facts(POOL))[:n])


def _pick_calls(bank: Bank) -> list[Item]:
    """Pick one call and two at once. Parsers are tested over chat; here the question is whether the surface carries
    calls at all, and more than one of them."""
    return [
        item for draw in (bank.calls, bank.parallel_calls) for item in pick_shortest(_keep_first_turns(draw(POOL)), 1)
    ]


def _keep_first_turns(items: Items) -> list[Item]:
    return [item for item in items if all(message["role"] != "assistant" for message in item.messages)]


def _check_surface(client: Client, surface: Surface, items: Sequence[Item]) -> Iterator[Finding]:
    for item in items:
        # Whole first: where the route is absent the document says so without a stream to take apart.
        whole, streamed = (_ask_surface(client, surface, item, stream=stream) for stream in (False, True))
        check = f"surfaces.{surface}"
        judge = arguments.check_calls if item.call else answer.check_answer
        for reply in (whole, streamed):
            yield judge(item, reply, check=check)
            yield protocol.check_envelope(item, reply, max_tokens=_budget_tokens(client, surface, item))
        yield tools.check_stream_equals_whole(item, streamed, whole)


def _ask_surface(client: Client, surface: Surface, item: Item, *, stream: bool) -> Reply:
    prompt = render_prompt(item.messages, item.tools)
    # These routes have no switch for thinking, so the template thinks as it does by default.
    room = _budget_tokens(client, surface, item)
    body = write_request(surface, client.model, item, prompt=prompt, max_tokens=room, stream=stream)
    try:
        if stream:
            return read_events(surface, client.post_events(PATHS[surface], body))
        return read_document(surface, client.post_document(PATHS[surface], body))
    except EngineRefused as refused:
        if refused.status in ABSENT:
            pytest.skip(f"NOT_EVIDENCE: the server has no {PATHS[surface]} (HTTP {refused.status})")
        raise


def _budget_tokens(client: Client, surface: Surface, item: Item) -> int:
    return client.room(item) + (0 if surface == "completions" else THOUGHT_TOKENS)
