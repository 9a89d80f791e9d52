"""Multi-token prediction: is the draft head used, and right often enough to be a trained one?"""

from __future__ import annotations

import pytest

from fixtures.banks.bank import Bank
from fixtures.client import Client
from suites.checks import answer, counters, features
from suites.contract import Evidence, expect
from suites.depth import Depth

pytestmark = [pytest.mark.proof]

FACTS, RECALLS = 8, 3  # with a story about 140 tokens, of which one draft per step makes 70: enough to judge a head


@pytest.mark.for_cells(features=["mtp"])
def test_drafts_are_accepted(client: Client, bank: Bank, evidence: Evidence, depth: Depth) -> None:
    """By the engine's own counters over answers that must be right: acceptance of garbage proves nothing."""
    before = counters.read(client.metrics())
    items = bank.facts(max(FACTS, depth.facts)) + bank.recall(RECALLS) + bank.long_generation(depth.long_texts)
    answered = [(item, client.ask(item)) for item in items]
    after = counters.read(client.metrics())
    expect(evidence, (answer.right(i, r, check="mtp.answer") for i, r in answered if i.answer))
    verdict = features.drafts_accepted(
        counters.delta(before, after, "drafted"),
        counters.delta(before, after, "accepted"),
        after.get("accept_length"),
    )
    evidence.proof("mtp", verdict.outcome, verdict.rung, verdict.detail, verdict.data)
    if drafted := verdict.data.get("drafted"):
        evidence.measurement("acceptance_rate", verdict.data["accepted"] / drafted, "ratio", {"drafted": drafted})
    assert verdict.outcome != "refuted", verdict.detail
