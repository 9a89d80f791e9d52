"""Keys of a configuration file: nested classes, variants by what selects them, aliases, and what stays open."""

from __future__ import annotations

from tests.lab.snapshot.test_trtllm import TOY

KEYS = TOY.keys_of_file


def test_nested_classes_give_dotted_keys_and_private_ones_none() -> None:
    assert {name for name in KEYS if name.startswith("kv_cache_config")} == {
        "kv_cache_config",
        "kv_cache_config.dtype",
        "kv_cache_config.fraction",
        "kv_cache_config.policy",
    }
    assert KEYS["kv_cache_config.policy"].choices == ("NEVER_EVICT", "ALWAYS")
    assert (KEYS["kv_cache_config.fraction"].type, KEYS["kv_cache_config.fraction"].nargs) == ("float", "?")


def test_variants_share_their_common_keys_and_keep_their_own() -> None:
    assert KEYS["speculative_config"].keys == {"decoding_type": ("MTP", "NGram")}
    assert not KEYS["speculative_config"].lowers
    assert {name for name in KEYS if name.startswith("speculative_config")} == {
        "speculative_config",
        "speculative_config.max_draft_len",
        "speculative_config.model",
        "speculative_config.model_dir",
        "speculative_config[MTP].layers",
        "speculative_config[NGram].size",
    }


def test_a_selecting_word_that_is_lowered_is_marked() -> None:
    assert KEYS["sparse_attention_config"].keys == {"algorithm": ("dense", "dsa")}
    assert KEYS["sparse_attention_config"].lowers


def test_a_redefinition_in_the_class_counts() -> None:
    assert KEYS["sizes"].nargs is None
    assert KEYS["sizes"].type == "list"


def test_what_the_program_takes_out_itself_is_a_key_of_any_value() -> None:
    assert {name for name in KEYS if KEYS[name].type == "any"} == {
        "model",
        "old",
        "quant_config",
        "disagg_cluster",
        "speculative_config.model",
        "speculative_config.model_dir",
    }
    assert KEYS["old"].deprecated == "Use new."
    assert KEYS["backend"].choices == ("AUTO", "CUTLASS")
