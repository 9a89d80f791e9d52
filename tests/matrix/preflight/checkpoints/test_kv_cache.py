"""Bytes of a token by config.json alone: layers that share keep no indexer keys."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.errors import ConfigError
from matrix.preflight.checkpoints.kv_cache import read_kv_cache

GLM_5_1: dict[str, Any] = {
    "architectures": ["GlmMoeDsaForCausalLM"],
    "num_hidden_layers": 78,
    "num_nextn_predict_layers": 1,
    "kv_lora_rank": 512,
    "qk_rope_head_dim": 64,
    "index_head_dim": 128,
}
GLM_5_2 = {**GLM_5_1, "index_topk_freq": 4, "index_skip_topk_offset": 3}
TYPES = ["full" if layer < 3 or ((layer - 6) % 4 == 0 and layer >= 6) else "shared" for layer in range(78)]


def test_glm_5_2_keeps_the_keys_of_21_layers() -> None:
    found = read_kv_cache(GLM_5_2, "dsa_fp8_packed")
    assert (found.full_layers, found.shared_layers) == (21, 57)
    assert (found.bytes_per_token, found.bytes_per_token_with_mtp) == (53_940, 54_728)
    wide = read_kv_cache(GLM_5_2, "dsa_bf16")
    assert (wide.bytes_per_token, wide.bytes_per_token_with_mtp) == (92_628, 93_912)


def test_glm_5_1_keeps_those_of_all() -> None:
    assert read_kv_cache(GLM_5_1, "dsa_fp8_packed").bytes_per_token == 61_464
    assert read_kv_cache(GLM_5_1, "dsa_fp8_packed").full_layers == 78


@pytest.mark.parametrize(
    "spelling",
    [{"indexer_types": TYPES}, {"index_topk_pattern": "".join(t[0].upper() for t in TYPES)}],
    ids="+".join,
)
def test_every_spelling_of_the_same_selection_costs_the_same(spelling: dict[str, Any]) -> None:
    expected = read_kv_cache(GLM_5_2, "dsa_fp8_packed")
    assert read_kv_cache({**GLM_5_1, **spelling}, "dsa_fp8_packed") == expected
    nested = {"architectures": GLM_5_1["architectures"], "text_config": {**GLM_5_1, **spelling}}
    assert read_kv_cache(nested, "dsa_fp8_packed") == expected


def test_a_release_that_keeps_every_buffer_pays_for_all_layers() -> None:
    kept = read_kv_cache(GLM_5_2, "dsa_fp8_packed", keeps_every_indexer=True)
    assert (kept.full_layers, kept.bytes_per_token) == (21, 61_464)


def test_a_dense_layout_keeps_no_keys() -> None:
    assert read_kv_cache(GLM_5_2, "dense_fp8").bytes_per_token == 78 * 576


def test_what_the_cache_depends_on_and_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match=r"config\.json kv_lora_rank: expected a count"):
        read_kv_cache({k: v for k, v in GLM_5_1.items() if k != "kv_lora_rank"}, "dsa_bf16")


def test_a_class_with_another_cache_gets_no_number() -> None:
    with pytest.raises(ConfigError, match="pooled indexer"):
        read_kv_cache({**GLM_5_1, "architectures": ["Glm5NextForConditionalGeneration"]}, "dsa_bf16")
