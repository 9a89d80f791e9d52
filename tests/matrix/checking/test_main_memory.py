"""What a line pins: each flag in its own words, and nothing where a number is not known."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.checking.main_memory import judge_pinned
from matrix.checking.rigs import Host

H200 = Host(sm=90, gpus=1, vram_bytes=141 * 10**9)
BASE: dict[str, Any] = {
    "engine": "sglang",
    "tp": 1,
    "pp": 1,
    "layers": 78,
    "topk": 2048,
    "config": {"num_experts_per_tok": 8},
    **dict.fromkeys(("max_total_tokens", "selection_readout", "routed_experts", "hicache", "hicache_size")),
    **dict.fromkeys(("hicache_ratio", "kv_offload", "cpu_offload")),
}


class Written:
    def written(self, name: str) -> str:
        return name

    def line(self, name: str) -> int:
        return 1


@pytest.mark.parametrize(
    ("facts", "pool", "told"),
    [
        ({"selection_readout": True}, 500_000, [("risky", "297.5 GiB")]),
        ({"selection_readout": True, "max_total_tokens": 65_536}, 500_000, [("note", "39.0 GiB")]),
        ({"selection_readout": True, "max_total_tokens": 65_536}, None, [("note", "39.0 GiB")]),
        ({"selection_readout": True}, None, []),
        ({"routed_experts": True, "tp": 8}, 500_000, [("note", "in each of 8 ranks")]),
        ({"hicache": True, "hicache_size": 64.0}, None, [("note", "--hicache-size 64")]),
        ({"hicache": True}, 500_000, [("note", "2 x 500,000 tokens x 1000 bytes")]),
        ({"engine": "vllm", "selection_readout": True, "kv_offload": 64.0}, 500_000, [("note", "64 GiB, as stated")]),
        ({"cpu_offload": 200.0}, None, [("risky", "--cpu-offload-gb")]),
        (
            {"engine": "trtllm", "tp": 8, "file": {"kv_cache_config.host_cache_size": 2**36}},
            None,
            [("risky", "pins 64.0 GiB of main memory in each of 8 ranks")],
        ),
        ({"engine": "trtllm", "file": {"kv_cache_config.host_cache_size": 0}}, None, []),
        ({}, 500_000, []),
    ],
)
def test_each_flag_is_told_by_its_own_numbers(facts: Any, pool: int | None, told: list[tuple[str, str]]) -> None:
    settings: Any = Written()
    found = list(judge_pinned({**BASE, **facts}, settings, H200, row=1000, pool=pool))
    assert [f.level for f in found] == [level for level, _ in told]
    assert all(words in f.cause for f, (_, words) in zip(found, told, strict=True))
