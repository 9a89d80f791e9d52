"""Tests that an agent can be built on the engine: calls are right, valid, complete and the same in a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import pytest

from fixtures.banks.bank import Bank, Items
from fixtures.banks.item import Item
from fixtures.client.client import Client
from matrix.model import Cell
from reports.evidence.finding import Finding
from suites.asking import lengths
from suites.asking.contract import EvidenceSink, PlanSettings, expect_ok
from suites.asking.depth import POOL, Depth, pick_shortest
from suites.asking.judged import judge_both_ways, judge_each
from suites.asking.tool_items import ToolItems
from suites.checks import answer, protocol, tool_choice, tools
from suites.measure.rendering import Rendered

pytestmark = [pytest.mark.tool_use]

RESULT_TOKENS: Final = (1_500, 12_000)  # about 6 and 50 kB, as far as the context holds them
LONG_RESULTS: Final = 3  # of each length: one early, one in the middle, one late where the bank knows such


def test_calls_the_right_tool(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    ask = ToolItems.of(bank, depth)
    items = (
        ask.calls(depth.calls)
        + ask.zero_argument_calls(1 if depth.calls < 10 else depth.calls // 10)
        + ask.parallel_calls(depth.parallel_calls)
        + bank.tool_dialogue(depth.tool_dialogues)
    )
    expect_ok(evidence, _check_calls(client, items))


def test_answers_without_a_tool(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Tools are offered and the question needs none. Together with the calls this gives the trigger F1."""
    silent = ToolItems.of(bank, depth).no_tool_needed(depth.no_tool_needed)
    loud = bank.calls(depth.trigger_calls)
    findings = list(_check_no_calls(client, silent, "tools.none_needed"))
    wanted = {item.id: bool(item.call) for item in silent + loud}
    called = {f.item: bool(f.data.get("called")) for f in findings if "called" in f.data}
    # Whether a call came is all that F1 asks; what it says is judged by the test above.
    called |= {item.id: bool(client.ask(item).tool_calls) for item in loud}
    expect_ok(evidence, [*findings, *([tools.check_trigger_f1(wanted, called)] if loud else [])])


