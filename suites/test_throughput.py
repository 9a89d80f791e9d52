"""How fast, and is the number true? Speed is recorded; what is asserted is that it is a measurement at all.

Regressions are judged from evidence by the gate, which sees the baseline's launches (checks.throughput.not_slower).
"""

from __future__ import annotations

import pytest

from fixtures.banks.bank import Bank
from matrix.model import Cell
from suites import loads
from suites.checks import throughput
from suites.contract import Engine, Evidence, expect
from suites.depth import Depth

pytestmark = [pytest.mark.throughput]


def test_single_stream_speed(cell: Cell, engine: Engine, bank: Bank, evidence: Evidence, depth: Depth) -> None:
    length = depth.single_stream_tokens
    result = loads.load(engine, bank, depth, streams=1, output_len=length, waves=1)
    loads.must_be_fit(result, cell)
    loads.record(evidence, result, depth=depth.name)
    expect(evidence, [throughput.complete(result, output_len=length), throughput.possible(result, cell)])


def test_speed_under_load(cell: Cell, engine: Engine, bank: Bank, evidence: Evidence, depth: Depth) -> None:
    for streams in depth.load_concurrency:
        length = depth.load_output_tokens
        result = loads.load(engine, bank, depth, streams=streams, output_len=length, waves=depth.load_waves)
        loads.must_be_fit(result, cell)
        loads.record(evidence, result, depth=depth.name)
        accounted = loads.if_fit(result, throughput.littles_law(result))
        expect(evidence, [throughput.complete(result, output_len=length), accounted])
