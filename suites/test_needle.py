"""Are long prompts really read? Unguessable codes, within and beyond what sparse attention selects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client import Client
from matrix.model import Cell
from reports.finding import Finding
from suites import lengths
from suites.checks import needle
from suites.contract import Evidence, Plan, expect
from suites.depth import Depth
from suites.signature import index_topk

pytestmark = [pytest.mark.needle]


def test_finds_the_needle_within_index_topk(
    *, cell: Cell, plan: Plan, client: Client, bank: Bank, evidence: Evidence, depth: Depth
) -> None:
    """Dense by construction: fails when attention itself is broken, and says nothing about its sparsity."""
    tokens = lengths.within_index_topk(plan.settings, index_topk(cell, plan.settings))
    items = [bank.needle(tokens=tokens, depth=d) for d in depth.within_depths]
    expect(evidence, _hunt(client, items, topk=None))


def test_finds_the_needle_beyond_index_topk(
    *, cell: Cell, plan: Plan, client: Client, bank: Bank, evidence: Evidence, depth: Depth
) -> None:
    """Sparse by construction: the indexer must have selected the place."""
    topk = index_topk(cell, plan.settings)
    sizes = lengths.beyond_index_topk(plan.settings, topk, depth)
    if not sizes:
        pytest.skip(
            f"NOT_EVIDENCE: no prompt longer than index_topk {topk} fits the context {plan.settings.get('context')}"
        )
    expect(evidence, _hunt(client, _needles(bank, sizes, depth), topk=topk))


def test_invents_no_needle(
    *, cell: Cell, plan: Plan, client: Client, bank: Bank, evidence: Evidence, depth: Depth
) -> None:
    """The negative control: no needle, so nothing may be found."""
    topk = index_topk(cell, plan.settings)
    tokens = lengths.just_beyond(plan.settings, topk) or lengths.within_index_topk(plan.settings, topk)
    made = [bank.no_needle(tokens=tokens, trial=i) for i in range(depth.no_needles)]
    items = [item for item in made if item is not None]
    expect(evidence, (needle.not_invented(item, client.ask(item)) for item in items))


def _needles(bank: Bank, sizes: Iterable[int], depth: Depth) -> Iterator[Item]:
    for tokens in sizes:
        for trial in range(depth.needles_per_length):
            for where in depth.needle_depths:
                yield bank.needle(tokens=tokens, depth=where, trial=trial)
        for tier in depth.needle_tiers:
            hard = bank.needle_tier(tier, tokens=tokens, depth=0.5)
            if hard is not None:
                yield hard


def _hunt(client: Client, items: Iterable[Item], *, topk: int | None) -> Iterator[Finding]:
    for item in items:
        yield needle.found(item, client.ask(item), index_topk=topk)
