"""Recorded launches stand nearer to the right reference than any tolerance, and to a wrong one farther."""

from __future__ import annotations

import pytest

from lab.references import tolerances
from matrix.checkout import CHECKOUT

TWO_GPUS = CHECKOUT / "docs/evidence/sm90-h100/two-gpus.jsonl"


def test_a_healthy_launch_is_near_what_it_was_asked_for_and_far_from_destroyed_needles() -> None:
    found = list(tolerances.list_agreements([TWO_GPUS]))
    assert {a.cell.id for a in found} == {"sm90x2_h100.vllm_0_26_0.canary_bf16.baseline"}
    (long,) = (a for a in found if "canary_bf16 FSFS" in a.wrong)
    assert long.right.mean < 5e-7 < long.wrong["canary_bf16 FSFS"].mean
    assert "canary_bf16 FFFF" not in long.wrong, "what it was asked for is the right one"


def test_each_prompt_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert tolerances.main([str(TWO_GPUS)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("| bf16, dsa_bf16 |" in line and "15 positions" in line for line in lines)
