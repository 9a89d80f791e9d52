"""Published rows speak of a launch only under its own features, settings and flags."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, make_plan
from matrix.recommending.numbers import list_numbers, speaks_of
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()


def plan_of(feature: str) -> Plan:
    cell_id = f"sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.{feature}"
    return make_plan(MATRIX, next(c for c in expand_matrix(MATRIX).runnable if c.id == cell_id))


@pytest.mark.parametrize(
    ("conditions", "speaks"),
    [
        ({}, True),
        ({"prompt": "short", "concurrency": 1}, True),
        ({"mtp": False}, True),
        ({"mtp": True}, False),
        ({"indexcache": True}, False),
        ({"kv_splits": 64}, True),
        ({"kv_splits": 8}, False),
        ({"page_tokens": 128}, True),
        ({"page_tokens": 64}, False),
    ],
)
def test_a_row_speaks_of_its_own_launch(conditions: dict[str, Any], speaks: bool) -> None:
    assert speaks_of(MATRIX, plan_of("baseline"), conditions) is speaks


def test_speeds_are_those_of_this_launch_and_undisputed_first() -> None:
    baseline = [n for n in list_numbers(MATRIX, plan_of("baseline")) if n.about == "speed"]
    assert [(n.value, n.conditions["context_tokens"], n.disputed) for n in baseline] == [
        (41.8, 4096, ""),
        (22.4, 150000, ""),
    ]
    [mtp] = [n for n in list_numbers(MATRIX, plan_of("mtp")) if n.about == "speed"]
    assert mtp.value == 90 and "acceptance length" in mtp.disputed


def test_memory_is_published_or_arithmetic_and_says_which() -> None:
    found = {(n.what, n.basis): n for n in list_numbers(MATRIX, plan_of("baseline")) if n.about == "memory"}
    assert found["weights per GPU", "published"].value == 77.2
    assert found["weights per GPU", "arithmetic"].value == pytest.approx(71.2, abs=0.1)
    assert "dense_fp8" in found["KV cache per GPU at the window", "arithmetic"].detail