@pytest.mark.for_cells(claims=["missing_tools"])
def test_refuses_a_missing_tool(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """The requested tool is not offered: the model must neither invent it nor bend another one to fit."""
    expect_ok(
        evidence, _check_no_calls(client, ToolItems.of(bank, depth).missing_tool(depth.missing_tool), "tools.missing")
    )


def test_uses_the_tool_result(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    expect_ok(evidence, _check_answers(client, ToolItems.of(bank, depth).tool_results(depth.tool_results)))


@pytest.mark.from_depth("full")
def test_reads_long_tool_results(
    *, plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink, rendered: Rendered | None
) -> None:
    """Agents read files: a value in a result of 6 and 50 kB, all of which is in the prompt, streamed and whole."""
    sizes = sorted({lengths.cap_to_context(plan.settings, tokens) for tokens in RESULT_TOKENS})
    items = [item for tokens in sizes for item in bank.long_tool_results(LONG_RESULTS, tokens=tokens)]
    expect_ok(evidence, _check_long_results(client, items, rendered))


@pytest.mark.from_depth("full")
def test_reads_two_results_of_one_turn(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Parallel calls are answered together, in the order of the calls or as the tools ended."""
    items = bank.two_tool_results(2 * max(1, depth.parallel_calls // 2))
    expect_ok(evidence, judge_each(client.ask, items, room=client.room, judge=tools.check_both_results))


def test_obeys_tool_choice(cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Tests none and named; every other test here uses auto."""
    expect_ok(evidence, _check_none_and_named(client, bank, cell, depth))


def test_obeys_required_tool_choice(
    cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """The model makes a call, and then the reply ends: some grammars leave it no way out (vllm#50399)."""
    expect_ok(evidence, _check_required(client, bank, cell, depth))


@pytest.mark.from_depth("full")
@pytest.mark.for_cells(claims=["separate_thoughts"])
def test_obeys_required_tool_choice_after_thinking(
    cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """A grammar that begins with the call and a parser that waits for the thought's end can each lose the call."""
    how = claim_strength(cell, "required")
    items = _pick_choices(bank, depth)
    expect_ok(evidence, (_check_forced(client, item, "required", how, thinking=True) for item in items))


def test_stream_equals_non_stream(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """MTP once broke tool calls in streams only (vllm#34449)."""
    half = max(1, depth.streamed // 2)
    items = ToolItems.of(bank, depth).calls(half) + bank.zero_argument_calls(depth.streamed // 2) + bank.facts(half)
    expect_ok(evidence, judge_both_ways(client.ask, items, room=client.room))


@pytest.mark.from_depth("full")
def test_streams_parallel_calls_apart(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """The deltas of two calls are told apart by their index alone."""
    items = bank.parallel_calls(min(depth.parallel_calls, depth.streamed))
    expect_ok(evidence, judge_both_ways(client.ask, items, room=client.room))


@pytest.mark.from_depth("full")
def test_makes_one_call_where_one_is_wanted(
    cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """`parallel_tool_calls: false`, as agents send it whose tools must not run beside each other: two things are asked
    for and one call is made, whole and streamed."""
    items = bank.parallel_calls(min(depth.parallel_calls, depth.streamed))
    expect_ok(evidence, _ask_for_one_call(cell, client, items))


@pytest.mark.from_depth("full")
def test_tells_no_cut_call_as_a_call(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """`max_tokens` ends inside a call: half of it under `tool_calls` would be executed."""
    expect_ok(evidence, _cut_calls(client, pick_shortest(bank.calls(POOL), max(1, depth.streamed // 4))))


def _check_long_results(client: Client, items: Sequence[Item], rendered: Rendered | None) -> Iterator[Finding]:
    for place, item in enumerate(items):
        room = client.room(item) if item.answer else 1
        reply = client.ask(item, stream=bool(place % 2), max_tokens=room)
        if item.answer:
            yield answer.check_answer(item, reply, check="tools.long_result")
        yield protocol.check_envelope(item, reply, max_tokens=room)
        if rendered is not None:  # what is cut from the middle or the end shows in no answer
            yield protocol.check_prompt_tokens(item, reply, rendered(item))


def _ask_for_one_call(cell: Cell, client: Client, items: Sequence[Item]) -> Iterator[Finding]:
    for item in items:
        for stream in (False, True):
            reply = client.ask(item, stream=stream, extra={"parallel_tool_calls": False})
            yield tool_choice.check_single(item, reply, dialect=cell.engine.dialect)


def _cut_calls(client: Client, items: Sequence[Item]) -> Iterator[Finding]:
    for item in items:
        half = max(1, (client.ask(item).completion_tokens or 0) // 2)
        for stream in (False, True):
            yield tools.check_cut_call(item, client.ask(item, stream=stream, max_tokens=half), half)


def _check_calls(client: Client, items: Items) -> Iterator[Finding]:
    return judge_each(client.ask, items, room=client.room, judge=tools.check_calls)


def _check_no_calls(client: Client, items: Items, check: str) -> Iterator[Finding]:
    return judge_each(client.ask, items, room=client.room, judge=partial(tools.check_no_call, check=check))


def _check_none_and_named(client: Client, bank: Bank, cell: Cell, depth: Depth) -> Iterator[Finding]:
    for item in _pick_choices(bank, depth):
        right = item.call[0].name
        yield tool_choice.check_none(item, client.ask(item, extra=tool_choice.tool_choice_field("none")))
        yield tool_choice.check_fitting(
            item, client.ask(item, extra=tool_choice.tool_choice_field("named", right)), "named"
        )
        # A tool that does not fit: only a grammar makes a model call it.
        if other := next((name for t in item.tools if (name := tools.tool_function(t)["name"]) != right), None):
            yield _check_forced(client, item, "named", claim_strength(cell, "named"), other)


def _check_required(client: Client, bank: Bank, cell: Cell, depth: Depth) -> Iterator[Finding]:
    for item in _pick_choices(bank, depth):
        yield tool_choice.check_fitting(
            item, client.ask(item, extra=tool_choice.tool_choice_field("required")), "required"
        )
    for item in bank.no_tool_needed(depth.choices - 1):  # not in quick: the prompts are long
        how = claim_strength(cell, "required")
        yield _check_forced(client, item, "required", how)
        if how == "call":
            yield _check_forced(client, tool_choice.make_strict(item), "required", "enforced")


def _pick_choices(bank: Bank, depth: Depth) -> list[Item]:
    return pick_shortest(bank.calls(max(depth.choices, POOL)), depth.choices)


def _check_forced(
    client: Client,
    item: Item,
    choice: tool_choice.Choice,
    how: tool_choice.Strength,
    name: str = "",
    *,
    thinking: bool = False,
) -> Finding:
    reply = client.ask(item, extra=tool_choice.tool_choice_field(choice, name), thinking=thinking)
    return tool_choice.check_forced(item, reply, choice, name=name, how=how)


def claim_strength(cell: Cell, choice: tool_choice.Choice) -> tool_choice.Strength:
    return tool_choice.claimed_strength(cell.engine.dialect, choice, cell.release.version)


def _check_answers(client: Client, items: Items) -> Iterator[Finding]:
    return judge_each(
        client.ask, items, room=client.room, judge=partial(answer.check_answer, check="tools.result_used")
    )
