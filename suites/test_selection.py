"""Tests that layers attend to the tokens that the indexer selects: by the selection itself, where an engine hands it
out, and by a prompt on which sparse and dense attention part."""

from __future__ import annotations

import pytest

from fixtures.banks.bank import Bank
from fixtures.client.client import Client
from matrix.model import Cell
from matrix.planning.ranks import read_pattern
from suites.asking.contract import EvidenceSink, PlanSettings, expect_ok
from suites.checks import selected, sparse
from suites.measure import logprob_probe as signature
from suites.measure import recordings
from suites.measure.references import SOURCE, find_crowd, recorded_as, weights_sha256
from suites.measure.selection_readout import read_scores, read_selection

pytestmark = [pytest.mark.proof]


@pytest.mark.for_cells(features=["selection_readout"], canary=True)
def test_selects_what_the_reference_selects(
    *, cell: Cell, plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink
) -> None:
    """A full layer attends to the tokens with the highest scores, a sharing layer to those of the layer it shares."""
    topk, pattern = signature.index_topk(cell, plan.settings), read_pattern(cell)
    item = bank.unsure(index_topk=topk)
    scores = read_scores(item, weights_sha256(cell.checkpoint)) if item and has_scores(cell, pattern) else None
    if item is None or scores is None:
        pytest.skip(f"NOT_EVIDENCE: no scores were recorded for {cell.checkpoint.id}, index_topk {topk} and {pattern}")
    rows = read_selection(client, cell.checkpoint, item, scores, topk)
    if not rows:
        pytest.skip("NOT_EVIDENCE: the replies of this engine hold no selection")
    found = selected.check_selection(item, rows, pattern, topk)
    for proof in selected.prove_selection(found, pattern, cell.features):
        evidence.proof(proof.feature, proof.outcome, proof.rung, proof.detail, proof.data)
    expect_ok(evidence, [found])


@pytest.mark.from_depth("full")
@pytest.mark.for_cells(canary=True)
def test_attends_to_the_selected_tokens_only(
    *, cell: Cell, plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink
) -> None:
    """Thousands of statements match the question: the answer is the one of sparse attention, and far from dense."""
    known = find_crowd(cell, plan, bank)
    if known is None:
        topk, context = signature.index_topk(cell, plan.settings), plan.settings.get("context")
        pytest.skip(f"NOT_EVIDENCE: no crowd was recorded for index_topk {topk}, or none fits the context {context}")
    found = sparse.check_crowd(known.item, signature.ask_for_logprobs(client, known.item), known.ways, wanted=known.way)
    if proof := sparse.prove_sparse(found, dense=recordings.DENSE):
        evidence.proof(proof.feature, proof.outcome, proof.rung, proof.detail, proof.data)
    expect_ok(evidence, [found])


def has_scores(cell: Cell, pattern: str) -> bool:
    """Return whether the recorded scores are this cell's: its own function in bf16, and no full layer behind a sharing
    one, whose scores would follow from another selection."""
    return cell.checkpoint.format == "bf16" and recorded_as(cell.checkpoint) == SOURCE and "SF" not in pattern
