"""An impossible speed is red, whoever asks; a speed far below a published one is red or told, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.judging.roofline import Floor, SpeedBounds
from reports.evidence.types import Record, parse_record
from reports.expected import ExpectedCell
from reports.gate.bounds import judge_bounds
from tests.reports.world import BEGUN

CELL = "sm120x4.sglang.glm.baseline"
Json = dict[str, Any]


def measured(value: float, name: str = "median_tpot_ms", **where: Any) -> Record:
    who = {"kind": "measurement", "cell": CELL, "nodeid": f"t[{CELL}]", "run": "r", "t": BEGUN.isoformat()}
    asked = {"concurrency": 1, "input_len": 2048, "client_fit": True, **where}
    return parse_record({**who, "name": name, "value": value, "unit": "ms", "conditions": asked})


def floor(tps: float = 15, *, published: bool = True, context: int = 4096) -> Floor:
    return Floor(tps=tps, context=context, concurrency=1, source="somebody", published=published)


def judge(*records: Record, red: bool = True, ceiling: float | None = 400, floors: tuple[Floor, ...] = ()) -> Any:
    cell = ExpectedCell(id=CELL, bounds=SpeedBounds(ceiling=ceiling, floors=floors))
    return judge_bounds([cell], records, published_is_red=red)


@pytest.mark.parametrize(
    ("value", "name", "where", "red"),
    [
        (2.6, "median_tpot_ms", {}, False),
        (2.5, "median_tpot_ms", {}, False),
        (2.4, "median_tpot_ms", {}, True),
        (float("nan"), "output_throughput", {}, True),
        (0.0, "median_tpot_ms", {}, True),
        (2.4, "median_tpot_ms", {"concurrency": 32}, True),
        (399, "output_throughput", {}, False),
        (401, "output_throughput", {}, True),
        (12_000, "output_throughput", {"concurrency": 32}, False),
        (13_000, "output_throughput", {"concurrency": 32}, True),
        (0.1, "median_itl_ms", {}, False),
    ],
)
def test_nothing_is_faster_than_its_roofline(value: float, name: str, where: Json, red: bool) -> None:
    for policy in (True, False):
        told = judge(measured(value, name, **where), red=policy)
        assert bool(told.reasons) is red and all("above the roofline" in text for _, text in told.reasons)


def test_without_a_known_bandwidth_nothing_is_impossible() -> None:
    assert not judge(measured(0.0001), ceiling=None).reasons


@pytest.mark.parametrize(
    ("published", "policy", "red"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_far_below_is_red_where_a_number_and_the_policy_say_so_and_told_elsewhere(
    published: bool, policy: bool, red: bool
) -> None:
    told = judge(measured(100), red=policy, floors=(floor(published=published),))
    assert (len(told.reasons), len(told.told)) == ((1, 0) if red else (0, 1))
    (said,) = [text for _, text in told.reasons] + [*told.told]
    assert "10 tok/s" in said and "somebody" in said and ("expected" in said) is not published


@pytest.mark.parametrize(
    "record",
    [
        measured(60),
        measured(100, client_fit=False),
        measured(100, input_len=5000),
        measured(100, input_len=None),
        measured(100, concurrency=2),
        measured(100, name="median_itl_ms"),
    ],
)
def test_what_is_not_below_or_cannot_be_held_against_a_floor_is_silent(record: Record) -> None:
    told = judge(record, floors=(floor(),))
    assert not told.reasons and not told.told


def test_a_client_that_did_not_say_whether_it_was_in_time_was() -> None:
    assert judge(measured(100, client_fit=None), floors=(floor(),)).reasons


def test_a_published_floor_counts_before_an_expected_one() -> None:
    told = judge(measured(50), floors=(floor(15), floor(30, published=False)))
    assert not told.reasons and not told.told
