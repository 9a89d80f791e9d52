"""Tests the other protocols that a server offers: OpenAI's completions and responses, Anthropic's messages.

No snapshot says which routes a release registers, so the server is asked: 404, 405 and 501 are NOT_EVIDENCE.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.canary.render import render_prompt
from fixtures.banks.item import Item
from fixtures.client.client import THOUGHT_TOKENS, Client, EngineRefused
from fixtures.client.surfaces import PATHS, Surface
from matrix.model import Cell
from reports.evidence.finding import Finding
from suites.asking.contract import EvidenceSink, expect_ok
from suites.asking.depth import POOL, Depth, pick_shortest
from suites.asking.surfaces import ABSENT, ask_surface, keep_first_turns
from suites.checks import answer, arguments, echo, fields, isolation, protocol, tools

# llama.cpp 2026.10.11549 takes `echo` and ignores it (seen); both others have it in their protocol's models.
ECHOES: Final = frozenset({"vllm", "sglang"})
ECHOED, ECHOED_TOKENS = 895, 144  # trial apart from those of the other suites; more than two pages of the canary's

pytestmark = [pytest.mark.surfaces, pytest.mark.from_depth("full")]


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


def test_echoes_a_prompt_with_its_numbers(
    cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """/v1/completions with `echo` and `logprobs`, as evaluations score texts: from the cache a prompt has been given
    the numbers of another one (vllm#42019)."""
    items = [bank.needle(tokens=ECHOED_TOKENS, depth=0.5, trial=ECHOED + n) for n in range(min(1, depth.fields))]
    expect_ok(evidence, (_echo_twice(cell, client, item) for item in items))


def _echo_twice(cell: Cell, client: Client, item: Item) -> Finding:
    prompt = render_prompt(item.messages)
    body = {"model": client.model, "prompt": prompt, "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0.0}
    # Between the two: another prompt that begins alike, so that what is kept may be of either.
    asked = [body, {**body, "prompt": prompt[: 3 * len(prompt) // 4]}, body]
    try:
        first, _, again = (echo.read_echo(client.post_document(PATHS["completions"], each)) for each in asked)
    except EngineRefused as refused:
        if refused.status in ABSENT:
            pytest.skip(f"NOT_EVIDENCE: the server has no {PATHS['completions']} (HTTP {refused.status})")
        return fields.check_refused_field(item, "echo", refused.status, refused.body)
    allowed, claimed = (
        2 * isolation.logprob_tolerance(cell.checkpoint.format, cell.checkpoint.made_by),
        cell.engine.dialect in ECHOES,
    )
    return echo.check_echo(item, prompt, first, again, allowed=allowed, claimed=claimed)


def _pick_first_turns(bank: Bank, n: int) -> tuple[Item, ...]:
    """Pick facts that are asked in the first turn: how earlier replies are sent is each protocol's own affair."""
    return tuple(keep_first_turns(bank.facts(POOL))[:n])


def _pick_calls(bank: Bank) -> list[Item]:
    """Pick one call and two at once. Parsers are tested over chat; here the question is whether the surface carries
    calls at all, and more than one of them."""
    return [
        item for draw in (bank.calls, bank.parallel_calls) for item in pick_shortest(keep_first_turns(draw(POOL)), 1)
    ]


def _check_surface(client: Client, surface: Surface, items: Sequence[Item]) -> Iterator[Finding]:
    for item in items:
        # Whole first: where the route is absent the document says so without a stream to take apart.
        whole, streamed = (
            ask_surface(client, surface, item, max_tokens=_budget_tokens(client, surface, item), stream=stream)
            for stream in (False, True)
        )
        check = f"surfaces.{surface}"
        judge = arguments.check_calls if item.call else answer.check_answer
        for reply in (whole, streamed):
            yield judge(item, reply, check=check)
            yield protocol.check_envelope(item, reply, max_tokens=_budget_tokens(client, surface, item))
        yield tools.check_stream_equals_whole(item, streamed, whole)


def _budget_tokens(client: Client, surface: Surface, item: Item) -> int:
    return client.room(item) + (0 if surface == "completions" else THOUGHT_TOKENS)
