from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from matrix.checkout import CHECKOUT
from matrix.model import Excluded
from matrix.planning.expand import expand_matrix, find_cell, list_attachable, list_exclusions
from matrix.planning.plan import make_plan
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix
from tests.matrix.world import FILES, write


def test_every_combination_is_runnable_or_excluded_and_none_is_lost(tmp_path: Path) -> None:
    matrix = load_matrix(write(tmp_path))
    world = expand_matrix(matrix)
    combinations = len(matrix.rigs) * len(matrix.releases) * len(matrix.checkpoints) * 2 ** len(matrix.features)
    assert len(world) == combinations
    assert not set(world.runnable) & set(world.excluded)


def test_each_exclusion_carries_its_rule(tmp_path: Path) -> None:
    world = expand_matrix(load_matrix(write(tmp_path)))
    why = {c.id: e for c, e in world.excluded.items()}
    assert why["cpu.toy_1.small.mtp"].rule == "no_mtp_on_cpu"
    assert why["cpu.toy_1.small.mtp"].where == "rules.yaml:2"
    assert why["sm120x3.toy_1.small.baseline"].rule == "tensor_parallel_divides_heads"
    assert why["sm120x4.toy_2.small.indexcache"].rule == "feature_in_release"


def test_why_not_gives_every_reason_not_only_the_first(tmp_path: Path) -> None:
    matrix = load_matrix(write(tmp_path))
    cell = next(c for c in expand_matrix(matrix).excluded if c.id == "cpu.toy_2.small.indexcache_mtp")
    assert [e.rule for e in list_exclusions(matrix, cell)] == ["no_mtp_on_cpu", "feature_in_release"]


def test_weights_that_do_not_fit_are_excluded_with_the_sum(tmp_path: Path) -> None:
    text = FILES["axes/checkpoints/small.yaml"].replace("size_bytes: 1000", "size_bytes: 99_000_000_000")
    world = expand_matrix(load_matrix(write(tmp_path, {"axes/checkpoints/small.yaml": text})))
    why = next(e for c, e in world.excluded.items() if c.id == "sm120x1.toy_1.small.baseline")
    assert why.rule == "does_not_fit" and "weights 92.2 GiB per rank" in why.reason
    assert "sm120x4.toy_1.small.baseline" in {c.id for c in world.runnable}


def test_a_format_names_the_gpus_that_can_load_it(tmp_path: Path) -> None:
    text = FILES["axes/checkpoints/small.yaml"].replace("format: bf16", "format: fp8")
    world = expand_matrix(load_matrix(write(tmp_path, {"axes/checkpoints/small.yaml": text})))
    why = next(e for c, e in world.excluded.items() if c.id == "sm120x4.toy_1.small.baseline")
    assert (why.status, why.reason) == ("INVALID_HW", "toy_1 loads fp8 weights on sm90, not on sm120")


