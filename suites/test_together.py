"""Tests requests beyond index_topk in company: eight at once, of different lengths, arriving while others decode, and
some of them left by their users. Each must answer as it does alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import Client, EngineRefused, room_for
from fixtures.client.reply import Reply
from fixtures.launch.observe import observe_engine
from matrix.judging import proof
from matrix.model import Cell
from reports.evidence.finding import Finding
from suites.asking import hang_ups
from suites.asking.company import (
    DECODED_TOKENS,
    SPREAD_S,
    TOP,
    Guest,
    list_company_lengths,
    list_others,
    make_company,
    numbers_streams,
)
from suites.asking.contract import EngineHandle, EvidenceSink, PlanSettings, expect_ok
from suites.asking.depth import Depth
from suites.asking.judged import judge_both_ways
from suites.checks import answer, company, isolation, needle, protocol, tools
from suites.checks.stream_text import check_stream_text
from suites.measure.logprob_probe import index_topk

pytestmark = [pytest.mark.coherence]

Alone = Mapping[str, Reply]  # by item id
OTHERS_TOKENS: Final = 128  # of those who bring fields: at work while the others' prompts are read
OWN_TOKENS: Final = 40
ONE_TEXT_TRIAL: Final = 640  # apart from those of the other suites
NEAR_S: Final = 0.02  # between two arrivals: in this order, and all at work at once


@pytest.mark.from_depth("full")
def test_answers_alike_alone_and_in_company(
    *, cell: Cell, plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """Needles, later turns and tool calls beyond index_topk are asked alone, then all at once beside a long reply and
    a stream that is left, then alone again: what a neighbour wrote to a cache would be read there."""
    topk = index_topk(cell, plan.settings)
    guests = _invite(client, bank, _require_lengths(plan, topk, depth), depth, cell)
    before = _ask_alone(client, guests)
    replies = client.together([(g.item, g.options) for g in guests], spread_s=SPREAD_S)
    # Last, and of the same prompts: their pages were written beside the others.
    after = _ask_alone(client, guests)
    tie = 2 * isolation.logprob_tolerance(cell.checkpoint.format, cell.checkpoint.made_by)
    beside = list(zip(guests, replies, strict=True))
    told = [_hold_against(g, before[g.item.id], after[g.item.id], r, tie) for g, r in beside if g.compared]
    canary = cell.checkpoint.canary
    right = [f for g, r in beside for f in _check_right(g, r, before.get(g.item.id), topk, canary=canary)]
    whole = [_check_envelope(client, g, r) for g, r in beside if g.role != "leaves"]
    whole += [_check_deltas(client, g, r) for g, r in beside if g.role == "decodes"]
    expect_ok(evidence, [*itertools.chain.from_iterable(told), *right, *whole])


@pytest.mark.from_depth("full")
def test_streams_alike_beyond_index_topk(
    *, cell: Cell, plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """A needle, a later turn and a tool call beyond index_topk, streamed and whole."""
    topk = index_topk(cell, plan.settings)
    shortest, *_ = _require_lengths(plan, topk, depth)
    guests = _invite(client, bank, [shortest], depth, cell)
    # One of each role: streams are taken apart by kind of reply, not by length.
    first = {g.role: g.item for g in guests if g.compared}
    expect_ok(evidence, judge_both_ways(client.ask, first.values(), room=client.room))


@pytest.mark.from_depth("full")
@pytest.mark.for_cells(features=["mtp"])
def test_drafts_are_accepted_in_company(
    *,
    cell: Cell,
    plan: PlanSettings,
    engine: EngineHandle,
    client: Client,
    bank: Bank,
    evidence: EvidenceSink,
    depth: Depth,
) -> None:
    """The draft head reads through an indexer of its own: beyond index_topk and in a batch it must still be right."""
    dialect, topk = cell.engine.observe, index_topk(cell, plan.settings)
    guests = _invite(client, bank, _require_lengths(plan, topk, depth), depth, cell)
    # Tokens of an abandoned stream are drafted and never seen: they would blur the acceptance.
    stay = [g for g in guests if g.role != "leaves"]
    before = observe_engine(dialect, client, engine.log_path)
    replies = client.together([(g.item, g.options) for g in stay], spread_s=SPREAD_S)
    judged = proof.mtp.prove_mtp(observe_engine(dialect, client, engine.log_path), before)
    right = [_judge_alone(g, r, topk) for g, r in zip(stay, replies, strict=True) if g.role != "call"]
    expect_ok(evidence, right)
    if drafted := judged.data.get("drafted"):
        where = {"drafted": drafted, "company": len(stay), "beyond": topk}
        evidence.measurement("acceptance_rate", judged.data["accepted"] / drafted, "ratio", where)
    assert judged.outcome != "refuted", judged.detail


@pytest.mark.from_depth("full")
def test_answers_each_question_behind_one_text(
    *, cell: Cell, plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """Agents share a context beyond index_topk and ask each its own question, all at once, cold and from the cache:
    prompts that are equal but for their last words are batched and cached as one."""
    topk = index_topk(cell, plan.settings)
    shortest, *_ = _require_lengths(plan, topk, depth)
    items = bank.codes_of_one_text(depth.company, tokens=shortest, trial=ONE_TEXT_TRIAL)
    if len(items) < 2:
        pytest.skip(f"NOT_EVIDENCE: the bank has no text of {shortest} tokens with two codes")
    asks = [(item, {"stream": bool(place % 2)}) for place, item in enumerate(items)]
    cold, cached = client.together(asks), client.together(asks)
    alone = {item.id: client.ask(item) for item in items}
    expect_ok(evidence, _check_each_code(items, alone, [*cold, *cached], topk))


def _check_each_code(items: Sequence[Item], alone: Alone, beside: Sequence[Reply], topk: int) -> Iterator[Finding]:
    """Judge every code, but for those that are wrong alone, too: a canary copies some so, whoever is beside it."""
    for item, reply in zip(itertools.cycle(items), beside, strict=False):
        right = needle.check_needle(item, alone[item.id], index_topk=topk).ok
        found = needle.check_needle(item, reply, index_topk=topk, check="together.one_text")
        note = "" if right else "wrong alone, too"
        yield found if right else replace(found, ok=True, sensitive=False, note=note)


@pytest.mark.from_depth("full")
def test_goes_on_where_others_hang_up(
    *, cell: Cell, plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """Long replies, streamed and whole, while others hang up: before their first token, in the middle of a stream, and
    where they wait behind somebody. Whose work is cancelled must not be a matter of slots, pages or batches."""
    shortest, *_ = _require_lengths(plan, index_topk(cell, plan.settings), depth)
    items = hang_ups.draw_staying(bank)
    stays = hang_ups.list_stays(items, thought=_measure_thought_room(client, items[0]) if items else 0)
    # Whole, with numbers: what a stream lost or got shows against them.
    alone = [client.ask(item, max_tokens=form["max_tokens"], top_logprobs=TOP) for item, form in stays]
    leaves = hang_ups.list_leaves(bank, shortest, alone)
    # The last one comes behind those that leave, and takes what they had.
    asks = [*stays[:-1], *leaves, *stays[-1:]]
    replies = client.together(asks, spread_s=NEAR_S)
    stayed = [*replies[: len(stays) - 1], *replies[-1:]]
    tie, met = (
        2 * isolation.logprob_tolerance(cell.checkpoint.format, cell.checkpoint.made_by),
        hang_ups.met_a_stream(asks, replies, spread_s=NEAR_S),
    )
    told = [
        finding
        for (item, form), before, reply in zip(stays, alone, stayed, strict=True)
        for finding in (
            company.check_goes_on(item, before, reply, tie=tie),
            protocol.check_envelope(item, reply, max_tokens=form["max_tokens"]),
        )
    ]
    expect_ok(evidence, (replace(f, sensitive=f.sensitive and met) for f in told))


@pytest.mark.from_depth("full")
def test_calls_alike_alone_and_in_company(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Several calls in each of several replies, every second one streamed: alone, then all at once. Parsers keep the
    state of a stream by request and by index, and a call that lands in another reply is a valid one there."""
    items = bank.parallel_calls(depth.company)
    forms = [{"stream": bool(place % 2)} for place in range(len(items))]
    alone = [client.ask(item, **form) for item, form in zip(items, forms, strict=True)]
    beside = client.together(list(zip(items, forms, strict=True)))
    each = zip(items, alone, beside, strict=True)
    expect_ok(evidence, (company.check_same_calls(i, a, b, others=items) for i, a, b in each))


