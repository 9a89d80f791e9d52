"""A launch is derived over exactly one axis; published launches are the golden command lines."""

from __future__ import annotations

import pytest

from matrix.planning.expand import expand_matrix
from matrix.recommending.provenance import gather_history, judge_provenance
from matrix.recommending.ran import read_ran
from matrix.yaml.load import load_matrix
from tests.golden.command import HERE, Golden

MATRIX = load_matrix()
HISTORY = gather_history(MATRIX, read_ran())
CELLS = {c.id: c for c in expand_matrix(MATRIX).runnable}


@pytest.mark.parametrize(
    ("name", "level", "why"),
    [
        ("sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline", "published", "published with numbers"),
        ("sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.mtp", "published", "published with numbers"),
        ("sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.chunked_prefill", "derived", "with chunked_prefill; "),
        ("sm120x4.sglang_0_5_10_post1.glm51_555b_nvfp4.baseline", "derived", "glm51_555b_nvfp4 in place of "),
        ("sm120x8.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline", "derived", "on 8 x "),
        ("sm120x8.sglang_0_5_10_post1.glm5_nvfp4_lukealonso.baseline", "published", "published, without numbers"),
        ("sm120x4.sglang_0_5_23.glm51_478b_nvfp4.baseline", "expected", "nobody is known"),
        ("sm90x1_h100.sglang_0_5_17.canary_bf16.baseline", "ran", "26 PASS on 2 x NVIDIA H100"),
        ("sm90x1.sglang_0_5_17.canary_bf16.baseline", "ran", "26 PASS, 2 not asked on 2 x NVIDIA H200"),
        ("sm90x1_h100.sglang_0_5_17.canary_bf16.cuda_graphs_full", "derived", "otherwise as run here"),
        ("sm90x8.sglang_0_5_17.glm51_478b_nvfp4.baseline", "expected", "nobody is known"),
    ],
)
def test_provenance(name: str, level: str, why: str) -> None:
    if name not in CELLS:
        pytest.skip(f"{name} is not runnable today")
    found = judge_provenance(MATRIX, CELLS[name], HISTORY)
    assert found.level == level and why in found.why and found.source


def test_the_published_launches_are_the_golden_ones() -> None:
    golden = {Golden.read(path).header["cell"][0] for path in HERE.glob("*.sh")}
    listed = {
        ".".join(
            [
                *(p.value.when[k] for k in ("rig", "release", "checkpoint")),
                "_".join(sorted(p.value.features)) or "baseline",
            ]
        )
        for p in MATRIX.published
    }
    assert listed == golden
