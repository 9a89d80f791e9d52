"""Tests that the engine answers a first question, and records the logprob signature of its numbers."""

from __future__ import annotations

import pytest

from fixtures.banks.bank import Bank
from fixtures.client.client import Client, room_for
from matrix.model import Cell
from reports.evidence.finding import Finding
from suites.asking.contract import EvidenceSink, PlanSettings, expect_ok
from suites.checks import protocol
from suites.measure import logprob_probe as signature

pytestmark = [pytest.mark.boot]


def test_answers_first_token(client: Client, bank: Bank, evidence: EvidenceSink) -> None:
    """A healthy engine may be dead: some pass /health and crash on the first request."""
    item = bank.facts(1)[0]
    reply = client.ask(item)
    said = Finding(
        check="boot.first_token",
        ok=bool(reply.content.strip()),
        expected="at least one token of text",
        got=reply.content,
        item=item.id,
    )
    expect_ok(evidence, [said, protocol.check_envelope(item, reply, max_tokens=room_for(item))])


def test_leaves_a_signature(cell: Cell, plan: PlanSettings, client: Client, bank: Bank, evidence: EvidenceSink) -> None:
    """The logprobs of two frozen prompts show what a feature changed when reports compare cells."""
    topk = signature.index_topk(cell, plan.settings)
    expect_ok(evidence, signature.check_logprobs(client, bank, topk=topk, settings=plan.settings))
