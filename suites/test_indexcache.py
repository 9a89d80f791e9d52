"""Tests IndexCache, where layers share a selection: harmless below index_topk, visible beyond, never destructive."""

from __future__ import annotations

import pytest

from fixtures.banks.bank import Bank
from fixtures.client.client import Client
from matrix.model import Cell
from suites.asking.contract import EvidenceSink, PlanSettings, expect_ok
from suites.measure import logprob_probe as signature

pytestmark = [pytest.mark.proof]


@pytest.mark.signature
@pytest.mark.for_cells(features=["indexcache"])
def test_changes_output_only_beyond_index_topk(
    *, cell: Cell, plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink
) -> None:
    """Records this cell's half of the ablation. The outcome needs the baseline's half (test_boot records it), so the
    feature stays unproven here: an accepted flag is no proof."""
    topk = signature.index_topk(cell, plan.settings)
    findings = signature.check_logprobs(client, bank, topk=topk, settings=plan.settings)
    expect_ok(evidence, findings)
    if len(findings) < 2:
        pytest.skip(f"NOT_EVIDENCE: no prompt longer than index_topk {topk} fits the context")
    evidence.proof(
        "indexcache",
        "unproven",
        "ablation",
        "compare signature.short and signature.long with the baseline cell's",
        {f.check: f.data for f in findings},
    )
