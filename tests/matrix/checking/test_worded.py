"""Guards whose own words are a rule about flags are told without a check for each."""

from __future__ import annotations

import pytest

from matrix.checking.worded import WordedRule, read_words
from tests.matrix.checking.test_guarded import examine

RULES = {
    "--max-ep-size must be a positive integer.": ("bound", ("--max-ep-size",), 0.0, None, True),
    "base_gpu_id must be non-negative": ("bound", ("base_gpu_id",), 0.0, None, False),
    "acceptance_window must be >= 0 (0 disables), got {}": ("bound", ("acceptance_window",), 0.0, None, False),
    "a_ratio must be in range [0, 1], got {}": ("bound", ("a_ratio",), 0.0, 1.0, False),
    "--grpc-port must be between 0 and 65535": ("bound", ("--grpc-port",), 0.0, 65535.0, False),
    "free_part must be smaller than 1.0": ("bound", ("free_part",), None, 1.0, True),
    "--sidecar-args requires --sidecar.": ("wants", ("--sidecar-args", "--sidecar"), None, None, False),
    "--a-b has no effect without --c-d and --e-f.": ("wants", ("--a-b", "--c-d", "--e-f"), None, None, False),
    "--a-b is incompatible with --c-d: because": ("excludes", ("--a-b", "--c-d"), None, None, False),
    "--a-b must be positive when --c-d is set.": ("bound", ("--a-b", "--c-d"), 0.0, None, True),
    "Tokenizer worker num must >= 1": ("bound", ("tokenizer_worker_num",), 1.0, None, False),
    "SGLANG_A_B ({}) must be >= 1": ("variable", ("SGLANG_A_B",), 1.0, None, False),
    "a_min={} must be <= a_max={}": ("order", ("a_min", "a_max"), None, None, False),
    "FLy requires a_size to be smaller than b_tokens.": ("order", ("a_size", "b_tokens"), None, None, True),
    "All a_sizes must be positive": ("each", ("a_sizes",), 0.0, None, True),
    "a_rates entries must be in [0, 1], got {}.": ("each", ("a_rates",), 0.0, 1.0, False),
    "a_format must be 'x' or 'y', got: {}": ("among", ("a_format",), None, None, False),
    "use_a is not compatible with use_b_c because": ("enemies", ("use_a", "use_b_c"), None, None, False),
}
NO_RULES = [
    "--a-b must be positive when it is set.",  # a condition of something that is not named
    "--a-b requires --c-d or --e-f.",  # a choice
    "--a-b {} requires --c-d",  # of one value
    "--a-b requires --c-d >= 4",  # of one value of the other
    "--a-b is incompatible with --c-d={}",
    "The window must be positive",
    "--a-b does not support it",
]


@pytest.mark.parametrize(("says", "rule"), RULES.items(), ids=RULES)
def test_words_that_are_a_rule_are_read(says: str, rule: tuple[str, tuple[str, ...], float, float, bool]) -> None:
    found = read_words(says)
    assert found is not None
    assert (found.kind, found.names, found.low, found.high, found.strict) == rule


@pytest.mark.parametrize("says", NO_RULES)
def test_words_with_a_condition_are_none(says: str) -> None:
    assert read_words(says) is None


CORPUS = "--speculative-algorithm NGRAM --speculative-ngram-external-corpus-path c"
NGRAM = '"method": "ngram", "num_speculative_tokens": 3'
MTP = '"method": "mtp", "num_speculative_tokens": 2'
LOCAL = '"use_local_argmax_reduction": true'
LINES = [
    ("sglang", "--base-gpu-id -1", True),
    ("sglang", "--base-gpu-id 0", False),
    ("sglang", "--max-ep-size 0 --elastic-ep-backend mooncake", True),
    ("sglang", "--ssl-ca-certs ca.pem", True),
    ("sglang", "--ssl-ca-certs ca.pem --ssl-certfile c --ssl-keyfile k", False),
    ("sglang", "--enable-watermark --enable-custom-logit-processor", True),
    ("sglang", "--enable-watermark", False),
    ("sglang", "--enable-unified-memory --enable-two-batch-overlap", False),  # a check of its own says more
    ("sglang", "--export-metrics-to-file", True),
    ("sglang", "--export-metrics-to-file --export-metrics-to-file-dir d", False),
    ("sglang", "--tokenizer-metrics-allowed-custom-labels a", False),  # the other has a default
    ("sglang", "--default-chat-template-kwargs '[1]'", True),
    ("sglang", "--default-chat-template-kwargs '{\"enable_thinking\": false}'", False),
    ("sglang", "--dsa-triton-union 3", True),
    ("sglang", "--dsa-triton-union 4", False),
    ("sglang", "--max-lora-chunk-size 256", True),
    ("sglang", "--max-lora-chunk-size 64", False),
    ("vllm", "--grpc-port 70000", True),
    ("sglang", "--tokenizer-worker-num 0", True),
    ("sglang", "--tokenizer-worker-num 2", False),
    ("sglang", f"{CORPUS} --speculative-ngram-external-sam-budget 0", True),
    ("sglang", f"{CORPUS} --speculative-ngram-external-sam-budget 4", False),
    ("sglang", CORPUS, True),  # its default is 0
    ("sglang", "--speculative-ngram-external-sam-budget 0", False),  # the flag beside it is not set
    ("sglang", "--json-model-override-args '{\"index_topk_freq\": 0}'", True),
    ("sglang", "--json-model-override-args '{\"index_topk_freq\": 4}'", False),
    ("vllm", '--compilation-config \'{"compile_cache_save_format": "zip"}\'', True),
    ("vllm", '--compilation-config \'{"compile_cache_save_format": "unpacked"}\'', False),
    ("vllm", f'--speculative-config \'{{{NGRAM}, "prompt_lookup_min": 5, "prompt_lookup_max": 3}}\'', True),
    ("vllm", f'--speculative-config \'{{{NGRAM}, "prompt_lookup_min": 3, "prompt_lookup_max": 3}}\'', False),
    ("vllm", f"--speculative-config '{{{MTP}, \"synthetic_acceptance_rates\": [0.5, 1.5]}}'", True),
    ("vllm", f"--speculative-config '{{{MTP}, \"synthetic_acceptance_rates\": [0.5, 0.5]}}'", False),
    ("vllm", f"--speculative-config '{{{MTP}, {LOCAL}, \"use_heterogeneous_vocab\": true}}'", True),
    ("vllm", f"--speculative-config '{{{MTP}, {LOCAL}}}'", False),
]


@pytest.mark.parametrize(("engine", "added", "told"), LINES)
def test_a_line_is_held_against_them(engine: str, added: str, *, told: bool) -> None:
    found = [f for f in examine(engine, {}, added).findings if f.id == "against_the_words_of_a_guard"]
    assert bool(found) == told
    assert all("guard's own words" in str(f.decided_by) for f in found)


def test_a_bound_that_is_none_is_no_bound() -> None:
    assert read_words("x must be a positive integer or None (for auto-compute). Got: {}") == WordedRule(
        "bound", ("x",), (), 0.0, None, True, "x must be a positive integer or None (for auto-compute). Got: "
    )


def test_a_variable_is_held_against_its_bound() -> None:
    def told(value: str) -> bool:
        found = examine("sglang", {"env": {"SGLANG_GRPC_WORKER_THREADS": value}}, "").findings
        return any("SGLANG_GRPC_WORKER_THREADS" in str(f.subject) and f.level == "wrong" for f in found)

    assert told("0") and not told("4")
