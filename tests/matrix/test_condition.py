from __future__ import annotations

import pytest
from packaging.version import Version

from matrix.condition import compile_condition
from matrix.hardware import Json

FACTS = {
    "engine": "sglang",
    "sm": 120,
    "version": Version("0.5.10.post1"),
    "features": frozenset({"mtp", "indexcache"}),
    "checkpoint": "a",
    "mtp_layer": True,
}


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({}, True),
        ({"engine": "sglang", "sm": [90, 120]}, True),
        ({"engine": ["vllm", "trtllm"]}, False),
        ({"version": "<0.5.12"}, True),
        ({"version": "==0.5.10"}, False),
        ({"version": ">=0.5.10.post1,<0.6"}, True),
        ({"features": ["mtp"]}, True),
        ({"features": ["mtp", "chunked_prefill"]}, False),
        ({"without": ["mtp"]}, False),
        ({"without": ["chunked_prefill"]}, True),
        ({"any_feature": False}, False),
        ({"feature_count": 2}, True),
        ({"feature_count": [1, 3]}, False),
        ({"form": "recommended"}, True),
        ({"form": "published"}, False),
        ({"mtp_layer": True}, True),
    ],
)
def test_a_condition_holds_exactly_when_all_its_keys_do(when: dict[str, Json], holds: bool) -> None:
    assert compile_condition(when)(FACTS) is holds


def test_weight_counts_keys_and_every_named_feature() -> None:
    assert compile_condition({"engine": "x", "sm": [90, 100], "features": ["mtp", "indexcache"]}).weight == 4
    assert compile_condition({}).weight == 0
