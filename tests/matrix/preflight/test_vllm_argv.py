"""vLLM rewrites its argv before argparse reads it; so do we."""

from __future__ import annotations

import pytest

from matrix.preflight.vllm_argv import normalise_argv


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["m", "--tensor_parallel_size", "8"], ["m", "--tensor-parallel-size", "8"]),
        (["m", "--served-model-name=a_b"], ["m", "--served-model-name=a_b"]),
        (["--trust-remote-code", "--model", "m"], ["m", "--trust-remote-code"]),
        (["--model=m", "-tp", "2"], ["m", "-tp", "2"]),
        (["m", "-O3"], ["m", "--optimization-level", "3"]),
        (["m", "--a.b.c", "1", "--a.b.d", "x"], ["m", "--a", '{"b": {"c": 1, "d": "x"}}']),
        (["m", "--a.b+", "x,y"], ["m", "--a", '{"b": ["x", "y"]}']),
        (["m", "--gpu-memory-utilization=0.9"], ["m", "--gpu-memory-utilization=0.9"]),
        (["m", "--n", "-0.5"], ["m", "--n", "-0.5"]),
    ],
)
def test_the_words_that_argparse_gets(argv: list[str], words: list[str]) -> None:
    assert normalise_argv(argv) == words


def test_a_key_that_is_added_to_is_one_list() -> None:
    made = normalise_argv(["--cc.custom_ops+", "all", "--cc.custom_ops+=-a,+b", "--cc.mode", "3", "--cc.mode.x", "1"])
    assert made == ["--cc", '{"custom_ops": ["all", "-a", "+b"], "mode": {"x": 1}}']
