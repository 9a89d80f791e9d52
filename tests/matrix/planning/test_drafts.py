"""Drafts of their own: which is loaded beside which target, and why a cell may have none."""

from __future__ import annotations

import pytest

from matrix.judging.proof import mtp
from matrix.model import Cell
from matrix.planning.drafts import find_draft
from matrix.planning.expand import expand_matrix, find_cell, list_exclusions
from matrix.planning.fit import DRAFT_BYTES, fit_of_plan
from matrix.planning.plan import make_plan
from matrix.preflight.plans import judge_plan
from matrix.yaml.load import load_matrix

RUN = {
    "sm90x8.vllm_0_33_0.glm52_fp8.dspark": ("dspark", "RedHatAI/GLM-5.2-speculator.dspark"),
    "sm90x8.vllm_0_26_0.glm51_fp8.eagle3": ("eagle3", "AQ-MedAI/GLM-5.1-eagle3"),
    "sm90x8.sglang_0_5_23.glm51_fp8.eagle3": ("EAGLE3", "AQ-MedAI/GLM-5.1-eagle3"),
    "sm90x8.sglang_0_5_23.glm52_fp8.dflash": ("DFLASH", "SubconsciousDev/glm-5.2-fp8-dflash-v1"),
    "sm90x8.sglang_0_5_23.glm53_fp8.dflash2": ("DFLASH", "incoai/GLM-5.3-DFlash2"),
    "sm120x4.vllm_0_33_0.glm53flash_nvfp4_nvidia.dflash2": ("dflash", "incoai/GLM-5.3-Flash-DFlash2"),
}
REFUSED = {
    "sm90x8.sglang_0_5_23.glm52_fp8.dspark": "draft_is_for_another_engine",
    "sm90x8.vllm_0_33_0.glm52_fp8.dflash": "draft_is_for_another_engine",
    "sm90x8.vllm_0_33_0.glm5_fp8.eagle3": "no_draft_published",
    "sm90x8.vllm_0_33_0.deepseek_v32_fp8.dspark": "no_draft_published",
    "sm90x8.vllm_0_33_0.glm52_fp8.dflash2": "no_draft_published",
    "sm90x8.sglang_0_5_17.glm53_fp8.dflash2": "feature_in_release",
    "sm90x8.vllm_0_26_0.glm53_fp8.dflash2": "feature_in_release",
}


def find(cell_id: str) -> Cell:
    cell = find_cell(load_matrix(), cell_id)
    assert cell is not None, cell_id
    return cell


@pytest.mark.parametrize(("cell_id", "asked"), RUN.items())
def test_a_published_draft_is_asked_in_words_that_the_release_accepts(cell_id: str, asked: tuple[str, str]) -> None:
    cell = find(cell_id)
    assert not list_exclusions(load_matrix(), cell)
    plan = make_plan(load_matrix(), cell)
    words = " ".join(plan.arguments())
    assert all(part in words for part in asked) and "{draft}" not in words
    assert plan.settings["draft"] == asked[1]
    assert judge_plan(plan).verdict == "accept"


def test_a_draft_is_loaded_at_its_commit_where_one_is_known() -> None:
    commit = "425aa615ce320caac34400208b30808c8f14f76c"
    known = make_plan(load_matrix(), find("sm90x8.sglang_0_5_23.glm53_fp8.dflash2"))
    assert known.settings["draft_revision"] == commit
    assert f"--speculative-draft-model-revision {commit}" in " ".join(known.arguments())
    for cell_id in ("sm90x8.sglang_0_5_23.glm51_fp8.eagle3", "sm90x8.vllm_0_26_0.glm51_fp8.eagle3"):
        unknown = make_plan(load_matrix(), find(cell_id))
        assert unknown.settings.get("draft_revision") is None
        assert "revision" not in " ".join(unknown.arguments())


@pytest.mark.parametrize(("cell_id", "rule"), REFUSED.items())
def test_a_draft_that_cannot_be_had_is_refused_with_its_reason(cell_id: str, rule: str) -> None:
    found = list_exclusions(load_matrix(), find(cell_id))
    assert found[0].rule == rule and found[0].source


def test_no_selection_asks_for_a_draft_and_no_canary_can_be_asked() -> None:
    matrix = load_matrix()
    drafts = {f.id for f in matrix.features.values() if f.draft}
    assert drafts == mtp.OTHER_DRAFTS
    assert not any(cell.features & drafts for cell in expand_matrix(matrix).runnable)
    assert find_cell(matrix, "sm90x1.vllm_0_33_0.canary_bf16.eagle3") is None
    assert find_draft(matrix, find("sm90x8.vllm_0_33_0.glm52_fp8.mtp")) is None


def test_room_is_left_for_the_draft() -> None:
    sizes = [
        fit_of_plan(make_plan(load_matrix(), find(f"sm90x8.vllm_0_33_0.glm52_fp8.{feature}")))
        for feature in ("baseline", "dspark")
    ]
    assert sizes[0] and sizes[1]
    assert sizes[1].rank.reserved_bytes - sizes[0].rank.reserved_bytes == DRAFT_BYTES
