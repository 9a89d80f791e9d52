"""Keyword arguments become the words that the engine's parser would have."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.checking.keyword_words import ANY, Keyword, make_words


@pytest.mark.parametrize(
    ("engine", "name", "value", "wanted"),
    [
        ("vllm", "tensor_parallel_size", 8, ["--tensor-parallel-size", "8"]),
        ("vllm", "enforce_eager", True, ["--enforce-eager"]),
        ("vllm", "enforce_eager", False, ["--no-enforce-eager"]),
        ("sglang", "enable_dp_attention", False, []),
        ("sglang", "model", "/w", ["--model-path", "/w"]),
        ("vllm", "max_model_len", None, []),
        ("vllm", "speculative_config", {"method": "mtp"}, ["--speculative-config", '{"method": "mtp"}']),
        ("vllm", "served_model_name", ["a", "b"], ["--served-model-name", "a", "b"]),
    ],
)
def test_a_keyword_is_written_as_an_option(engine: str, name: str, value: Any, wanted: list[str]) -> None:
    assert [w.text for w in make_words([Keyword(name=name, value=value, line=1)], engine)] == wanted


def test_any_further_arguments_are_one_open_word() -> None:
    (word,) = make_words([Keyword(name=ANY, value=None, line=1, known=False)], "vllm")
    assert word.holes
