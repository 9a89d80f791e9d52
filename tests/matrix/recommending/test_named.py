"""Checkpoints as people name them: ids, globs, repositories and words."""

from __future__ import annotations

import pytest

from matrix.recommending.named import find_checkpoints, suggest_checkpoint
from matrix.yaml.load import load_matrix

KNOWN = load_matrix().checkpoints.values()
GLM51_NVFP4 = {c.id for c in KNOWN if c.family == "glm51" and c.format == "nvfp4"}


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("glm51_fp8", {"glm51_fp8"}),
        ("glm51_478b*", {"glm51_478b_nvfp4"}),
        ("GLM-5.1 NVFP4", GLM51_NVFP4),
        ("glm 5.1 nvfp4 478B", {"glm51_478b_nvfp4"}),
        ("zai-org/GLM-5.1-FP8", {"glm51_fp8"}),
        ("ZAI-org/glm-5.1-fp8 ", {"glm51_fp8"}),
        ("GLM-5.2-NVFP4-REAP-469B", {"glm52_469b_nvfp4"}),
    ],
)
def test_what_people_write_means_what_they_mean(words: str, ids: set[str]) -> None:
    assert find_checkpoints(words, KNOWN) == ids and ids


@pytest.mark.parametrize(
    "words", ["zai-org/GLM-5.1", "somebody/GLM-5.1-FP8", "GLM-6", "", "  ", "/", "_", "GLM-5.1 int3"]
)
def test_what_is_on_no_axis_means_nothing(words: str) -> None:
    """Of another owner, or of another format, the weights are others: the nearest is named and not taken."""
    assert find_checkpoints(words, KNOWN) == frozenset()


def test_every_repository_means_its_own_checkpoints_alone() -> None:
    for one in KNOWN:
        if one.repository:
            assert find_checkpoints(one.repository, KNOWN) == {c.id for c in KNOWN if c.repository == one.repository}


def test_the_nearest_of_a_repository_is_a_repository() -> None:
    assert "'zai-org/GLM-5.1-FP8'" in suggest_checkpoint("zai-org/GLM-5.1", KNOWN)
