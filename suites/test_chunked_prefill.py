"""Tests chunked prefill: the engine reads a long prompt in pieces, and still as a whole."""

from __future__ import annotations

import pytest

from fixtures.banks.bank import Bank
from fixtures.client.client import Client
from matrix.judging import proof
from matrix.model import Cell
from suites.asking import lengths
from suites.asking.contract import EngineHandle, EvidenceSink, PlanSettings, expect_ok
from suites.checks import needle
from suites.measure import logprob_probe as signature
from suites.measure import prefill_probe as probing

pytestmark = [pytest.mark.proof]

NEEDLE_DEPTH = 0.3  # in an early chunk: the answer must cross the later edges


@pytest.mark.for_cells(features=["chunked_prefill"])
def test_prefills_in_chunks(
    *, cell: Cell, plan: PlanSettings, engine: EngineHandle, client: Client, bank: Bank, evidence: EvidenceSink
) -> None:
    chunk = int(plan.settings["chunk_tokens"])
    tokens = lengths.cap_to_context(plan.settings, round(probing.CHUNKS * chunk))
    item = bank.needle(tokens=tokens, depth=NEEDLE_DEPTH, trial=1)
    judged = proof.chunks.prove_by_probe(chunk, probing.probe_prefill(item, engine, client, cell.engine.observe))
    topk = signature.index_topk(cell, plan.settings)
    expect_ok(evidence, [needle.check_needle(item, client.ask(item), index_topk=topk if tokens > topk else None)])
    evidence.proof(judged.feature, judged.outcome, judged.rung, judged.detail, judged.data)
    assert judged.outcome != "refuted", judged.detail
