"""Tests that long prompts are really read, with unguessable codes within and beyond what sparse attention selects."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import Client, EngineRefused
from fixtures.client.reply import Reply
from matrix.judging.statistics import is_hopeless
from matrix.model import Cell
from reports.evidence.finding import Finding
from suites.asking import lengths
from suites.asking.contract import EvidenceSink, PlanSettings, expect_ok
from suites.asking.depth import Depth
from suites.asking.sequential import Spending, expect_decided
from suites.checks import answer, limits, needle
from suites.measure.logprob_probe import index_topk
from suites.measure.rendering import Rendered, make_prompt_of, pad_prompt

pytestmark = [pytest.mark.needle]

COMPANY = 2  # long prompts at once: what one request selects must not reach another's
LAST_TOKENS = 48  # of the context, for the reply and for a frame that is counted only about
COMPANY_TOKENS = 8_192  # two longer ones only wait for each other's prefill


def test_finds_the_needle_within_index_topk(
    *,
    cell: Cell,
    plan: PlanSettings,
    client: Client,
    bank: Bank,
    evidence: EvidenceSink,
    depth: Depth,
    token_budget: int | None,
) -> None:
    """Dense by construction: the test fails when attention itself is broken, and cannot test its sparsity."""
    tokens = lengths.within_index_topk(plan.settings, index_topk(cell, plan.settings))
    items = [bank.needle(tokens=tokens, depth=d) for d in depth.within_depths]
    spending = Spending(budget=token_budget)
    expect_decided(evidence, _check_needles(client, items, spending, topk=None), spending, name="needle")


def test_finds_the_needle_beyond_index_topk(
    *,
    cell: Cell,
    plan: PlanSettings,
    client: Client,
    bank: Bank,
    evidence: EvidenceSink,
    depth: Depth,
    rendered: Rendered | None,
    token_budget: int | None,
) -> None:
    """Sparse by construction: the indexer must have selected the place. Two prompts at once: each must read its own."""
    topk = index_topk(cell, plan.settings)
    sizes = lengths.beyond_index_topk(plan.settings, topk, depth)
    if not sizes:
        pytest.skip(
            f"NOT_EVIDENCE: no prompt longer than index_topk {topk} fits the context {plan.settings.get('context')}"
        )
    edges = lengths.page_edges(plan.settings, topk) if depth.needle_page_edges else ()
    stem = lengths.just_beyond(plan.settings, topk) if depth.one_text else None
    items = itertools.chain(_make_needles(bank, sizes, depth, stem), _make_edge_needles(bank, edges, rendered))
    spending = Spending(budget=token_budget)
    found = _check_needles(client, items, spending, topk=topk, company=COMPANY)
    expect_decided(evidence, found, spending, name="needle")


@pytest.mark.for_cells(claims=["absent_codes"])
def test_invents_no_needle(
    *, cell: Cell, plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """The negative control: without a needle, the model must find none."""
    topk = index_topk(cell, plan.settings)
    # Beyond index_topk where the context allows: the control is asked where the needles are.
    tokens = lengths.just_beyond(plan.settings, topk) or lengths.within_index_topk(plan.settings, topk)
    made = [_make_no_needle(bank, tokens, i, depth) for i in range(depth.no_needles)]
    items = [item for item in made if item is not None]
    expect_ok(evidence, (needle.check_not_invented(item, client.ask(item)) for item in items))


def test_refuses_a_prompt_over_the_context(
    *, plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink, rendered: Rendered | None
) -> None:
    """One token too many is the client's fault: a 4xx that says so, and the engine keeps serving."""
    context = plan.settings.get("context")
    if context is None:
        pytest.skip("NOT_EVIDENCE: the plan does not say how long the context is")
    item = make_prompt_of(int(context) + 1, rendered)
    over = limits.check_refusal(
        item, _ask_or_refusal(client, item), tokens=int(context) + 1, context=int(context), exact=rendered is not None
    )
    # Behind the refusal: what refused the prompt must go on serving others.
    expect_ok(evidence, [over, _ask_afterwards(client, bank)])


@pytest.mark.from_depth("full")
@pytest.mark.for_cells(claims=["ignore_eos"], canary=True)
def test_fills_the_context_to_its_end(
    *, plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink, rendered: Rendered | None
) -> None:
    """Prompt and reply take all of the context: page tables and drafts reach one token too far there (sglang#18980,
    vllm#46074)."""
    _fill_context(plan, client, bank, evidence, rendered)


