"""Tests that answers and calls come right with thinking on, as users run the model: most templates think by default."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import Client
from fixtures.client.reply import Reply
from matrix.model import Cell
from reports.evidence.finding import Finding
from suites.asking.company import numbers_streams
from suites.asking.contract import EvidenceSink, expect_ok
from suites.asking.depth import POOL, Depth, pick_shortest
from suites.checks import isolation, protocol, thinking, tools
from suites.checks.needle import find_codes

pytestmark = [pytest.mark.thinking]

MARKER_TOKENS = 64
MARKER_TRIALS = 900  # apart from those of the other suites
TOP = 5
CUT_TOKENS = 3  # inside every thought
NEAR_S = 0.02  # between two arrivals
Check = Callable[[Item, Reply], Finding]


@pytest.mark.for_cells(claims=["separate_thoughts"])
def test_answers_after_thinking(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Every second reply is streamed."""
    n = depth.thinking
    more = bank.arithmetic(n) + bank.recall(n) + bank.chinese(n // 2) if n > 1 else ()
    expect_ok(evidence, _judge_items(client, bank.facts(n) + more, thinking.check_answer))


@pytest.mark.for_cells(claims=["separate_thoughts"])
def test_calls_after_thinking(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Parsers look for calls behind the thought, and have found them inside it, or nowhere."""
    n = depth.thinking
    # The shortest: what a parser makes of a thought before a call does not depend on the schemas.
    items = tuple(pick_shortest(bank.calls(POOL), n))
    if n > 1:
        items += bank.zero_argument_calls(1) + bank.parallel_calls(1) + bank.tool_dialogue(1)
    expect_ok(evidence, _judge_items(client, items, thinking.check_calls))


@pytest.mark.from_depth("full")
@pytest.mark.for_cells(claims=["separate_thoughts"])
def test_answers_beside_tools_after_thinking(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Tools are offered and none is called: the parsers of thoughts and of calls both read the reply, and the thought
    must not come out as words."""
    half = max(1, depth.thinking // 2)
    items = (*bank.no_tool_needed(half), *bank.tool_results(half))
    expect_ok(evidence, _judge_items(client, items, thinking.check_answer))


@pytest.mark.from_depth("full")
@pytest.mark.for_cells(claims=["separate_thoughts"])
def test_thoughts_do_not_leak(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Parallel requests with thinking on, half of them streamed: no thought may name another request's marker."""
    n = depth.thinking
    items = [bank.needle(tokens=MARKER_TOKENS, depth=0.5, trial=MARKER_TRIALS + i) for i in range(n)]
    markers = {item.id: find_codes(item.answer or "")[0] for item in items}
    replies = client.together([(item, {"stream": bool(i % 2), "thinking": True}) for i, item in enumerate(items)])
    told = (isolation.check_no_leak(i, r, markers) for i, r in zip(items, replies, strict=True))
    expect_ok(evidence, [*told, thinking.check_separated(replies)])


@pytest.mark.from_depth("full")
@pytest.mark.for_cells(claims=["separate_thoughts"])
def test_stream_equals_whole_with_thinking(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    items = bank.facts(depth.thinking) + tuple(pick_shortest(bank.calls(POOL), depth.thinking))
    expect_ok(evidence, (_compare_both_ways(client, item) for item in items))


@pytest.mark.from_depth("full")
@pytest.mark.for_cells(claims=["separate_thoughts"])
def test_obeys_a_budget_inside_the_thought(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """A reply that ends inside its thought says so: a thought shown as the answer misleads whoever reads it."""
    expect_ok(evidence, _cut_short(client, bank.facts(max(1, depth.thinking // 4))))


@pytest.mark.from_depth("full")
@pytest.mark.for_cells(claims=["separate_thoughts"])
def test_stops_in_the_answer_behind_a_thought(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """A stop string that the answer alone holds ends the answer and keeps the thought; one that the thought holds is
    never sent with it, whether it ends there or not (vllm#52599)."""
    expect_ok(evidence, _stop_behind_thoughts(client, bank.facts(max(1, depth.thinking // 2))))


@pytest.mark.from_depth("full")
@pytest.mark.for_cells(claims=["separate_thoughts"])
def test_numbers_the_thought_of_a_stream(
    cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """Streams have lost the logprobs of every chunk that carried a thought (sglang#26778)."""
    if not numbers_streams(cell):
        pytest.skip("NOT_EVIDENCE: this launch's streams have logprobs of some tokens only, thoughts or not")
    expect_ok(evidence, (_count_numbers(client, item) for item in bank.facts(max(1, depth.thinking // 2))))


@pytest.mark.from_depth("full")
@pytest.mark.for_cells(claims=["thinking_switch"])
def test_obeys_the_thinking_switch(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Off means off, also right after a request with thinking on."""
    expect_ok(evidence, _switch_on_and_off(client, bank.facts(depth.thinking)))


@pytest.mark.from_depth("full")
@pytest.mark.for_cells(claims=["thinking_switch", "separate_thoughts"])
def test_thinks_where_it_is_asked_to_and_nowhere_else(
    client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """On behind off as on behind on; and on and off at once: whoever keeps the switch keeps it for its request."""
    alone, *both = bank.facts(1 + depth.thinking)
    expect_ok(evidence, itertools.chain(_switch_between(client, alone), _think_beside(client, both)))


@pytest.mark.from_depth("full")
@pytest.mark.for_cells(claims=["reasoning_effort", "separate_thoughts"])
def test_obeys_reasoning_effort(cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """The least effort takes no more tokens than the most, over the same questions."""
    efforts = cell.checkpoint.reasoning_efforts
    items = bank.arithmetic(depth.thinking)
    expect_ok(evidence, _compare_efforts(client, items, (efforts[0], efforts[-1])))


def _judge_items(client: Client, items: Sequence[Item], check: Check) -> Iterator[Finding]:
    replies: list[Reply] = []
    for i, item in enumerate(items):
        reply = client.ask(item, thinking=True, stream=i % 2 == 0)
        replies.append(reply)
        yield check(item, reply)
        yield protocol.check_envelope(item, reply, max_tokens=client.room(item, thinking=True))
    yield thinking.check_separated(replies)


def _compare_both_ways(client: Client, item: Item) -> Finding:
    streamed, whole = (client.ask(item, thinking=True, stream=stream) for stream in (True, False))
    return tools.check_stream_equals_whole(item, streamed, whole)


def _stop_behind_thoughts(client: Client, items: Sequence[Item]) -> Iterator[Finding]:
    for item in items:
        whole = client.ask(item, thinking=True)
        for stop in thinking.pick_stops(whole):
            for stream in (False, True):
                reply = client.ask(item, thinking=True, stream=stream, extra={"stop": [stop]})
                yield thinking.check_stopped(item, reply, whole, stop)


def _count_numbers(client: Client, item: Item) -> Finding:
    whole, streamed = (client.ask(item, thinking=True, stream=s, top_logprobs=TOP) for s in (False, True))
    return thinking.check_numbered(item, streamed, whole)


def _cut_short(client: Client, items: Sequence[Item]) -> Iterator[Finding]:
    for item in items:
        whole = client.ask(item, thinking=True)
        for stream in (False, True):
            cut = client.ask(item, thinking=True, stream=stream, max_tokens=CUT_TOKENS)
            yield thinking.check_cut_short(item, cut, whole, max_tokens=CUT_TOKENS)


def _switch_on_and_off(client: Client, items: Sequence[Item]) -> Iterator[Finding]:
    for item in items:
        # On first: whatever keeps the last request's switch shows behind it.
        client.ask(item, thinking=True)
        yield thinking.check_switched_off(item, client.ask(item))


def _switch_between(client: Client, item: Item) -> Iterator[Finding]:
    # Twice: the first is behind whatever came before this test.
    _, before = (client.ask(item, thinking=True) for _ in range(2))
    client.ask(item)
    yield thinking.check_switched_on(item, before, client.ask(item, thinking=True))


def _think_beside(client: Client, items: Sequence[Item]) -> Iterator[Finding]:
    asks = [(item, {"thinking": thinks, "stream": thinks}) for item in items for thinks in (True, False)]
    # In this order: a thought is at work while the request without one comes.
    replies = client.together(asks, spread_s=NEAR_S)
    for (item, options), reply in zip(asks, replies, strict=True):
        yield thinking.check_answer(item, reply) if options["thinking"] else thinking.check_switched_off(item, reply)


def _compare_efforts(client: Client, items: Sequence[Item], efforts: tuple[str, str]) -> Iterator[Finding]:
    spent = []
    for effort in efforts:
        extra = {"chat_template_kwargs": {client.switch: effort != "none", "reasoning_effort": effort}}
        replies = [client.ask(item, thinking=True, extra=extra) for item in items]
        spent.append(sum(reply.completion_tokens or 0 for reply in replies))
        yield from (thinking.check_answer(item, reply) for item, reply in zip(items, replies, strict=True))
    yield thinking.check_effort(efforts, spent)
