"""KV arithmetic against numbers that other people and our own H200 logs printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.planning.kv import (
    GIB,
    LOG_TOLERANCE,
    KvShape,
    Layout,
    bytes_per_token,
    explain_pool,
    indexer_key_bytes,
    largest_context,
    latent_bytes,
    pool_tokens,
)

FOUR = KvShape(layers=4)  # the checkpoints of the H200 logs


@pytest.mark.parametrize(
    ("layout", "per_layer"),
    [("dense_fp8", 576), ("dense_bf16", 1152), ("dsa_fp8_packed", 788), ("dsa_fp8_trtllm", 708), ("dsa_bf16", 1284)],
)
def test_bytes_per_token_and_layer(layout: Layout, per_layer: int) -> None:
    assert bytes_per_token(layout) == per_layer * 78


def test_seed_004_pool_is_dense_fp8_and_its_270k_tokens_are_exact() -> None:
    assert pool_tokens(int(11.3 * GIB), bytes_per_token("dense_fp8")) == 270_060
    assert pool_tokens(int(11.3 * GIB), bytes_per_token("dsa_fp8_packed")) < 200_000, "so NSA was off there"


def test_seed_001_pool_is_dsa_bf16() -> None:
    assert pytest.approx(1284, abs=0.1) == 64.49 * GIB / 691_392 / 78
    assert explain_pool(64.49 * GIB, 691_392)[0].layout == "dsa_bf16"
    assert {r.layout for r in explain_pool(64.49 * GIB, 691_392)} == {"dsa_bf16"}


# Memory (GiB) and tokens as vLLM 0.26.0 and SGLang 0.5.17 logged them on one H200, 4 layers (+1 MTP), 2026-11-21.
LOGS = [
    ("vllm bf16", 65.16, 13_621_760, "dsa_bf16", 4, 0, 5136),
    ("vllm IndexCache FSFS", 65.17, 14_363_520, "dsa_bf16", 2, 0, 4872),
    ("vllm MTP", 64.98, 10_867_072, "dsa_bf16", 4, 1, 6420),
    ("vllm fp8", 64.93, 22_118_720, "dsa_fp8_packed", 4, 0, 3152),
    ("sglang bf16", 68.94, 14_413_632, "dsa_bf16", 4, 0, 5136),
    ("sglang fp8", 68.94, 23_486_208, "dsa_fp8_packed", 4, 0, 3152),
    ("vllm canary", 68.78, 14_379_968, "dsa_bf16", 4, 0, 5136),
    ("vllm canary FSFS", 68.79, 15_160_192, "dsa_bf16", 2, 0, 4872),
    ("vllm canary MTP", 68.73, 11_495_552, "dsa_bf16", 4, 1, 6420),
]


@pytest.mark.parametrize(
    ("gib", "tokens", "layout", "indexed", "mtp", "size"), [x[1:] for x in LOGS], ids=[x[0] for x in LOGS]
)
def test_a_log_line_names_its_layout(
    *, gib: float, tokens: int, layout: str, indexed: int, mtp: int, size: int
) -> None:
    best = explain_pool(gib * GIB, tokens, FOUR)[0]
    assert (best.layout, best.indexer_layers, best.mtp_layers, best.token_bytes) == (layout, indexed, mtp, size)
    assert abs(gib * GIB / tokens / size - 1) < 1e-4, "far inside LOG_TOLERANCE"


def test_indexcache_grows_the_pool_as_measured() -> None:
    before, after = bytes_per_token("dsa_bf16", FOUR), bytes_per_token("dsa_bf16", FOUR, indexer_layers=2)
    grown = 14_363_520 / 13_621_760
    assert grown == pytest.approx(before / after, rel=LOG_TOLERANCE)


def test_the_largest_context_is_whole_pages_within_the_model_and_zero_when_weights_do_not_fit() -> None:
    given_ = {"token_bytes": 576 * 78, "reserved_bytes": 5 * GIB, "model_context": 202_752, "page_tokens": 128}
    assert largest_context(vram_bytes=96 * GIB, weights_bytes=72 * GIB, **given_) == 202_752
    assert largest_context(vram_bytes=96 * GIB, weights_bytes=90 * GIB, **given_) == GIB // (576 * 78 * 128) * 128
    assert largest_context(vram_bytes=96 * GIB, weights_bytes=97 * GIB, **given_) == 0


@given(st.integers(0, 200 * GIB), st.integers(0, 100 * GIB), st.sampled_from([1, 64, 128]), st.integers(1, 8))
def test_a_largest_context_always_fits(vram: int, weights: int, page: int, requests: int) -> None:
    size = bytes_per_token("dsa_fp8_packed")
    found = largest_context(
        vram_bytes=vram,
        weights_bytes=weights,
        token_bytes=size,
        reserved_bytes=0,
        model_context=202_752,
        page_tokens=page,
        requests=requests,
    )
    assert found >= 0
    assert found * requests * size <= max(0, vram - weights)


def test_parts_of_a_row() -> None:
    assert (latent_bytes("dsa_fp8_packed"), indexer_key_bytes()) == (656, 132)
