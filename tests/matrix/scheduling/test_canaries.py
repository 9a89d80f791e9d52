"""Which canary goes before a big checkpoint."""

from __future__ import annotations

from dataclasses import replace

from matrix.condition import compile_condition
from matrix.scheduling.canaries import CanaryIndex
from matrix.yaml.load import load_matrix
from tests.matrix.scheduling.world import BIG, plan_of


def test_the_canary_has_the_gpu_release_and_features_of_the_big_one() -> None:
    index = CanaryIndex(load_matrix())
    for cell in (BIG, "sm90x8.vllm_0_33_0.glm51_fp8.mtp"):
        big = plan_of(cell)
        found = index.find(big)
        assert found is not None
        assert found.cell.checkpoint.canary
        assert found.cell.rig.gpu == big.cell.rig.gpu
        assert (found.cell.release, found.cell.features) == (big.cell.release, big.cell.features)


def test_a_canary_that_is_known_to_fail_stops_nothing() -> None:
    """Damaged on purpose, or broken in this release: its failure says nothing of the big checkpoint."""
    matrix = load_matrix()
    found = CanaryIndex(matrix).find(plan_of(BIG))
    assert found is not None
    entry = matrix.known_failures[0]
    always = replace(
        matrix,
        rigs={r: matrix.rigs[r] for r in ("sm120x1", "sm120x4")},
        known_failures=(replace(entry, condition=compile_condition({}, matrix.pins)),),
    )
    assert CanaryIndex(always).find(plan_of(BIG)) is None


def test_a_failure_that_only_deeper_questions_meet_leaves_the_canary_something_to_tell() -> None:
    matrix = load_matrix()
    entry = next(k for k in matrix.known_failures if k.value.fails.at == "test")
    index = []
    for test in ("test_obeys_a_logit_bias", "test_knows_facts"):  # asked from full on, and always
        known = replace(entry.value, fails=replace(entry.value.fails, test=test))
        index.append(
            CanaryIndex(
                replace(
                    matrix,
                    rigs={r: matrix.rigs[r] for r in ("sm120x1", "sm120x4")},
                    known_failures=(replace(entry, value=known, condition=compile_condition({}, matrix.pins)),),
                )
            ).find(plan_of(BIG))
        )
    deeper, always = index
    assert deeper is not None and always is None
