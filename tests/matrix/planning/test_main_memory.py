"""What a plan pins, against what was seen: 64 GiB for the read-out of two million tokens of a canary."""

from __future__ import annotations

from dataclasses import replace

import pytest

from matrix.planning.main_memory import SELECTED, list_pinned, pin_capture, pin_host_tier
from matrix.planning.plan import Plan
from tests.matrix.planning.test_pool import plan_of

READOUT = "sm90x1.sglang_0_5_23.canary_bf16.selection_readout"
GIB = 2**30


def with_args(plan: Plan, **values: object) -> Plan:
    """Return the plan with other values of arguments it has."""
    args = tuple(replace(s, value=values[s.key]) if s.key in values else s for s in plan.sections["args"])
    return replace(plan, sections={**plan.sections, "args": args})


def test_the_readout_of_a_canary_takes_what_was_seen_and_our_recipe_a_sixteenth() -> None:
    (now,) = list_pinned(plan_of(READOUT))
    (before,) = list_pinned(with_args(plan_of(READOUT), **{"--max-total-tokens": 2_097_152}))
    assert (now.flag, now.total_bytes, before.total_bytes) == (SELECTED, 4 * GIB, 64 * GIB)
    assert "131,072 tokens x 4 layers x 2,048 x 4 bytes" in now.explain()


def test_a_big_checkpoint_takes_it_in_every_rank() -> None:
    found = pin_capture(SELECTED, tokens=500_000, layers=78, each=2048, ranks=8)
    assert found.each_bytes == 319_488_000_000 and found.total_bytes == 8 * found.each_bytes
    assert "in each of 8 ranks" in found.explain()


@pytest.mark.parametrize(
    ("cell_id", "pinned"),
    [
        ("sm90x1.sglang_0_5_23.canary_bf16.baseline", []),
        # 98,304 tokens, four times of 5,136 bytes
        ("sm90x1.sglang_0_5_23.canary_bf16.host_kv_tier", [("--enable-hierarchical-cache", 4 * 98_304 * 5136)]),
    ],
)
def test_host_tiers_are_counted(cell_id: str, pinned: list[tuple[str, int]]) -> None:
    assert [(p.flag, p.total_bytes) for p in list_pinned(plan_of(cell_id))] == pinned


def test_what_vllm_offloads_is_what_it_states() -> None:
    (found,) = list_pinned(plan_of("sm90x1.vllm_0_33_0.canary_bf16.host_kv_tier"))
    assert found.flag == "--kv-offloading-size" and found.ranks == 1 and found.total_bytes > 0


def test_a_share_of_an_unknown_pool_is_not_told() -> None:
    assert pin_host_tier(size_gb=0, ratio=2, tokens=None, row=5136, ranks=1) is None
    stated = pin_host_tier(size_gb=64, ratio=2, tokens=None, row=None, ranks=2)
    assert stated is not None and stated.total_bytes == 128 * 10**9
