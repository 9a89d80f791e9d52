"""Keys and values of TensorRT-LLM's YAML: what its classes refuse is told with its line and the nearest word."""

from __future__ import annotations

import pytest
import yaml

from matrix.checking.judge import CheckRequest, examine_command
from matrix.checking.releases import parse_release
from matrix.checking.sources import read_words
from matrix.yaml.load import load_matrix
from tests.matrix.checking.test_guarded import examine

REFUSED = [
    ("kv_cache_config: {enable_block_resue: false}", "file_key_unknown", "Did you mean enable_block_reuse?"),
    ("max_batch_sise: 4", "file_key_unknown", "Did you mean max_batch_size?"),
    ("free_gpu_memory_fraction: 0.9", "file_key_unknown", "Write it as kv_cache_config.free_gpu_memory_fraction."),
    ("moe_config: {backend: trtllm}", "file_value_refused", "Did you mean TRTLLM?"),
    ("speculative_config: {decoding_type: mtp}", "file_value_refused", "Did you mean MTP?"),
    ("speculative_config: {num_nextn_predict_layers: 1}", "file_value_refused", "Correct the value."),
    ("speculative_config: {decoding_type: MTP, max_ngram_size: 3}", "file_key_unknown", ""),
    ("speculative_config: {decoding_type: MTP, relaxed_top_k: 3}", "file_key_unknown", "Did you mean relaxed_topk?"),
    ("tensor_parallel_size: eight", "file_value_refused", "Correct the value."),
    ("enable_attention_dp: maybe", "file_value_refused", "Correct the value."),
    ("kv_cache_config: {dtype: 8}", "file_value_refused", "Correct the value."),
    ("attn_backend: null", "file_value_refused", "Correct the value."),
    ("cuda_graph_config: {batch_sizes: 8}", "file_value_refused", "Correct the value."),
    ("decoding_config: {a: 1}", "file_key_deprecated", "Use what it names instead."),
    ("stream_interval: 1\nstream_interval: 2", "file_key_repeated", "Keep one."),
]
TAKEN = [
    "{}",
    "tensor_parallel_size: '8'",
    "enable_attention_dp: 1",
    "cuda_graph_config: null",
    "sparse_attention_config: {algorithm: DSA, index_topk: 2048}",
    "speculative_config: {decoding_type: MTP, num_nextn_predict_layers: 1, speculative_model_dir: /d}",
    "speculative_config: {decoding_type: Eagle3, max_draft_len: 3, eagle3_one_model: false, speculative_model: /d}",
    "batch_wait_timeout_ms: 5",
    "build_config: {anything: 1}",
    "model_kwargs: {index_topk: 1024}",
]
FILE = {"file_key_unknown", "file_value_refused", "file_key_deprecated", "file_key_repeated"}


def told(text: str, release: str = "trtllm==1.3.0rc3") -> dict[str, str]:
    """Return what is told of a file, as finding -> remedy."""
    (command,), _ = read_words(["trtllm-serve", "/w", "--config", "/extra.yaml"])
    asked = CheckRequest(release=parse_release(release), files={"/extra.yaml": text})
    return {f.id: f.remedy for f in examine_command(command, asked).findings if f.id in FILE}


@pytest.mark.parametrize(("text", "finding", "remedy"), REFUSED)
def test_what_the_classes_refuse_is_told_with_the_nearest_word(text: str, finding: str, remedy: str) -> None:
    found = told(text)
    assert list(found) == [finding]
    assert remedy in found[finding]


@pytest.mark.parametrize("text", TAKEN)
def test_what_the_classes_take_is_not_told(text: str) -> None:
    assert told(text) == {}


def test_a_finding_names_the_line_of_the_file() -> None:
    (command,), _ = read_words(["trtllm-serve", "/w", "--config", "/extra.yaml"])
    text = "kv_cache_config:\n  dtype: fp8\n  tokens: 4\n"
    asked = CheckRequest(release=parse_release("trtllm==1.3.0rc3"), files={"/extra.yaml": text})
    (finding,) = [f for f in examine_command(command, asked).findings if f.id == "file_key_unknown"]
    assert finding.cause.startswith("/extra.yaml:3: ")


def test_a_release_that_was_not_read_is_unknown_and_not_wrong() -> None:
    (command,), _ = read_words(["trtllm-serve", "/w", "--config", "/extra.yaml"])
    asked = CheckRequest(release=parse_release("trtllm==1.3.0rc26"), files={"/extra.yaml": "max_batch_sise: 4"})
    (finding,) = [f for f in examine_command(command, asked).findings if f.id in FILE]
    assert finding.level == "unknown"
    assert "was not read" in finding.cause


def test_a_file_that_is_not_here_leaves_what_it_sets_undecided() -> None:
    (command,), _ = read_words(["trtllm-serve", "/w", "--config", "/extra.yaml"])
    facts = examine_command(command, CheckRequest(release=parse_release("trtllm==1.3.0rc3"))).facts
    assert repr(facts["file"]) == repr(facts["block_reuse"]) == "unknown"


@pytest.mark.parametrize(
    ("added", "file", "names"),
    [
        ("--max_num_tokens 4096", {"max_num_tokens": 8192}, ["--max_num_tokens 4096"]),
        ("--max_num_tokens 8192", {"max_num_tokens": 8192}, []),
        (
            "--free_gpu_memory_fraction 0.8",
            {"kv_cache_config": {"free_gpu_memory_fraction": 0.9}},
            ["--free_gpu_memory_fraction 0.8"],
        ),
        ("--free_gpu_memory_fraction 0.90", {"kv_cache_config": {"free_gpu_memory_fraction": 0.9}}, []),
    ],
)
def test_a_flag_that_the_file_replaces_is_told(added: str, file: dict[str, object], names: list[str]) -> None:
    found = examine("trtllm", {}, added, file).findings
    assert [f.subject[0] for f in found if f.id == "file_overrides_flag"] == names


def test_the_files_of_our_own_cells_are_taken() -> None:
    matrix = load_matrix()
    wrong = {
        overlay.value.id: told(yaml.safe_dump(dict(overlay.value.serve_config)))
        for overlay in matrix.overlays
        if overlay.value.serve_config and overlay.value.when.get("release") == "trtllm_1_3_0rc3"
    }
    assert wrong
    assert not any(wrong.values()), wrong