def sparse_release(tmp_path: Path, dsa_sms: str = "[90, 100]", recipe: str = "") -> Matrix:
    """Return the real axes and one more release of SGLang, which has no kernels for sparse attention on SM120."""
    root = tmp_path / "matrix"
    shutil.copytree(CHECKOUT / "matrix", root, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    text = (root / "axes/engines/sglang/sglang_0_5_17.yaml").read_text(encoding="utf-8")
    text = text.replace("0_5_17", "0_5_12").replace("0.5.17", "0.5.12")
    text = re.sub(r"^dsa_sms: .*$", f"dsa_sms: {dsa_sms}", text, flags=re.MULTILINE)
    (root / "axes/engines/sglang/sglang_0_5_12.yaml").write_text(text, encoding="utf-8")
    if recipe:
        (root / "recipes/named.yaml").write_text(recipe, encoding="utf-8")
    return load_matrix(root)


def reasons(matrix: Matrix, cell_id: str) -> list[Excluded]:
    cell = find_cell(matrix, cell_id)
    assert cell is not None, cell_id
    return list_exclusions(matrix, cell)


SM120 = "sm120x8.sglang_0_5_12.glm51_nvfp4_lukealonso.baseline"


def test_sparse_attention_without_kernels_is_excluded_and_dsa_sms_is_named(tmp_path: Path) -> None:
    found = reasons(sparse_release(tmp_path), SM120)
    assert [e.rule for e in found] == ["sparse_kernels_on_sm"]
    assert "DSA" in found[0].reason and "sm120" in found[0].reason and "dsa_sms" in found[0].reason


def test_the_same_release_runs_where_it_has_the_kernels(tmp_path: Path) -> None:
    matrix = sparse_release(tmp_path)
    assert not reasons(matrix, SM120.replace("sm120x8", "sm100x8"))
    assert not reasons(sparse_release(tmp_path / "all", "[90, 100, 120]"), SM120)


def test_a_launch_that_names_a_dense_backend_asks_for_no_sparse_kernels(tmp_path: Path) -> None:
    recipe = """
overlays:
  - id: dense_exit
    why: a test
    source: a test
    when: {release: sglang_0_5_12, sm: 120, gpus: 8, engine: sglang, fork: false}
    args: {--attention-backend: BACKEND}
"""
    assert not reasons(sparse_release(tmp_path / "a", recipe=recipe.replace("BACKEND", "triton")), SM120)
    assert reasons(sparse_release(tmp_path / "b", recipe=recipe.replace("BACKEND", "dsa")), SM120)


def test_a_parser_that_the_snapshot_lacks_excludes_the_family_that_needs_it(tmp_path: Path) -> None:
    family = "{architecture: Glm, parsers: {toy: {tool_call: glm47, reasoning: glm45}}}"
    text = FILES["axes/families/canary.yaml"].replace("{architecture: Glm}", family)
    root = write(tmp_path, {"axes/families/canary.yaml": text})
    held = {"registered": {"Glm": "toy.models"}, "parsers": {"tool_call": "glm45 glm47", "reasoning": "qwen3"}}
    (root / "snapshots").mkdir()
    (root / "snapshots" / "toy_1.json").write_text(json.dumps(held), encoding="utf-8")
    found = reasons(load_matrix(root), "sm120x4.toy_1.small.baseline")
    assert [e.rule for e in found] == ["parser_in_release"]
    assert "no reasoning parser glm45, which canary needs" in found[0].reason


NEW_FORMS = {
    "sm90x8.sglang_0_5_17.glm53flash_fp8.baseline": "architecture_registered",
    "sm90x8.vllm_0_26_0.glm53flash_fp8.baseline": "architecture_registered",
    "sm100x8.trtllm_1_3_0rc26.glm53flash_fp8.baseline": "architecture_registered",
    "sm90x8.vllm_0_33_0.glm52_fp8.indexcache": "nothing_to_share",
    "sm90x8.vllm_0_33_0.glm53_fp8.indexcache_mtp": "nothing_to_share",
    "sm90x8.vllm_0_33_0.deepseek_v32_fp8.indexcache": "nothing_to_share",
    "sm90x8.sglang_0_5_10_post1.glm52_fp8.baseline": "sglang_reads_no_offset_of_sharing",
    "sm100x8.vllm_0_26_0.glm52_mxfp4_amd.baseline": "vllm_emulates_mxfp4",
    "sm120x4.sglang_0_5_23.glm53flash_nvfp4_spark.baseline": "sglang_flash_on_sm12x",
    "sm120x8.sglang_0_5_23.deepseek_v32_fp8.baseline": "sglang_v32_on_sm120",
    "sm120x8.vllm_0_33_0.glm53_fp8.baseline": "fp8_256_experts_on_8x96gb",
}


@pytest.mark.parametrize(("cell_id", "rule"), NEW_FORMS.items())
def test_the_forms_of_this_year_are_excluded_by_the_fact_that_decides(cell_id: str, rule: str) -> None:
    assert reasons(load_matrix(), cell_id)[0].rule == rule


def test_an_image_runs_only_the_checkpoints_that_it_was_published_for() -> None:
    cells = [c for c in expand_matrix(load_matrix()).runnable if c.release.fork]
    assert {(c.release.id, c.checkpoint.id) for c in cells} == {
        ("sglang_fork_003", "glm51_nvfp4_lukealonso"),
        ("vllm_fork_003", "glm51_nvfp4_mtp_lukealonso"),
    }


def test_a_family_that_always_thinks_is_planned_so() -> None:
    found = find_cell(load_matrix(), "sm90x8.vllm_0_33_0.glm53_fp8.mtp")
    assert found is not None and not list_exclusions(load_matrix(), found)
    assert make_plan(load_matrix(), found).settings["thinking"] is True


SIBLINGS = {  # a GPU of a family is not the family's first: machine code says which of them a wheel serves
    "sm103x8.sglang_0_5_10_post1.glm5_fp8.baseline": ["machine_code_on_sm"],  # sm_100a
    "sm103x8.sglang_0_5_17.glm52_nvfp4_nvidia.baseline": [],  # sm_100a and sm_103a
    "sm103x4_gb300.vllm_0_33_0.glm52_nvfp4_nvidia.baseline": [],  # sm_100f
    "sm103x8.trtllm_1_3_0rc26.glm5_fp8.baseline": ["format_on_sm", "sparse_kernels_on_sm"],  # no wheel was read
    "sm121x1.sglang_0_5_23.canary_bf16.baseline": [],  # sm_121a in the wheel for aarch64
    "sm121x1.vllm_0_26_0.canary_bf16.baseline": ["vllm_0_26_0_on_sm120", "sparse_kernels_on_sm"],
    "sm121x2.vllm_0_33_0.glm53flash_nvfp4_spark.baseline": ["attach_only"],
    "sm120x6.vllm_0_33_0.glm52_504b_nvfp4.baseline": ["tensor_parallel_divides_heads"],
    "gfx950x8.vllm_0_33_0.glm52_mxfp4_amd.baseline": ["attach_only"],
}


@pytest.mark.parametrize(("cell_id", "rules"), SIBLINGS.items())
def test_a_sibling_gpu_is_judged_by_the_machine_code_of_its_own_wheels(cell_id: str, rules: list[str]) -> None:
    assert [e.rule for e in reasons(load_matrix(), cell_id)] == rules


def test_what_is_only_attached_to_is_offered_where_nothing_else_speaks_against_it() -> None:
    offered = {c.rig.id for c in list_attachable(load_matrix())}
    assert offered == {"sm121x2", "gfx942x8", "gfx950x8"}
    assert not offered & {c.rig.id for c in expand_matrix(load_matrix()).runnable}
