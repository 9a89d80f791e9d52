"""How fast, and is the number true? Speed is recorded; what is asserted is that it is a measurement at all.

Slower than it was is asserted where `--baseline` gives at least five earlier launches of the cell: it fails if it is so
on a fresh launch too.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixtures.banks.bank import Bank
from fixtures.client.client import Client
from matrix.model import Cell
from reports.compare.baselines import Baseline
from suites.asking import lengths
from suites.asking.contract import Engine, Evidence, Plan, Relaunch, expect
from suites.asking.depth import Depth
from suites.checks import throughput
from suites.measure import claims, loads, speed
from suites.measure.baseline_with_relaunch import Judged, Load

pytestmark = [pytest.mark.throughput]


@pytest.fixture
def judged(
    *, cell: Cell, bank: Bank, evidence: Evidence, depth: Depth, baseline: Baseline, relaunch: Relaunch
) -> Judged:
    return Judged(cell=cell, bank=bank, evidence=evidence, depth=depth, baseline=baseline, relaunch=relaunch)


def test_single_stream_speed(*, cell: Cell, engine: Engine, judged: Judged, evidence: Evidence, depth: Depth) -> None:
    asked = Load(
        output_len=depth.single_stream_tokens,
        prompt_tokens=depth.load_prompt_tokens,
        true=lambda result: throughput.possible(result, cell),
    )
    expect(evidence, judged.findings(engine, [asked]))


def test_speed_under_load(*, plan: Plan, engine: Engine, judged: Judged, evidence: Evidence, depth: Depth) -> None:
    asked = Load(
        output_len=depth.load_output_tokens,
        waves=depth.load_waves,
        prompt_tokens=depth.load_prompt_tokens,
        true=lambda result: loads.if_fit(result, throughput.littles_law(result)),
    )
    each = [replace(asked, streams=n) for n in loads.admitted(plan.settings, depth.load_concurrency)]
    expect(evidence, judged.findings(engine, each))


@pytest.mark.from_depth("release")
def test_concurrency_sweep(
    *, cell: Cell, plan: Plan, engine: Engine, bank: Bank, evidence: Evidence, depth: Depth
) -> None:
    """The whole curve, one wave a point: recorded, and compared with the published one where there is one."""
    length = depth.load_output_tokens
    for streams in loads.admitted(plan.settings, depth.load_sweep):
        result = loads.load(engine, bank, depth, streams=streams, output_len=length, waves=1)
        loads.must_be_fit(result, cell)
        loads.record(evidence, result, depth=depth.name, sweep=True)
        expect(evidence, [throughput.complete(result, output_len=length), *claims.against(cell, result)])


@pytest.mark.from_depth("full")
def test_decode_speed_by_context(
    *, cell: Cell, plan: Plan, engine: Engine, judged: Judged, evidence: Evidence, depth: Depth
) -> None:
    """One stream after prompts of growing length: what attention over a long cache costs per token."""
    length = depth.load_output_tokens
    asked = Load(output_len=length, prompt_tokens=0, true=lambda result: throughput.possible(result, cell))
    fitting = sorted({lengths.fitting(plan.settings, n + length) - length for n in depth.decode_lengths})
    each = [replace(asked, prompt_tokens=n, where={"context": n}) for n in fitting]
    expect(evidence, judged.findings(engine, each))


@pytest.mark.from_depth("full")
def test_prefill_cold_and_warm(*, cell: Cell, client: Client, bank: Bank, evidence: Evidence, depth: Depth) -> None:
    """Prompt tokens per second to the first token, without and with the prefix cache: two numbers, never mixed."""
    items = bank.load_prompts(depth.prefill_prompts, tokens=depth.load_prompt_tokens)
    expect(evidence, [speed.prefill(client, items, cell.engine.dialect, evidence)])


@pytest.mark.from_depth("full")
def test_answers_right_under_load(
    *, engine: Engine, client: Client, bank: Bank, evidence: Evidence, depth: Depth
) -> None:
    """The same questions alone and beside a load whose outputs have their exact length."""
    items = bank.facts(depth.loaded_items) + bank.recall(depth.loaded_items // 4)
    alone = speed.answered(client, items)
    result, beside = speed.answered_beside_load(engine, client, bank, items, depth)
    complete = throughput.complete(result, output_len=depth.loaded_output_tokens)
    expect(evidence, [complete, throughput.accurate(alone, beside)])
