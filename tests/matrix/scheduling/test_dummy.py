"""Plans with weights that the engine makes up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from matrix.scheduling.dummy import with_dummy_weights
from tests.matrix.scheduling.world import BIG, plan_of


@pytest.mark.parametrize("big", [BIG, "sm90x8.vllm_0_33_0.glm51_fp8.baseline"])
def test_the_plan_reads_no_weights_and_is_another_launch(big: str) -> None:
    plan = plan_of(big)
    dummy = with_dummy_weights(plan)
    assert dummy is not None
    assert [*plan.arguments(), "--load-format", "dummy"] == dummy.arguments()
    assert dummy.fingerprint != plan.fingerprint


def test_an_engine_that_is_not_known_to_have_it_gets_none() -> None:
    assert with_dummy_weights(plan_of("cpu.llamacpp_2026_10_11549.canary_bf16.baseline")) is None


def test_a_plan_that_chooses_a_loader_keeps_it() -> None:
    dummy = with_dummy_weights(plan_of(BIG))
    assert dummy is not None
    flag = dummy.sections["args"][-1]
    chosen = replace(dummy, sections={**dummy.sections, "args": (replace(flag, value="fastsafetensors"),)})
    assert with_dummy_weights(chosen) is None
