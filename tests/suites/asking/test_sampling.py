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


def test_every_token_is_left_to_the_sampler_in_the_engines_own_words() -> None:
    assert sampling.unnarrowed_fields("llamacpp") == {"top_p": 1.0, "top_k": 0, "min_p": 0.0}
    assert sampling.unnarrowed_fields("vllm") == {"top_p": 1.0, "top_k": -1}
    assert sampling.unnarrowed_fields("other") == {"top_p": 1.0}
