"""Layouts: what divides, where a stage begins, and that no layout doubles the matrix."""

from __future__ import annotations

from dataclasses import replace

import pytest

from matrix.model import Cell
from matrix.planning.expand import expand_matrix, find_cell, list_exclusions
from matrix.planning.feature_sets import list_sets
from matrix.planning.plan import make_plan
from matrix.planning.ranks import list_stages, read_ranks
from matrix.preflight.plans import judge_plan
from matrix.preflight.snapshot import snapshot_for
from matrix.yaml.load import load_matrix

ELSEWHERE = {
    "eager",
    "selection_readout",
    "eagle3",
    "dflash",
    "dflash2",
    "dspark",
}  # what a canary of vLLM is not asked
VARIANTS = sorted(f.id for f in load_matrix().features.values() if f.varies)


def find(cell_id: str) -> Cell:
    cell = find_cell(load_matrix(), cell_id)
    assert cell is not None, cell_id
    return cell


@pytest.mark.parametrize(
    ("cell_id", "rules"),
    [
        ("sm90x2.vllm_0_26_0.canary_bf16.pipeline_parallel", []),
        ("sm90x2.vllm_0_26_0.canary_bf16.indexcache_pipeline_parallel", ["stage_begins_with_a_sharing_layer"]),
        ("sm90x2.vllm_0_26_0.canary_fsfs.indexcache_pipeline_parallel", []),
        ("sm90x2.sglang_0_5_17.canary_bf16.indexcache_pipeline_parallel", []),
        ("sm90x8.vllm_0_33_0.glm52_fp8.pipeline_parallel", ["stage_begins_with_a_sharing_layer"]),
        ("sm90x8.vllm_0_33_0.glm5_fp8.pipeline_parallel", []),
        ("sm90x1.vllm_0_33_0.canary_bf16.expert_parallel", ["ranks_need_gpus"]),
        ("sm90x2.vllm_0_33_0.canary_bf16.decode_context_parallel_4", ["ranks_need_gpus"]),
        ("sm90x2.vllm_0_26_0.canary_bf16.decode_context_parallel", ["vllm_dcp_hopper_without_lse"]),
        ("sm90x2.vllm_0_33_0.canary_bf16.decode_context_parallel", []),
        ("sm90x2.sglang_0_5_17.canary_bf16.decode_context_parallel", ["sglang_dcp_is_trtllm", "feature_in_release"]),
        ("sm103x8.vllm_0_33_0.glm52_nvfp4_nvidia.decode_context_parallel_4", []),
        ("sm90x8.vllm_0_33_0.glm51_fp8.prefill_context_parallel", []),
        ("sm90x8.vllm_0_33_0.glm51_fp8.mtp_prefill_context_parallel", []),
        ("sm90x8.vllm_0_26_0.glm51_fp8.mtp_prefill_context_parallel", ["vllm_prefill_split_without_drafts"]),
        ("sm90x8.vllm_0_33_0.glm53flash_fp8.prefill_context_parallel", ["vllm_prefill_split_of_text_models"]),
        ("sm90x8.sglang_0_5_23.glm53flash_fp8.prefill_context_parallel", []),
        (
            "sm90x8.sglang_0_5_10_post1.glm51_fp8.prefill_context_parallel",
            ["sglang_prefill_split_by_another_name", "feature_in_release"],
        ),
        ("sm90x1.vllm_0_33_0.canary_bf16.prefill_context_parallel", ["ranks_need_gpus"]),
    ],
)
def test_a_layout_is_refused_before_launch_where_it_cannot_be(cell_id: str, rules: list[str]) -> None:
    assert [e.rule for e in list_exclusions(load_matrix(), find(cell_id))] == rules


@pytest.mark.parametrize(
    ("layers", "stages", "dialect", "sizes"),
    [
        (4, 2, "vllm", [2, 2]),
        (78, 4, "vllm", [19, 20, 20, 19]),
        (78, 4, "sglang", [19, 19, 20, 20]),
    ],
)
def test_layers_are_dealt_as_the_engine_deals_them(layers: int, stages: int, dialect: str, sizes: list[int]) -> None:
    assert list_stages(layers, stages, dialect) == sizes


