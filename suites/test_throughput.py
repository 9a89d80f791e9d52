"""Tests speed: records the numbers, and asserts that each is a valid measurement.

Where `--baseline` gives at least five earlier launches of the cell, a slowdown fails if a fresh launch confirms it.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixtures.banks.bank import Bank
from fixtures.client.client import Client
from matrix.model import Cell
from reports.compare.baselines import Baseline
from suites.asking import lengths
from suites.asking.contract import EngineHandle, EvidenceSink, PlanSettings, Relaunch, expect_ok
from suites.asking.depth import Depth
from suites.checks import fair, throughput
from suites.measure import claims, loads, open_loop, speed
from suites.measure.baseline_with_relaunch import Load, MeasuredInputs

pytestmark = [pytest.mark.throughput]


@pytest.fixture
def judged(
    *, cell: Cell, bank: Bank, evidence: EvidenceSink, depth: Depth, baseline: Baseline, relaunch: Relaunch
) -> MeasuredInputs:
    return MeasuredInputs(cell=cell, bank=bank, evidence=evidence, depth=depth, baseline=baseline, relaunch=relaunch)


def test_single_stream_speed(
    *, cell: Cell, engine: EngineHandle, judged: MeasuredInputs, evidence: EvidenceSink, depth: Depth
) -> None:
    asked = Load(
        output_len=depth.single_stream_tokens,
        prompt_tokens=depth.load_prompt_tokens,
        true=lambda result: throughput.check_possible(result, cell),
    )
    expect_ok(evidence, judged.findings(engine, [asked]))


def test_speed_under_load(
    *, plan: PlanSettings, engine: EngineHandle, judged: MeasuredInputs, evidence: EvidenceSink, depth: Depth
) -> None:
    asked = Load(
        output_len=depth.load_output_tokens,
        waves=depth.load_waves,
        prompt_tokens=depth.load_prompt_tokens,
        true=lambda result: [
            loads.excuse_unfit_client(result, throughput.check_littles_law(result)),
            *fair.list_unfair(result),
        ],
    )
    each = [replace(asked, streams=n) for n in loads.limit_streams(plan.settings, depth.load_concurrency)]
    expect_ok(evidence, judged.findings(engine, each))


@pytest.mark.from_depth("release")
def test_concurrency_sweep(
    *, cell: Cell, plan: PlanSettings, engine: EngineHandle, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """The whole curve, one wave per point: recorded, and compared with the published curve where one exists."""
    length = depth.load_output_tokens
    for streams in loads.limit_streams(plan.settings, depth.load_sweep):
        result = loads.measure_load(engine, bank, depth, streams=streams, output_len=length, waves=1)
        loads.require_fit(result, cell)
        # Marked, so that no baseline takes one wave for three.
        loads.record_load(evidence, result, depth=depth.name, sweep=True)
        expect_ok(evidence, [throughput.check_complete(result, output_len=length), *claims.check_claims(cell, result)])


@pytest.mark.from_depth("full")
def test_keeps_up_with_arrivals_by_the_clock(
    *, plan: PlanSettings, engine: EngineHandle, judged: MeasuredInputs, evidence: EvidenceSink, depth: Depth
) -> None:
    """An open loop at shares of what the same launch's closed loop completes: users who do not wait for each other."""
    streams = loads.limit_streams(plan.settings, (depth.open_streams,))[-1]
    # The same judgement with another load: only how requests are sent differs.
    by_the_clock = replace(judged, measure=open_loop.measure_open_load)
    asked = [open_loop.make_load(share, streams, depth) for share in depth.open_shares]
    expect_ok(evidence, by_the_clock.findings(engine, asked))


@pytest.mark.from_depth("full")
def test_decode_speed_by_context(
    *,
    cell: Cell,
    plan: PlanSettings,
    engine: EngineHandle,
    judged: MeasuredInputs,
    evidence: EvidenceSink,
    depth: Depth,
) -> None:
    """One stream after prompts of growing length shows the cost per token of attention over a long cache."""
    length = depth.load_output_tokens
    asked = Load(output_len=length, prompt_tokens=0, true=lambda result: throughput.check_possible(result, cell))
    # A set: lengths beyond a short context are all cut to the same one.
    fitting = sorted({lengths.cap_to_context(plan.settings, n + length) - length for n in depth.decode_lengths})
    each = [replace(asked, prompt_tokens=n, where={"context": n}) for n in fitting]
    expect_ok(evidence, judged.findings(engine, each))


@pytest.mark.from_depth("full")
def test_prefill_cold_and_warm(
    *, cell: Cell, engine: EngineHandle, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """Prompt tokens per second until the first token, without and with the prefix cache: two numbers, never mixed."""
    items = bank.load_prompts(depth.prefill_prompts, tokens=depth.load_prompt_tokens)
    expect_ok(evidence, [speed.measure_prefill(client, engine, items, cell.engine, evidence)])


@pytest.mark.from_depth("full")
def test_answers_right_under_load(
    *, engine: EngineHandle, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """The same questions alone and during a load whose outputs have their exact length."""
    items = bank.facts(depth.loaded_items) + bank.recall(depth.loaded_items // 4)
    alone = speed.answer_alone(client, items)
    result, beside = speed.answer_under_load(engine, client, bank, items, depth)
    complete = throughput.check_complete(result, output_len=depth.loaded_output_tokens)
    expect_ok(evidence, [complete, throughput.check_accuracy(alone, beside)])
