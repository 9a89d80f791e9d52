"""Tests that a prefix may be used again: a conversation over the engine's own replies, beyond index_topk from its first
turn, gives what a cold cache gives, turn by turn and after others have taken its pages."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import Client
from matrix.model import Cell
from reports.evidence.finding import Finding
from suites.asking import edits, lengths
from suites.asking.contract import EngineHandle, EvidenceSink, PlanSettings, expect_ok
from suites.asking.depth import POOL, Depth
from suites.asking.talk import TOP, AskedTurn, ask_turn, hold_talk
from suites.checks import answer, company, isolation, protocol, reuse
from suites.measure.host_tier import keep_prefix
from suites.measure.logprob_probe import index_topk
from suites.measure.no_prefix_cache import bypass_prefix_cache

pytestmark = [pytest.mark.coherence]

TRIALS = 800  # apart from those of the other suites
OTHERS = 850
HALF_READ = 880
PATIENCE_S = 0.05  # of who hangs up: a prompt beyond index_topk takes longer on a CPU, and on a GPU with big weights
# Ranks with caches of their own take requests in turn, or pages are as many times larger as ranks share them.
SPREAD = frozenset({"dp_attention", "decode_context_parallel", "decode_context_parallel_4"})
LEFT_AFTER, LEFT_TOKENS = 3, 256  # chunks; more tokens than those, so that there is something to leave
TOLD_CACHED, CACHED_TOKENS = 890, 144  # more than two pages of the canary's
NO_CACHE = "no_prefix_cache"  # the feature whose cells keep nothing; its proof says so


@pytest.mark.from_depth("full")
def test_a_talk_is_the_same_from_the_cache(
    *,
    cell: Cell,
    plan: PlanSettings,
    engine: EngineHandle,
    client: Client,
    bank: Bank,
    evidence: EvidenceSink,
    depth: Depth,
) -> None:
    """Ten turns, each behind the engine's own replies: answers are right, the cached tokens are what can be there, and
    the numbers are those of a prompt that is computed. Then others take the pages, and the last turn is asked again."""
    tokens = _require_length(cell, plan, depth)
    findings = (
        finding
        for trial in range(depth.talks)
        for finding in _check_talk(
            bank.long_turns(tokens=tokens, turns=depth.talk_turns, trial=TRIALS + trial),
            [bank.needle(tokens=2 * tokens, depth=0.5, trial=OTHERS + n) for n in range(depth.evicting_prompts)],
            cell=cell,
            plan=plan,
            engine=engine,
            client=client,
        )
    )
    expect_ok(evidence, findings)


@pytest.mark.from_depth("full")
def test_a_prefix_that_was_left_half_read_is_no_prefix(
    *, cell: Cell, plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """A request is left while its prompt is read, streamed and whole: the next one with that prompt finds what is
    there, and gives what a computed prompt gives."""
    tokens = _require_length(cell, plan, depth)
    expect_ok(
        evidence,
        _leave_half_read(cell, client, [bank.needle(tokens=tokens, depth=0.5, trial=HALF_READ + n) for n in range(2)]),
    )


@pytest.mark.from_depth("full")
def test_a_talk_goes_on_behind_a_turn_that_was_left(
    *, cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """The user stops a turn in its middle and says the next thing: a server that keeps a talk's state must not have
    lost what stands before (sglang#36475), and the next turns give what computed prompts give."""
    stories = bank.long_generation(1)
    talks = [(item, story) for item in bank.recall(depth.fields) for story in stories]
    expect_ok(evidence, (found for talk in talks for found in _go_on_behind_left(cell, client, *talk)))


@pytest.mark.from_depth("full")
def test_reads_a_turn_that_was_edited(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Talks that end alike and differ in one word of an earlier turn, as where a user edits it: each is answered by its
    own words, and the first one again as before."""
    expect_ok(evidence, _ask_edited(client, edits.pair_talks(bank.recall(POOL))[: depth.fields]))


@pytest.mark.from_depth("full")
def test_tells_in_streams_what_was_cached(*, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """`usage` of a stream tells cached tokens as that of a whole reply does: agents that stream are billed by it."""
    items = [bank.needle(tokens=CACHED_TOKENS, depth=0.5, trial=TOLD_CACHED + n) for n in range(depth.fields)]
    expect_ok(evidence, (_compare_cached(client, item) for item in items))


def _go_on_behind_left(cell: Cell, client: Client, item: Item, story: Item) -> Iterator[Finding]:
    *told, question = item.messages
    first = replace(item, messages=(*told, story.messages[-1]))
    left = client.ask(first, stream=True, leave_after=LEFT_AFTER, max_tokens=LEFT_TOKENS)
    said = {"role": "assistant", "content": left.content or left.reasoning or "Once"}
    talk = replace(item, id=f"{item.id}.left", messages=(*first.messages, said, question))
    warm = [client.ask(talk, top_logprobs=TOP)]
    client.ask(first, stream=True, leave_after=LEFT_AFTER, max_tokens=LEFT_TOKENS)
    warm.append(client.ask(talk, top_logprobs=TOP))
    cold = client.ask(talk, top_logprobs=TOP, extra=bypass_prefix_cache(client, cell.engine.dialect))
    tie = 2 * isolation.logprob_tolerance(cell.checkpoint.format, cell.checkpoint.made_by)
    for reply in warm:
        yield company.check_same_answer(talk, [cold], reply, check="reuse.left_turn", tie=tie)


def _ask_edited(client: Client, pairs: Sequence[tuple[Item, Item]]) -> Iterator[Finding]:
    for pair in pairs:
        for item in (*pair, pair[0]):
            yield answer.check_answer(item, client.ask(item), check="reuse.edited")


def _compare_cached(client: Client, item: Item) -> Finding:
    client.ask(item, max_tokens=1)
    whole, streamed = (client.ask(item, max_tokens=1, stream=stream) for stream in (False, True))
    return reuse.check_told_cached(item, streamed, whole)


def _leave_half_read(cell: Cell, client: Client, items: Sequence[Item]) -> Iterator[Finding]:
    """Yield a finding for each way to be left; one that was answered before it could be left judges nothing."""
    tie = 2 * isolation.logprob_tolerance(cell.checkpoint.format, cell.checkpoint.made_by)
    for place, item in enumerate(items):
        left = client.hang_up(item, after_s=PATIENCE_S, stream=bool(place % 2))
        warm = client.ask(item, top_logprobs=TOP)
        cold = client.ask(item, top_logprobs=TOP, extra=bypass_prefix_cache(client, cell.engine.dialect))
        found = company.check_same_answer(item, [cold], warm, check="reuse.half_read", tie=tie)
        yield replace(found, sensitive=found.sensitive and (left or not found.ok))


def _require_length(cell: Cell, plan: PlanSettings, depth: Depth) -> int:
    topk = index_topk(cell, plan.settings)
    tokens = lengths.just_beyond(plan.settings, topk)
    if tokens is None:
        pytest.skip(f"NOT_EVIDENCE: no prompt longer than index_topk {topk} fits the context")
    return tokens


def _check_talk(
    talk: Sequence[Item],
    others: Sequence[Item],
    *,
    cell: Cell,
    plan: PlanSettings,
    engine: EngineHandle,
    client: Client,
) -> Iterator[Finding]:
    dialect = cell.engine.observe
    turns = list(hold_talk(client, engine, dialect, talk))
    for item, turn in zip(talk, turns, strict=True):
        yield answer.check_answer(item, turn.reply, check="reuse.turn")
        yield protocol.check_envelope(item, turn.reply)
    page = int(plan.settings.get("page_tokens", 1))
    # Such a cell must find nothing, and its own proof holds it to that; or its recipe had to switch the cache off.
    none = NO_CACHE in cell.features or plan.settings.get("prefix_cache") is False
    pairs = () if none else itertools.pairwise(turns)
    for before, now in pairs:
        yield reuse.check_cached(
            now.item, before.reply, now.reply, now.cached, page=page, kept=not cell.features & SPREAD
        )
    # Kept before the others come: afterwards the pages are theirs.
    restore = keep_prefix(client, cell)
    for other in others:
        client.ask(other, max_tokens=1)
    ask_again = partial(ask_turn, client, engine, dialect, turns[-1].item)
    evicted = ask_again()
    reloaded = ask_again() if restore is not None and _ask_other(client, others) and restore() else None
    yield from _compare_with_cold(client, cell, turns, evicted=evicted, reloaded=reloaded)


def _ask_other(client: Client, others: Sequence[Item]) -> bool:
    """Ask another prompt, so that nothing but what is loaded can be found; False where there is none."""
    return any(client.ask(other, max_tokens=1) for other in others[:1])


def _compare_with_cold(
    client: Client, cell: Cell, turns: Sequence[AskedTurn], *, evicted: AskedTurn, reloaded: AskedTurn | None
) -> Iterator[Finding]:
    """Ask the second turn, one in the middle and the last of prompts that are computed. At the end, because
    SGLang knows no other way than to empty its cache."""
    # Three of ten: each costs a prefill of the whole conversation, and 1 is the first that can be cached.
    chosen = {1, len(turns) // 2, len(turns) - 1}
    tie = 2 * isolation.logprob_tolerance(cell.checkpoint.format, cell.checkpoint.made_by)
    for place in sorted(place for place in chosen if 0 < place < len(turns)):
        warm = turns[place]
        extra = bypass_prefix_cache(client, cell.engine.dialect)
        cold = client.ask(warm.item, top_logprobs=TOP, extra=extra)
        hold = partial(company.check_same_answer, warm.item, [cold], tie=tie)
        yield _require_cached(hold(warm.reply, check="reuse.cold"), warm, hit=True)
        if place == len(turns) - 1:
            yield _require_cached(hold(evicted.reply, check="reuse.evicted"), evicted, hit=False)
            if reloaded is not None:
                yield _require_cached(hold(reloaded.reply, check="reuse.reloaded"), reloaded, hit=True)


def _require_cached(finding: Finding, turn: AskedTurn, *, hit: bool) -> Finding:
    """Mark a finding that could not have seen a reused prefix (`hit`), or a dropped one. An engine that does not tell
    may have had either."""
    told, prompt = turn.cached, turn.reply.prompt_tokens or 0
    blind = told is not None and (told <= 0 if hit else 2 * told > prompt)
    return replace(finding, sensitive=finding.sensitive and (not blind or not finding.ok))
