"""Tests that answers make sense: facts, sums, memory over turns, sound text, and numbers that neighbours and caches
do not change."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import Client
from fixtures.client.reply import Reply
from matrix.model import Cell
from reports.evidence.finding import Finding
from suites.asking import lengths, sampling
from suites.asking.contract import EvidenceSink, PlanSettings, expect_ok
from suites.asking.depth import POOL, Depth, pick_shortest
from suites.asking.judged import judge_each
from suites.checks import answer, isolation, needle, protocol
from suites.checks.needle import find_codes
from suites.measure.logprob_probe import index_topk
from suites.measure.no_prefix_cache import bypass_prefix_cache
from suites.measure.rendering import Rendered

pytestmark = [pytest.mark.coherence]

MARKER_TOKENS = 64  # short: what leaks between requests does so at any length
MARKER_TRIALS = 500  # apart from the needle suite's
COMPARED_TOKENS = 8  # generated; their first positions are compared
TOP = 5


def test_knows_facts(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    items = bank.facts(depth.facts) + bank.chinese(depth.chinese) + bank.instructions(depth.instructions)
    expect_ok(evidence, _check_answers(client, items, "coherence.fact"))


def test_does_arithmetic(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    expect_ok(evidence, _check_answers(client, bank.arithmetic(depth.arithmetic), "coherence.arithmetic"))


def test_recalls_across_turns(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    longer = tuple(item for turns in depth.recall_turns[:1] for item in _make_long_recalls(bank, turns, depth))
    expect_ok(evidence, _check_answers(client, bank.recall(depth.recall) + longer, "coherence.recall"))


def test_text_is_not_degenerate(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """The text is streamed, as people read it: detokenizers break in streams first."""
    expect_ok(evidence, _check_texts(client, bank.long_generation(depth.long_texts)))


@pytest.mark.from_depth("full")
def test_sound_as_it_is_sampled(
    *, cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """Answers are right under the strict profile and sound language under the chat profile, whose wording is free."""
    strict, chat = (sampling.sampling_fields(p, cell.engine.dialect) for p in (sampling.STRICT, sampling.CHAT))
    # Few: a profile's kernels run or do not, and how often answers are right the greedy tests count.
    facts = bank.facts(depth.recall)
    stories = [i for i in bank.long_generation(depth.long_texts) if i.kind == "long_generation"]  # and no lists
    right = (answer.check_answer(i, client.ask(i, extra=strict), check="coherence.strict") for i in facts)
    sound = (answer.check_text(i, client.ask(i, extra=chat), check="coherence.chat") for i in stories)
    expect_ok(evidence, itertools.chain(right, sound))


@pytest.mark.from_depth("full")
def test_right_across_prompt_lengths(
    *, plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """Prompts on both sides of 2048, 4096 and 5500 tokens: engines have returned gibberish there."""
    sizes = lengths.list_swept_lengths(plan.settings, depth)
    items = [bank.needle(tokens=n, depth=d, trial=2) for n, d in zip(sizes, itertools.cycle((0.9, 0.1)), strict=False)]
    expect_ok(
        evidence, (needle.check_needle(i, client.ask(i), index_topk=None, check="coherence.length") for i in items)
    )


def test_markers_do_not_leak(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Parallel requests, half of them streamed, each with an unguessable marker that no other may say."""
    items = [bank.needle(tokens=MARKER_TOKENS, depth=0.5, trial=MARKER_TRIALS + i) for i in range(depth.markers)]
    markers = {item.id: find_codes(item.answer or "")[0] for item in items}
    replies = client.together([(item, {"stream": bool(i % 2)}) for i, item in enumerate(items)])
    expect_ok(evidence, (isolation.check_no_leak(i, r, markers) for i, r in zip(items, replies, strict=True)))


