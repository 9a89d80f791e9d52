"""The KV numbers of two published recipes fall out of the layouts."""

from __future__ import annotations

from matrix.planning.fit import kv_bytes_per_token
from matrix.yaml.load import load_matrix


def test_seed_001_held_691392_tokens_in_64_gib_of_dsa_bf16() -> None:
    checkpoint = load_matrix().checkpoints["glm5_fp8"]
    tokens = 64.49 * 2**30 / kv_bytes_per_token(checkpoint, "dsa_bf16")
    assert abs(tokens / 691_392 - 1) < 0.001


def test_seed_004_held_270k_tokens_in_11_gib_which_is_the_dense_layout() -> None:
    checkpoint = load_matrix().checkpoints["glm51_478b_nvfp4"]
    tokens = 11.3 * 2**30 / kv_bytes_per_token(checkpoint, "dense_fp8")
    assert abs(tokens / 270_060 - 1) < 0.001


def test_indexer_keys_are_counted_only_on_layers_that_run_the_indexer() -> None:
    checkpoint = load_matrix().checkpoints["glm5_fp8"]
    saved = kv_bytes_per_token(checkpoint, "dsa_bf16") - kv_bytes_per_token(checkpoint, "dsa_bf16", indexer_layers=40)
    assert saved == 38 * 132
