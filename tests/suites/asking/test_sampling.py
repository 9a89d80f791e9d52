"""The profiles are the published ones, under names that each engine knows."""

from __future__ import annotations

from suites.asking import sampling


def test_the_profiles_are_those_of_the_seed() -> None:
    assert sampling.STRICT == {"temperature": 0.0, "repetition_penalty": 1.05}
    assert sampling.CHAT == {
        "temperature": 0.5,
        "top_p": 0.95,
        "frequency_penalty": 0.3,
        "repetition_penalty": 1.05,
    }


def test_llama_cpp_calls_the_penalty_otherwise() -> None:
    assert sampling.sampling_fields(sampling.STRICT, "llamacpp") == {
        "seed": 7,
        "temperature": 0.0,
        "repeat_penalty": 1.05,
    }
    assert sampling.sampling_fields(sampling.STRICT, "vllm") == {"seed": 7, **sampling.STRICT}
