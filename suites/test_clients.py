"""Tests calls as clients ask for them: schemas that pydantic makes, values that look like other types, many tools, and
an agent's loop of streamed turns with the model's own calls fed back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import pytest

from fixtures.banks.bank import Bank, Items
from fixtures.banks.item import Item
from fixtures.client.client import Client, EngineRefused
from fixtures.client.reply import Reply
from reports.evidence.finding import Finding
from suites.asking.agent import run_loop
from suites.asking.contract import EvidenceSink, expect_ok
from suites.asking.depth import Depth
from suites.asking.judged import judge_each
from suites.checks import answer, arguments, fields, history, protocol, thinking, tools

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
    replies: list[Reply] = []

    def ask(item: Item, *, stream: bool) -> Reply:
        replies.append(client.ask(item, stream=stream, thinking=True))
        return replies[-1]

    findings = list(run_loop(ask, steps, _judge_step, room=partial(client.room, thinking=True)))
    # Of the later turns: a parser that is right for the first one has been wrong behind a history of calls.
    expect_ok(evidence, [*findings, *([thinking.check_separated(replies[1:])] if replies[1:] else [])])


def test_reads_content_in_parts(client: Client, client_bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Agents send content as a list of one text part: the same prompt, to the token, and the same answer."""
    # And of a tool: templates that take strings alone lose a result in parts (vllm#39614).
    items = [*client_bank.facts(depth.fields), *client_bank.tool_results(min(1, depth.fields))]
    expect_ok(evidence, _ask_in_parts(client, items))


def test_lives_on_with_half_a_call_in_its_history(
    client: Client, client_bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """Arguments that are cut, empty, null, an object or absent lie in an agent's history: 4xx with a reason or a sound
    reply to each, whole and streamed, and the sound history is answered as before."""
    expect_ok(evidence, _ask_half_calls(client, client_bank.tool_results(1)))


def _ask_half_calls(client: Client, items: Items) -> Iterator[Finding]:
    for item in items:
        before = client.ask(item)
        for number, (what, damaged) in enumerate(history.damage_arguments(item)):
            yield _ask_half_call(client, damaged, what, before, stream=number % 2 == 0)
        yield fields.check_after_hang_up(item, before, client.ask(item), behind="half calls")


def _ask_half_call(client: Client, item: Item, what: str, before: Reply, *, stream: bool) -> Finding:
    try:
        reply = client.ask(item, stream=stream)
    except EngineRefused as refused:
        return history.check_refused_history(item, what, refused.status, refused.body)
    return history.check_served_history(item, what, reply, before)


def _ask_in_parts(client: Client, items: Sequence[Item]) -> Iterator[Finding]:
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
