"""What fits into some hours."""

from __future__ import annotations

import pytest

from matrix.scheduling.budget import cut_to_budget
from matrix.scheduling.groups import Grouped
from matrix.scheduling.run_plan import make_run_plan
from tests.matrix.scheduling.world import grouped_478b, list_cells

CELLS = {c.id: c for c in list_cells("sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4")}


def measure_s(grouped: Grouped) -> float:
    return make_run_plan(grouped, {}, matrix_sha256="", depth="quick").makespan_s


def test_a_night_that_is_long_enough_loses_nothing() -> None:
    whole = grouped_478b()
    assert cut_to_budget(whole, CELLS, measure_s(whole), measure_s) == whole


@pytest.mark.parametrize("share", [0.6, 0.95])
def test_what_is_kept_fits_with_all_that_it_needs_and_the_rest_is_told(share: float) -> None:
    whole = grouped_478b()
    budget = measure_s(whole) * share
    cut = cut_to_budget(whole, CELLS, budget, measure_s)
    assert 0 < measure_s(cut) <= budget
    names = {g.id for g in cut.groups}
    assert all(n in names for g in cut.groups for n in g.needs)
    kept = {c for g in cut.groups if g.asked for c in g.cells}
    left = {c for one in cut.left_out for c in one.cells}
    assert kept | left == set(CELLS)
    assert not kept & left
    assert all(one.by == "budget" and "h are full" in one.why for one in cut.left_out)


def test_too_little_time_for_anything_leaves_everything_out() -> None:
    cut = cut_to_budget(grouped_478b(), CELLS, 1.0, measure_s)
    assert not cut.groups
    assert {c for one in cut.left_out for c in one.cells} == set(CELLS)
