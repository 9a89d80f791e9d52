"""Is what was asked for in effect? Text can be right while a feature is ignored: sizes and counters tell."""

from __future__ import annotations

import pytest

from fixtures.banks.bank import Bank
from fixtures.client import Client
from fixtures.observe import end_of, observed
from matrix.model import Cell
from matrix.observation import last
from matrix.plan import Plan
from matrix.proof import DRAFTED_TOKENS, Probe, judge, strongest
from matrix.requested import Requested, requested
from reports.finding import Finding
from suites import lengths, recordings
from suites.checks import effective
from suites.contract import Engine, Evidence, expect

pytestmark = [pytest.mark.proof]

CHUNKS = 3.5  # several chunks, the last one not full
STORIES, FACTS = 3, 12  # asked until the draft counters mean something


def test_requested_features_are_in_effect(
    *, cell: Cell, plan: Plan, engine: Engine, client: Client, bank: Bank, evidence: Evidence
) -> None:
    """Every requested feature is proven, refuted or visibly unproven. Refuted fails, however right the answers are."""
    dialect, wanted = cell.engine.observe, requested(plan)
    if "mtp" in cell.features:
        _draft(engine, client, bank, dialect)
    probe = _probe(wanted, engine, client, bank, dialect) if "chunked_prefill" in cell.features else None
    seen = observed(dialect, client, engine.log_path)
    proofs = [*judge(wanted, seen, probe=probe), *recordings.proofs(cell, plan, client, bank)]
    merged = [strongest(p for p in proofs if p.feature == f) for f in dict.fromkeys(p.feature for p in proofs)]
    for proof in merged:
        evidence.proof(proof.feature, proof.outcome, proof.rung, proof.detail, proof.data)
    refuted = [f"{p.feature} is refuted by {p.rung}: {p.detail}" for p in merged if p.outcome == "refuted"]
    assert not refuted, "\n".join(refuted)


def test_requested_equals_effective(
    *, cell: Cell, plan: Plan, engine: Engine, client: Client, evidence: Evidence
) -> None:
    """Context, chunks, pages, KV layout, backends, weights: as planned. Silent fallbacks are found here."""
    dialect, wanted = cell.engine.observe, requested(plan)
    seen = observed(dialect, client, engine.log_path)
    found = [*effective.differences(wanted, seen), *effective.fallbacks(dialect, seen, cell.facts)]
    if not found:
        pytest.skip(f"NOT_EVIDENCE: {cell.engine.title} shows nothing that this plan sets")
    open_ = effective.chosen(wanted, seen)
    note = Finding(
        check="effective.left_to_the_engine", ok=True, expected="", got=str(open_), sensitive=False, data=open_
    )
    expect(evidence, [*found, note])


def _draft(engine: Engine, client: Client, bank: Bank, dialect: effective.Dialect) -> None:
    """Let it write until it has drafted enough, or had every chance to."""
    for item in (*bank.long_generation(STORIES), *bank.facts(FACTS)):
        client.ask(item)
        drafted = last(observed(dialect, client, engine.log_path), "drafted_tokens")
        if drafted is not None and drafted.number >= DRAFTED_TOKENS:
            return


def _probe(wanted: Requested, engine: Engine, client: Client, bank: Bank, dialect: effective.Dialect) -> Probe | None:
    """A prompt of several chunks and one token of an answer: every step that it takes is a prefill step."""
    tokens = lengths.fitting({"context": wanted.context}, round(CHUNKS * (wanted.chunk_tokens or 0)))
    item = bank.needle(tokens=tokens, depth=0.5, trial=7)
    start = end_of(engine.log_path)
    before = observed(dialect, client, engine.log_path, start=start)
    reply = client.ask(item, max_tokens=1)
    if reply.prompt_tokens is None:
        return None
    return Probe(
        prompt_tokens=reply.prompt_tokens - (reply.cached_tokens or 0),
        generated_tokens=reply.completion_tokens or 1,
        before=before,
        after=observed(dialect, client, engine.log_path, start=start),
    )