@pytest.mark.from_depth("release")
@pytest.mark.for_cells(claims=["ignore_eos"], canary=False)
def test_fills_a_long_context_to_its_end(
    *, plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink, rendered: Rendered | None
) -> None:
    """As for a canary, where the prompt alone costs minutes of prefill (74 s at 131k tokens, docs/sources/004.md)."""
    _fill_context(plan, client, bank, evidence, rendered)


def _fill_context(
    plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink, rendered: Rendered | None
) -> None:
    context = int(plan.settings.get("context") or 0)
    if not context:
        pytest.skip("NOT_EVIDENCE: the length of the context is not known")
    item = make_prompt_of(context - LAST_TOKENS, rendered)
    prompt = rendered(item) if rendered is not None else client.ask(item, max_tokens=1).prompt_tokens or 0
    told = _ask_or_refusal(client, item, max_tokens=context - prompt, extra={"ignore_eos": True})
    full = limits.check_full(item, told, room=context - prompt, context=context)
    expect_ok(evidence, [full, _ask_afterwards(client, bank)])


def _ask_afterwards(client: Client, bank: Bank) -> Finding:
    fact = bank.facts(1)[0]
    after = answer.check_answer(fact, client.ask(fact), check="limits.after")
    return limits.check_alive(fact, healthy=client.health(), after=after)


def _ask_or_refusal(client: Client, item: Item, *, max_tokens: int = 1, **options: Any) -> tuple[int, str] | Reply:
    try:
        return client.ask(item, max_tokens=max_tokens, **options)
    except EngineRefused as refusal:
        # A refusal is the right answer here and nowhere else, so it is caught here alone.
        return refusal.status, refusal.body


def _make_edge_needles(bank: Bank, edges: Iterable[int], rendered: Rendered | None) -> Iterator[Item]:
    """Make needles in prompts of exactly these lengths; this needs a tokenizer."""
    if rendered is None:
        return
    for tokens in edges:
        item = pad_prompt(bank.needle(tokens=round(tokens * (1 - lengths.EDGE)), depth=0.5, trial=3), tokens, rendered)
        if item is not None:
            yield item


def _make_no_needle(bank: Bank, tokens: int, trial: int, depth: Depth) -> Item | None:
    alike = bank.no_needle_in_one_text(stem=tokens, trial=trial) if depth.one_text else None
    return alike or bank.no_needle(tokens=tokens, trial=trial)


def _make_needles(bank: Bank, sizes: Iterable[int], depth: Depth, stem: int | None) -> Iterator[Item]:
    """Make the needles of each length; in one text that goes on where the signature's ends, with a `stem`."""
    for tokens in sizes:
        for trial in range(depth.needles_per_length):
            for where in depth.needle_depths:
                alike = stem and bank.needle_in_one_text(stem=stem, tokens=tokens, depth=where, trial=trial)
                yield alike or bank.needle(tokens=tokens, depth=where, trial=trial)
        # One depth each: a tier asks for another way to search, and depths are what the plain ones ask.
        for tier in depth.needle_tiers:
            hard = bank.needle_tier(tier, tokens=tokens, depth=0.5)
            if hard is not None:
                yield hard


def _check_needles(
    client: Client, items: Iterable[Item], spending: Spending, *, topk: int | None, company: int = 1
) -> Iterator[Finding]:
    """Check each needle; stop early once enough are lost, so that a broken engine does not cost hours, or once the
    budget is spent."""
    lost = asked = 0
    for batch in (part for whole in _split_company(items, company) for part in spending.split_batch(whole)):
        if not spending.may_ask():
            return
        for item, reply in zip(batch, client.together([(item, {}) for item in batch]), strict=True):
            spending.count_reply(item, reply)
            finding = needle.check_needle(item, reply, index_topk=topk)
            yield finding
            lost, asked = lost + (not finding.ok), asked + 1
        if is_hopeless(lost, asked):
            return


def _split_company(items: Iterable[Item], company: int) -> Iterator[tuple[Item, ...]]:
    """Yield what is asked at once: `company` prompts of at most COMPANY_TOKENS, or a longer one alone."""
    batch: list[Item] = []
    for item in items:
        if (item.tokens_prompt_about or 0) > COMPANY_TOKENS:
            yield (item,)
            continue
        batch.append(item)
        if len(batch) == company:
            yield tuple(batch)
            batch = []
    if batch:
        yield tuple(batch)