@pytest.mark.from_depth("full")
def test_takes_no_field_of_others(
    *, cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """Plain greedy requests among others with a heat, a limit, a bias, a stop string and a form: samplers, grammars and
    limits lie in one row for each request of a batch, and a row that is off by one is sound text."""
    other, *longer = bank.long_generation(2)
    own: list[tuple[Item, dict[str, int]]] = [(item, {}) for item in bank.facts(depth.fields)]
    own += [(item, {"max_tokens": OWN_TOKENS + _measure_thought_room(client, item)}) for item in longer]
    others = [fields for fields in list_others(cell) if _is_taken(client, other, fields)]
    asks = [(other, {"max_tokens": OTHERS_TOKENS, **fields}) for fields in others]
    # Behind the others, which are at work for longer than it takes to read these.
    forms = itertools.cycle([{"top_logprobs": TOP}, {"top_logprobs": TOP, "stream": numbers_streams(cell)}])
    mine = [(item, {**form, **limit}) for (item, limit), form in zip(own, forms, strict=False)]
    # In the same form: streams number a thought's tags otherwise than whole replies do (llama.cpp).
    before = [client.ask(item, **options) for item, options in mine]
    replies = client.together([*asks, *mine], spread_s=NEAR_S)[len(asks) :]
    tie = 2 * isolation.logprob_tolerance(cell.checkpoint.format, cell.checkpoint.made_by)
    told = (
        finding
        for (item, limit), alone, reply in zip(own, before, replies, strict=True)
        for finding in (
            company.check_same_answer(item, [alone], reply, check="together.fields", tie=tie),
            protocol.check_envelope(item, reply, max_tokens=limit.get("max_tokens", client.room(item))),
        )
    )
    expect_ok(evidence, (replace(finding, sensitive=finding.sensitive and bool(others)) for finding in told))


def _is_taken(client: Client, item: Item, fields: Mapping[str, Any]) -> bool:
    """Return whether the launch takes these fields: some refuse a bias or a form beside drafts."""
    try:
        client.ask(item, **{**fields, "max_tokens": 1})
    except EngineRefused:
        return False
    return True


def _invite(client: Client, bank: Bank, sizes: Sequence[int], depth: Depth, cell: Cell) -> Sequence[Guest]:
    """Make the company. A model that always thinks gets room for its thought before the long reply, too."""
    stories = bank.long_generation(1)
    thought = _measure_thought_room(client, stories[0]) if stories else 0
    decoded = DECODED_TOKENS + thought
    return make_company(bank, sizes, depth.company, decoded=decoded, numbered=numbers_streams(cell))


def _measure_thought_room(client: Client, item: Item) -> int:
    """Return the tokens that an item's reply may take for a thought before it; 0 where thinking can be off."""
    return client.room(item) - room_for(item)


def _require_lengths(plan: PlanSettings, topk: int, depth: Depth) -> Sequence[int]:
    sizes = list_company_lengths(plan.settings, topk, depth)
    if not sizes:
        context = plan.settings.get("context")
        pytest.skip(f"NOT_EVIDENCE: no prompt longer than index_topk {topk} fits the context {context}")
    return sizes


def _ask_alone(client: Client, guests: Sequence[Guest]) -> Alone:
    return {g.item.id: client.ask(g.item, **g.options) for g in guests if g.compared}


def _hold_against(guest: Guest, before: Reply, after: Reply, beside: Reply, tie: float) -> list[Finding]:
    hold = partial(company.check_same_answer, guest.item, tie=tie)
    return [
        hold([before, after], beside, check="together.in_company"),
        hold([before], after, check="together.after_company"),
    ]


def _check_right(guest: Guest, reply: Reply, alone: Reply | None, topk: int, *, canary: bool) -> Iterator[Finding]:
    """Yield what a reply must be by itself, in company or not; what was left has no end to judge."""
    if guest.role == "leaves":
        return
    finding = _judge_alone(guest, reply, topk)
    if alone is not None and guest.role == "call" and canary and not _judge_alone(guest, alone, topk).ok:
        # A copy that the canary gets wrong by itself says nothing of its neighbours.
        finding = replace(finding, ok=True, sensitive=False, note="the canary calls wrongly alone, too")
    yield finding


def _check_deltas(client: Client, guest: Guest, reply: Reply) -> Finding:
    """Hold the long stream's text against the whole answer, in which no delta can be lost or said twice."""
    whole = client.ask(guest.item, max_tokens=guest.options["max_tokens"], top_logprobs=TOP)
    streamed = reply.reasoning + reply.content
    return check_stream_text(streamed, whole, check="together.stream", item=guest.item.id)


def _check_envelope(client: Client, guest: Guest, reply: Reply) -> Finding:
    room = guest.options.get("max_tokens", client.room(guest.item))
    return protocol.check_envelope(guest.item, reply, max_tokens=room)


def _judge_alone(guest: Guest, reply: Reply, topk: int) -> Finding:
    item, beyond = guest.item, (reply.prompt_tokens or 0) > topk
    match guest.role:
        case "needle":
            return needle.check_needle(item, reply, index_topk=topk, check="together.needle")
        case "turn":
            return replace(answer.check_answer(item, reply, check="together.turn"), sensitive=beyond)
        case "call":
            return replace(tools.check_calls(item, reply, check="together.call"), sensitive=beyond)
        case _:
            return answer.check_text(item, reply, check="together.text")
