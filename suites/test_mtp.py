"""Tests multi-token prediction: the draft head is used, and is right often enough to be a trained one."""

from __future__ import annotations

import pytest

from fixtures.banks.bank import Bank
from fixtures.client.client import Client
from fixtures.launch.observe import observe_engine
from matrix.judging import proof
from matrix.model import Cell
from suites.asking.contract import EngineHandle, EvidenceSink, expect_ok
from suites.asking.depth import Depth
from suites.checks import answer

pytestmark = [pytest.mark.proof]

FACTS, RECALLS = 8, 3  # with a story about 140 tokens, of which one draft per step makes 70: enough to judge a head


@pytest.mark.for_cells(features=["mtp"])
def test_drafts_are_accepted(
    *, cell: Cell, engine: EngineHandle, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """The engine's own counters are read over answers that must be right: acceptance of garbage proves nothing."""
    dialect = cell.engine.observe
    # Counters only grow, and other tests of this launch have moved them. At `first` what those drafted counts, too.
    before = () if depth.one_text else observe_engine(dialect, client, engine.log_path)
    items = bank.facts(max(FACTS, depth.facts)) + bank.recall(RECALLS) + bank.long_generation(depth.long_texts)
    answered = []
    for item in items:
        answered.append((item, client.ask(item)))
        seen = observe_engine(dialect, client, engine.log_path) if depth.one_text else ()
        if seen and len(answered) >= depth.facts and proof.mtp.has_drafted_enough(seen, before):
            break
    judged = proof.mtp.prove_mtp(observe_engine(dialect, client, engine.log_path), before)
    # Before the proof: a head that is accepted on wrong answers has proven the wrong thing.
    expect_ok(evidence, (answer.check_answer(i, r, check="mtp.answer") for i, r in answered if i.answer))
    evidence.proof(judged.feature, judged.outcome, judged.rung, judged.detail, judged.data)
    if drafted := judged.data.get("drafted"):
        evidence.measurement("acceptance_rate", judged.data["accepted"] / drafted, "ratio", {"drafted": drafted})
    assert judged.outcome != "refuted", judged.detail
