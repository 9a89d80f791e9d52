"""A line of one's own meets the known failures of the features that it asks for."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.checking.known_failures import list_asked_features
from matrix.checking.settings import UNKNOWN

PLAIN = {"chunked_prefill"}


@pytest.mark.parametrize(
    ("facts", "features"),
    [
        ({}, set()),
        ({"engine": "vllm", "dp": 2, "expert_parallel": True}, {"dp_attention", "expert_parallel"}),
        ({"engine": "sglang", "dp": 2}, set()),  # replicas of the whole model
        ({"engine": "sglang", "dp": 2, "dp_attention": True}, {"dp_attention"}),
        ({"pp": 2, "dcp": 1, "ep": 8}, {"pipeline_parallel", "expert_parallel"}),
        ({"dcp": 4}, {"decode_context_parallel", "decode_context_parallel_4"}),
        ({"pp": UNKNOWN, "dcp": UNKNOWN, "eager": UNKNOWN}, set()),
        ({"radix_off": True, "hicache": False, "eager": True}, {"no_prefix_cache", "eager"}),
        ({"draft_kind": "mtp", "kv": "fp8_e4m3"}, {"mtp", "fp8_kv"}),
    ],
)
def test_a_line_asks_for_the_features_of_the_axes(facts: dict[str, Any], features: set[str]) -> None:
    assert list_asked_features(facts) == PLAIN | features
