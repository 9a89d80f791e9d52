"""Chunked prefill: long prompts go through the model in pieces, and are still read as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.banks.bank import Bank
from fixtures.client import Client
from matrix.model import Cell
from suites import lengths, signature
from suites.checks import counters, features, needle
from suites.contract import Engine, Evidence, Plan, expect

pytestmark = [pytest.mark.proof]

CHUNKS = 3.5  # several edges, and a last chunk that is not full
NEEDLE_DEPTH = 0.3  # in an early chunk: the answer must cross the later edges


@pytest.mark.for_cells(features=["chunked_prefill"])
def test_prefills_in_chunks(
    *, cell: Cell, plan: Plan, engine: Engine, client: Client, bank: Bank, evidence: Evidence
) -> None:
    chunk = int(plan.settings["chunk_tokens"])
    tokens = lengths.fitting(plan.settings, round(CHUNKS * chunk))
    item = bank.needle(tokens=tokens, depth=NEEDLE_DEPTH, trial=1)
    log_from, before = _size(engine.log_path), counters.read(client.metrics())
    counted = client.ask(item, max_tokens=1)  # no decode steps: speculative ones are counted apart, or not at all
    after = counters.read(client.metrics())
    reply = client.ask(item)
    topk = signature.index_topk(cell, plan.settings)
    expect(evidence, [needle.found(item, reply, index_topk=topk if tokens > topk else None)])
    verdict = features.chunked(
        counters.delta(before, after, "steps"),
        prompt_tokens=(counted.prompt_tokens or tokens) - (counted.cached_tokens or 0),
        chunk_tokens=chunk,
        log=_read(engine.log_path, log_from),
    )
    evidence.proof("chunked_prefill", verdict.outcome, verdict.rung, verdict.detail, verdict.data)
    assert verdict.outcome != "refuted", verdict.detail


def _size(log: Path | None) -> int:
    return log.stat().st_size if log is not None and log.exists() else 0


def _read(log: Path | None, start: int) -> str:
    if log is None or not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(start)
        return file.read().decode("utf-8", "replace")
