"""Launch groups: one for each fingerprint, behind cheaper launches that would show that it cannot work."""

from __future__ import annotations

from dataclasses import replace

import pytest

from matrix.planning.plan import Plan, make_plan
from matrix.preflight.plans import judge_plan
from matrix.preflight.verdict import PreflightReport, Remark
from matrix.scheduling.groups import DUMMY_OPTION, GroupingRequest, LaunchGroup, Tier, group_cells
from matrix.yaml.load import load_matrix
from tests.matrix.scheduling.world import BIG, CANARY, grouped_478b, list_cells, plan_of


def of_tier(tier: Tier) -> list[LaunchGroup]:
    return [g for g in grouped_478b().groups if g.tier == tier]


def test_cells_of_one_fingerprint_are_one_group_of_its_name() -> None:
    cells = list_cells("sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4")
    launches = {make_plan(load_matrix(), c).fingerprint for c in cells}
    full = of_tier("full")
    assert {g.id for g in full} == launches
    assert sorted(c for g in full for c in g.cells) == sorted(c.id for c in cells)
    assert len(launches) < len(cells)


def test_a_big_checkpoint_is_loaded_behind_its_canary_and_a_dummy() -> None:
    by_id = {g.id: g for g in grouped_478b().groups}
    full = by_id[plan_of(BIG).fingerprint]
    dummy = by_id[full.needs[0]]
    canary = by_id[dummy.needs[0]]
    assert [full.tier, dummy.tier, canary.tier] == ["full", "dummy", "canary"]
    assert (dummy.model_bytes, dummy.options, dummy.cells) == (0, (DUMMY_OPTION,), (BIG,))
    assert canary.cells == (CANARY,)
    assert not canary.needs
    assert full.asked
    assert not canary.asked
    assert not dummy.asked
    assert canary.estimate_s < dummy.estimate_s < full.estimate_s


def test_a_group_says_what_a_back_end_needs() -> None:
    full = next(g for g in of_tier("full") if BIG in g.cells)
    assert (full.rig, full.gpus, full.sm, full.gpu) == ("sm120x4", 4, 120, "rtx_pro_6000_96gb")
    assert full.requirement.startswith("sglang")
    assert full.launcher == "venv"
    assert full.model.startswith("0xSero/GLM-5.1-478B-NVFP4@531009d5")
    assert full.model_bytes == 306016419840
    assert full.pytest_words == ("--cells", *full.cells)


@pytest.mark.parametrize(
    ("tiers", "found"),
    [
        (("full",), {"full"}),
        (("canary", "full"), {"canary", "full"}),
        (("dummy",), {"dummy"}),
        (("canary",), {"canary"}),
    ],
)
def test_tiers_are_made_as_asked(tiers: tuple[Tier, ...], found: set[str]) -> None:
    cells = list_cells(BIG)
    made = group_cells(load_matrix(), cells, GroupingRequest(tiers=tiers))
    assert {g.tier for g in made.groups} == found
    names = {g.id for g in made.groups}
    assert all(n in names for g in made.groups for n in g.needs)


@pytest.mark.parametrize("turned", [False, True])
def test_a_chosen_canary_is_not_launched_twice(turned: bool) -> None:
    cells = [*list_cells(BIG), *list_cells(CANARY)]
    made = group_cells(load_matrix(), cells[::-1] if turned else cells)
    (canary,) = [g for g in made.groups if g.tier == "canary"]
    assert canary.asked


def test_what_preflight_rejects_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Remark(level="error", kind="unknown_flag", where="argv", subject="--x", message="--x is no flag")
    refused = plan_of(BIG).fingerprint

    def judge(plan: Plan) -> PreflightReport:
        report = judge_plan(plan)
        return replace(report, remarks=(said,)) if plan.fingerprint == refused else report

    monkeypatch.setattr("matrix.scheduling.groups.judge_plan", judge)
    made = group_cells(load_matrix(), list_cells("sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4"))
    (one,) = made.left_out
    assert BIG in one.cells
    assert (one.by, one.why) == ("static", "preflight rejects it: --x is no flag")
    assert all(BIG not in g.cells for g in made.groups)
