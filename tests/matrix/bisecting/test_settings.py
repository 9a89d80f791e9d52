"""A launch falls into units, and is put together again from any of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from matrix.bisecting.settings import list_units, write_recipe
from matrix.planning.plan import Plan, make_plan
from matrix.upgrading.of_cells import find_cell
from matrix.yaml.load import load_matrix

PATCHED = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.indexcache"
DRAFTING = "sm120x4.sglang_0_5_17.glm51_478b_nvfp4.mtp"


def plans(cell_id: str) -> tuple[Plan, Plan]:
    matrix = load_matrix()
    cell = find_cell(matrix, cell_id)
    return make_plan(matrix, cell), make_plan(matrix, replace(cell, features=frozenset()))


def test_units_are_what_differs_from_the_baseline() -> None:
    plan, baseline = plans(DRAFTING)
    assert [str(u) for u in list_units(plan, baseline)] == [
        "--speculative-algorithm NEXTN",
        "--speculative-num-steps 3",
        "--speculative-eagle-topk 1",
        "--speculative-num-draft-tokens 4",
    ]
    assert list_units(plan, plan) == ()


@pytest.mark.parametrize("cell_id", [PATCHED, DRAFTING, "cpu.llamacpp_2026_10_11549.canary_bf16.chunked_prefill"])
def test_the_launch_without_its_units_is_the_baseline_and_with_them_the_launch(cell_id: str) -> None:
    plan, baseline = plans(cell_id)
    units = list_units(plan, baseline)
    for section in ("args", "env", "config", "patches"):
        assert write_recipe(plan).get(section) == write_recipe(plan, ()).get(section)
        without, base = (_flat(write_recipe(p, u).get(section, {})) for p, u in ((plan, units), (baseline, ())))
        assert without == base


def _flat(section: object) -> object:
    return sorted(section) if isinstance(section, list) else section


def test_without_a_baseline_every_setting_that_a_launch_need_not_have_is_a_unit() -> None:
    plan, _ = plans(PATCHED)
    units = list_units(plan, None)
    bare = write_recipe(plan, units, {"environment": "/opt/x"})
    assert all("{" in str(value) for value in bare["args"].values()) and "env" not in bare and "patches" not in bare
    assert bare["launcher"]["environment"] == "/opt/x" and bare["settings"]
    assert any(str(u).startswith("patch ") for u in units)
