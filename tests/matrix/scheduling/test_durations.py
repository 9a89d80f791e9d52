"""Estimates: measured where evidence timed it, else arithmetic that says so."""

from __future__ import annotations

import pytest

from matrix.planning.owed import DEPTHS
from matrix.scheduling.durations import COLD_READ_BPS, Disk, Seconds, Timed, count_suites, estimate_group
from tests.matrix.scheduling.world import BIG, CANARY, plan_of

SIZE = 306016419840


def test_nothing_timed_is_arithmetic_over_the_size_and_says_so() -> None:
    made = estimate_group(plan_of(BIG), [BIG], "quick")
    assert made.load.seconds == pytest.approx(SIZE / COLD_READ_BPS)
    assert (made.load.level, made.start.level, made.level) == ("derived", "expected", "expected")
    assert "306 GB at 1.17 GB/s" in made.load.source
    assert made.warm_s < made.cold_s


def test_a_stated_disk_counts() -> None:
    made = estimate_group(plan_of(BIG), [BIG], "quick", disk=Disk(cold_bps=10e9, source="as stated"))
    assert made.load.seconds == pytest.approx(SIZE / 10e9)
    assert "as stated" in made.load.source
    assert made.warm_load_s <= SIZE / 6e9


def test_what_evidence_timed_is_taken_for_this_launch_cell_and_depth_alone() -> None:
    plan = plan_of(BIG)
    launch = Seconds(what="launch", seconds=700.0, level="measured", source="run.jsonl")
    suites = Seconds(what="suites", seconds=90.0, level="measured", source="run.jsonl")
    timed = Timed(launches={plan.fingerprint: launch}, suites={(BIG, "quick"): suites})
    made = estimate_group(plan, [BIG], "quick", timed)
    assert (made.launch_s, made.suites.seconds, made.level) == (700.0, 90.0, "measured")
    assert estimate_group(plan, [BIG], "full", timed).suites.level == "expected"
    assert estimate_group(plan_of(CANARY), [CANARY], "quick", timed).level == "derived"


def test_cells_that_share_a_launch_load_once_and_are_asked_one_after_another() -> None:
    one, two = (estimate_group(plan_of(BIG), [BIG] * n, "quick") for n in (1, 2))
    assert one.launch_s == two.launch_s
    assert two.suites.seconds == 2 * one.suites.seconds


def test_a_deeper_run_asks_longer() -> None:
    plan = plan_of(BIG)
    quick, release = (estimate_group(plan, [BIG], d).suites.seconds for d in (DEPTHS[0], DEPTHS[-1]))
    assert release > quick
    assert count_suites(plan, "quick") >= 5