@pytest.mark.parametrize(
    ("cell_id", "words"),
    [
        ("sm90x2.vllm_0_33_0.canary_bf16.dp_attention", "--tensor-parallel-size 1 --data-parallel-size 2"),
        ("sm90x2.sglang_0_5_17.canary_bf16.dp_attention", "--tensor-parallel-size 2 --enable-dp-attention --dp-size 2"),
        ("sm90x2.sglang_0_5_23.canary_bf16.dp_attention", "--tensor-parallel-size 2 --attn-dp-size 2"),
        ("sm90x2.vllm_0_33_0.canary_bf16.pipeline_parallel", "--tensor-parallel-size 1 --pipeline-parallel-size 2"),
        ("sm90x8.sglang_0_5_23.glm5_fp8.pipeline_parallel", "--tensor-parallel-size 4 --pp-size 2"),
        ("sm90x2.sglang_0_5_23.canary_bf16.expert_parallel", "--tensor-parallel-size 2 --ep-size 2"),
        (
            "sm90x2.vllm_0_33_0.canary_bf16.decode_context_parallel",
            "--tensor-parallel-size 2 --decode-context-parallel-size 2",
        ),
        (
            "sm90x8.vllm_0_33_0.glm51_fp8.prefill_context_parallel",
            "--tensor-parallel-size 1 --prefill-context-parallel-size 8",
        ),
        (
            "sm90x8.sglang_0_5_17.glm51_fp8.prefill_context_parallel",
            "--tensor-parallel-size 8 --enable-prefill-cp --cp-strategy interleave",
        ),
        ("sm90x8.sglang_0_5_23.glm53flash_fp8.prefill_context_parallel", "--attn-cp-size 8"),
    ],
)
def test_ranks_come_to_the_flags_of_the_release(cell_id: str, words: str) -> None:
    argv = make_plan(load_matrix(), find(cell_id)).arguments()
    wanted = words.split()
    at = [argv.index(w) for w in wanted if w.startswith("--")]
    values = [argv[i + 1] for i in at if not argv[i + 1].startswith("--")]
    assert values == [w for w in wanted if not w.startswith("--")]


def test_a_variant_stands_alone_or_with_one_partner() -> None:
    matrix = load_matrix()
    base = find("sm90x2.vllm_0_33_0.canary_bf16.baseline")
    sets = [s for s in list_sets(matrix, base, by_default=False) if s & set(VARIANTS)]
    assert len(sets) == sum(1 + len(matrix.features[name].partners) for name in VARIANTS if name not in ELSEWHERE)
    assert all(len(s & set(VARIANTS)) == 1 and len(s) <= 2 for s in sets)


def test_a_selection_asks_variants_of_few_cells_and_an_id_asks_them_of_any() -> None:
    cells = expand_matrix(load_matrix()).runnable
    chosen = [c for c in cells if c.features & set(VARIANTS)]
    assert 0 < len(chosen) < len(cells) / 20
    assert {c.rig.sm for c in chosen} == {90} and all(c.checkpoint.canary for c in chosen)


def test_a_release_has_the_flags_of_each_variant_that_it_claims() -> None:
    matrix = load_matrix()
    lacking = [
        f"{release.id}: {flag}"
        for release in matrix.releases.values()
        if (read := snapshot_for(release.id)) is not None and read.complete
        for name in VARIANTS
        if release.features.get(name)
        for flag in matrix.features[name].flags[release.engine]
        if not any(flag in known.options for known in read.flags)
    ]
    assert not lacking


def test_half_of_the_experts_are_for_half_of_the_ranks() -> None:
    ranks = read_ranks(load_matrix(), find("sm90x8.sglang_0_5_23.glm5_fp8.dp_attention"))
    assert (ranks.tp, ranks.attention_tp, ranks.dp, ranks.ep) == (8, 1, 8, 1)


def test_a_release_accepts_each_variant_and_is_told_no_flag_twice() -> None:
    """0.5.17 takes --disable-piecewise-cuda-graph for --cuda-graph-backend-prefill: the last of the two counted."""
    matrix = load_matrix()
    once = {(c.release.id, c.features): c for c in expand_matrix(matrix).runnable if c.features & set(VARIANTS)}
    reports = {cell.id: judge_plan(make_plan(matrix, cell)) for cell in once.values()}
    wrong = {i: r.verdict for i, r in reports.items() if r.verdict != "accept" or "repeated" in r.kinds("warning")}
    assert not wrong


def test_a_variant_is_a_launch_of_its_own() -> None:
    """Otherwise no recipe asks for it, and its cell would be the baseline under another name."""
    matrix = load_matrix()
    once = {(c.release.id, c.features): c for c in expand_matrix(matrix).runnable if c.features & set(VARIANTS)}
    plain = {i: replace(c, features=c.features - set(VARIANTS)) for i, c in once.items()}
    alike = [
        c.id for i, c in once.items() if make_plan(matrix, c).arguments() == make_plan(matrix, plain[i]).arguments()
    ]
    assert once and not alike
