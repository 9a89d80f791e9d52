"""Tests calls as clients ask for them: schemas that pydantic makes, values that look like other types, many tools, and
an agent's loop of streamed turns with the model's own calls fed back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from fixtures.banks.bank import Bank, Items
from fixtures.banks.item import Item
from fixtures.client.client import Client
from fixtures.client.reply import Reply
from reports.evidence.finding import Finding
from suites.asking.agent import run_loop
from suites.asking.contract import EvidenceSink, expect_ok
from suites.asking.depth import Depth
from suites.asking.judged import judge_each
from suites.checks import answer, arguments, protocol, tools

pytestmark = [pytest.mark.clients, pytest.mark.from_depth("full")]


def test_takes_schemas_as_clients_write_them(
    client: Client, client_bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """Text stays text and numbers stay numbers, behind anyOf, $ref, defaults, lists of types and no type at all."""
    expect_ok(evidence, _check_calls(client, client_bank.client_calls(depth.client_calls)))


def test_streams_arguments_as_it_sends_them_whole(
    client: Client, client_bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """Streams have their own parser in most engines, and it has had its own ideas of types (sglang#36688)."""
    items = client_bank.client_calls(depth.client_calls)
    expect_ok(evidence, (_compare_both_ways(client, item) for item in items))


def test_finds_one_of_fifty_tools(client: Client, client_bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    expect_ok(evidence, _check_calls(client, client_bank.many_tools(depth.many_tools)))


def test_works_through_an_agent_loop(client: Client, client_bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Each turn is streamed, and the model's own calls lie before the next one."""
    steps = client_bank.agent_loop(depth.agent_rounds)
    expect_ok(evidence, run_loop(client.ask, steps, _judge_step, room=client.room))


@pytest.mark.for_cells(claims=["separate_thoughts"])
def test_thinks_through_an_agent_loop(client: Client, client_bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """The same with thinking on, half as long: the thoughts of earlier turns are not sent back."""
    # Half: each turn carries a thought, so as many rounds would cost about twice as many tokens.
    steps = client_bank.agent_loop(depth.agent_rounds // 2)
    room = partial(client.room, thinking=True)
    expect_ok(evidence, run_loop(partial(client.ask, thinking=True), steps, _judge_step, room=room))


def test_reads_content_in_parts(client: Client, client_bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Agents send content as a list of one text part: the same prompt, to the token, and the same answer."""
    expect_ok(evidence, _ask_in_parts(client, client_bank.facts(depth.fields)))


def _ask_in_parts(client: Client, items: Items) -> Iterator[Finding]:
    for item in items:
        whole, parted = client.ask(item), client.ask(arguments.write_in_parts(item))
        yield answer.check_answer(item, parted, check="clients.parts")
        # Exactly: a part that is lost, or that a template writes out as a Python list, has another length.
        yield protocol.check_prompt_tokens(item, parted, whole.prompt_tokens or 0)


def _check_calls(client: Client, items: Items) -> Iterator[Finding]:
    return judge_each(client.ask, items, room=client.room, judge=arguments.check_calls)


def _compare_both_ways(client: Client, item: Item) -> Finding:
    streamed, whole = (client.ask(item, stream=stream) for stream in (True, False))
    return tools.check_stream_equals_whole(item, streamed, whole)


def _judge_step(item: Item, reply: Reply) -> Finding:
    if item.call:
        return arguments.check_calls(item, reply, check="clients.loop")
    # A step without a call is the turn in which a told result must be used.
    return answer.check_answer(item, reply, check="clients.loop")
