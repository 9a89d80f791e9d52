"""Tests that the requested settings are in effect. Text can be right while a feature is ignored; sizes and counters
show it."""

from __future__ import annotations

import pytest

from fixtures.banks.bank import Bank
from fixtures.client.client import Client
from fixtures.launch.observe import observe_engine
from matrix.judging.observation import Seen
from matrix.judging.proof import PrefillProbe, judge_proofs, mtp, pick_strongest
from matrix.judging.requested import Requested, read_requested
from matrix.model import Cell
from matrix.planning.plan import Plan
from reports.evidence.finding import Finding
from suites.asking import lengths
from suites.asking.contract import EngineHandle, EvidenceSink, expect_ok
from suites.asking.depth import Depth
from suites.checks import agreement, effective
from suites.measure import logprob_probe as signature
from suites.measure import prefill_probe as probing
from suites.measure import recordings
from suites.measure.references import Reference, find_references
from suites.measure.reuse_probe import probe_reuse

pytestmark = [pytest.mark.proof]

STORIES, FACTS = 3, 12  # asked until the draft counters mean something


# First: the prompts of the reference are the signature's, whose state the proofs' prompt goes on from and uses up.
@pytest.mark.for_cells(canary=True)
def test_numbers_agree_with_the_reference(
    *, cell: Cell, plan: Plan, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """The next-token distributions agree with transformers in float32, within the tolerance of the launch's dtypes."""
    unsure = depth.reference_unsure or "indexcache" in cell.features  # the one prompt on which patterns part
    found = find_references(cell, plan, bank, one_text=depth.one_text)
    known = [r for r in found if unsure or r.item.kind != signature.UNSURE]
    if not known:
        pytest.skip("NOT_EVIDENCE: no reference was recorded for these weights, index_topk and pattern")
    asked = [(r, signature.ask_for_logprobs(client, r.item), _pick_tolerance(cell, r)) for r in known]
    for r, reply, allowed in asked if "indexcache" in cell.features else ():
        if proof := agreement.prove_pattern(reply, r.ways, wanted=r.way, allowed=allowed):
            evidence.proof(proof.feature, proof.outcome, proof.rung, proof.detail, proof.data)
    expect_ok(evidence, (agreement.check_agreement(r.item, x, r.positions, way=r.way, allowed=a) for r, x, a in asked))


def test_requested_features_are_in_effect(
    *, cell: Cell, plan: Plan, engine: EngineHandle, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """Every requested feature is proven, refuted or visibly unproven. Refuted fails, however right the answers are."""
    dialect, wanted = cell.engine.observe, read_requested(plan)
    drafts = cell.features & mtp.DRAFTING
    undrafted = _draft_enough(engine, client, bank, dialect, from_start=depth.one_text) if drafts else ()
    probe = _probe_chunks(wanted, engine, client, bank, dialect) if "chunked_prefill" in cell.features else None
    push, asks_twice = "host_kv_tier" in cell.features, {"host_kv_tier", "no_prefix_cache"} & cell.features
    reuse = probe_reuse(engine, client, bank, dialect, push=push) if asks_twice else None
    seen = observe_engine(dialect, client, engine.log_path)
    proofs = [
        *judge_proofs(wanted, seen, probe=probe, undrafted=undrafted, reuse=reuse),
        *(recordings.prove_attention(cell, plan, client, bank) if depth.attention_recordings else ()),
    ]
    merged = [pick_strongest(p for p in proofs if p.feature == f) for f in dict.fromkeys(p.feature for p in proofs)]
    for proof in merged:
        evidence.proof(proof.feature, proof.outcome, proof.rung, proof.detail, proof.data)
    refuted = [f"{p.feature} is refuted by {p.rung}: {p.detail}" for p in merged if p.outcome == "refuted"]
    assert not refuted, "\n".join(refuted)


def test_requested_equals_effective(
    *, cell: Cell, plan: Plan, engine: EngineHandle, client: Client, evidence: EvidenceSink
) -> None:
    """Context, chunks, pages, KV layout, backends and weights are as planned; silent fallbacks are found here."""
    dialect, wanted = cell.engine.observe, read_requested(plan)
    seen = observe_engine(dialect, client, engine.log_path)
    found = [*effective.check_settings(wanted, seen), *effective.check_fallbacks(dialect, seen, cell.facts)]
    if not found:
        pytest.skip(f"NOT_EVIDENCE: {cell.engine.title} shows nothing that this plan sets")
    open_ = effective.list_engine_choices(wanted, seen)
    note = Finding(
        check="effective.left_to_the_engine", ok=True, expected="", got=str(open_), sensitive=False, data=open_
    )
    expect_ok(evidence, [*found, note])


def _pick_tolerance(cell: Cell, known: Reference) -> float:
    if known.item.kind == signature.UNSURE:
        return agreement.kl_tolerance_unsure(known.ways, known.way)
    return agreement.kl_tolerance(cell.checkpoint.format, cell.checkpoint.made_by)


def _draft_enough(
    engine: EngineHandle, client: Client, bank: Bank, dialect: effective.Dialect, *, from_start: bool
) -> Seen:
    """Generate until the engine has drafted enough, or had every chance to; return what was seen before. Only these
    answers are judged: a draft head is not trained on the prompts of a load. `from_start`: those before them, too,
    which the tests that asked have judged; a load comes later."""
    before: Seen = ()
    if not from_start:
        before = observe_engine(dialect, client, engine.log_path)
    elif mtp.has_drafted_enough(observe_engine(dialect, client, engine.log_path), before):
        return before
    for item in (*bank.long_generation(STORIES), *bank.facts(FACTS)):
        client.ask(item)
        if mtp.has_drafted_enough(observe_engine(dialect, client, engine.log_path), before):
            break
    return before


def _probe_chunks(
    wanted: Requested, engine: EngineHandle, client: Client, bank: Bank, dialect: effective.Dialect
) -> PrefillProbe | None:
    """Probe the prefill with a prompt of several chunks."""
    tokens = lengths.cap_to_context({"context": wanted.context}, round(probing.CHUNKS * (wanted.chunk_tokens or 0)))
    return probing.probe_prefill(bank.needle(tokens=tokens, depth=0.5, trial=7), engine, client, dialect)