def test_prefix_cache_changes_nothing(
    *, cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """A prompt from the cache has the same numbers as one that is computed."""
    item = bank.needle(tokens=2 * MARKER_TOKENS, depth=0.5, trial=MARKER_TRIALS - 1)
    dialect = cell.engine.dialect
    # Past the cache: what is computed is the measure, whatever this launch was asked before.
    same, computed = _ask_past_the_cache(client, item, dialect, depth)
    # This request writes the cache: the requests before it may have been told to pass it by.
    client.ask(item, max_tokens=1)
    warm = _ask_for_logprobs(client, item)
    allowed = isolation.logprob_tolerance(cell.checkpoint.format, cell.checkpoint.made_by)
    cached = warm.cached_tokens is None or warm.cached_tokens > 0  # engines that do not say may have
    told = isolation.check_same_numbers("prefix_cache", item, same, warm, allowed=allowed, sensitive=cached)
    expect_ok(evidence, [isolation.check_repeatable(item, same, top=TOP, computed=computed), told])


@pytest.mark.from_depth("full")
def test_second_turn_reads_a_long_prefix(
    *, cell: Cell, plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """A second turn over the engine's own reply to a prompt beyond index_topk: the cached prefix, its index keys
    included, gives the numbers of a prompt that is computed."""
    topk = index_topk(cell, plan.settings)
    tokens = lengths.just_beyond(plan.settings, topk) or lengths.within_index_topk(plan.settings, topk)
    item = _make_second_turn(bank.needle(tokens=tokens, depth=0.5, trial=MARKER_TRIALS - 2), client)
    warm = _ask_for_logprobs(client, item)
    dialect = cell.engine.dialect
    same, computed = _ask_past_the_cache(client, item, dialect, depth)
    cached = warm.cached_tokens is None or 2 * warm.cached_tokens > (warm.prompt_tokens or 0)
    allowed = isolation.logprob_tolerance(cell.checkpoint.format, cell.checkpoint.made_by)
    told = isolation.check_same_numbers("second_turn", item, same, warm, allowed=allowed, sensitive=cached)
    expect_ok(evidence, [isolation.check_repeatable(item, same, top=TOP, computed=computed), told])


def test_same_numbers_alone_and_among_others(
    *, cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """Batch invariance: the same greedy request, alone and among others, several times."""
    item, *others = bank.facts(1 + depth.neighbours)
    same = [_ask_for_logprobs(client, item) for _ in range(depth.equal_asks)]
    mine = (item, {"max_tokens": COMPARED_TOKENS, "top_logprobs": TOP})
    # One of ours behind each of the others: whatever the order of a batch, one of ours meets a neighbour.
    asks = [ask for other in others for ask in ((other, {"max_tokens": COMPARED_TOKENS}), mine)]
    crowded = client.together(asks)[1::2]
    allowed = isolation.logprob_tolerance(cell.checkpoint.format, cell.checkpoint.made_by)
    told = (isolation.check_same_numbers("batch", item, same, reply, allowed=allowed) for reply in crowded)
    expect_ok(evidence, [isolation.check_repeatable(item, same, top=TOP), *told])


def test_counts_prompt_tokens_exactly(
    *, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth, rendered: Rendered | None
) -> None:
    """`usage.prompt_tokens` equals the length of the rendered chat template, with tools."""
    n = depth.counted
    # The count is what is tested, and a prompt with tools is long enough at its shortest.
    calls = pick_shortest(bank.calls(max(n, POOL)), n)
    more = () if n == 1 else bank.recall(n) + bank.tool_results(n) + bank.tool_dialogue(1) + bank.parallel_calls(1)
    items = [*bank.facts(n), *bank.chinese(n), *calls, *more]
    counted = ((item, client.ask(item, max_tokens=1)) for item in items)
    if rendered is None:  # nothing to compare with: the counts are kept for whoever has the tokenizer
        for item, reply in counted:
            evidence.measurement("prompt_tokens", reply.prompt_tokens or 0, "tokens", {"item": item.id})
        return
    expect_ok(evidence, (protocol.check_prompt_tokens(i, r, rendered(i)) for i, r in counted))


def _ask_for_logprobs(client: Client, item: Item, **options: Any) -> Reply:
    return client.ask(item, max_tokens=COMPARED_TOKENS, top_logprobs=TOP, **options)


def _ask_past_the_cache(client: Client, item: Item, dialect: str, depth: Depth) -> tuple[list[Reply], bool]:
    """Ask equal requests past the prefix cache; and tell whether each was told so itself, by a field."""
    same, told = [], True
    for _ in range(depth.equal_asks):
        extra = bypass_prefix_cache(client, dialect)
        same.append(_ask_for_logprobs(client, item, extra=extra))
        # SGLang empties its cache instead, and may refuse to.
        told = told and bool(extra)
    return same, told


def _make_second_turn(item: Item, client: Client) -> Item:
    """Ask the item, and make the same question again behind the engine's own reply."""
    said = {"role": "assistant", "content": client.ask(item).content}
    return replace(item, id=f"{item.id}.again", messages=(*item.messages, said, item.messages[-1]))


def _make_long_recalls(bank: Bank, turns: int, depth: Depth) -> tuple[Item, ...]:
    return bank.recall_long(len(depth.recall_turns), turns=turns)


def _check_answers(client: Client, items: Iterable[Item], check: str) -> Iterator[Finding]:
    return judge_each(client.ask, items, room=client.room, judge=partial(answer.check_answer, check=check))


def _check_texts(client: Client, items: Iterable[Item]) -> Iterator[Finding]:
    return judge_each(partial(client.ask, stream=True), items, _check_streamed_text, room=client.room)


def _check_streamed_text(item: Item, reply: Reply) -> Finding:
    # A count to a number has one right text; a story has none and is held to sound language alone.
    judge = answer.check_answer if item.answer is not None else answer.check_text
    return judge(item, reply, check="coherence.text")
