"""Pins the two sampling profiles with which users run the model, as in docs/sources/004.md (Sampling recommendations).

Every other request of the suites is greedy, because only greedy answers can be compared. These profiles test the
sampler itself: penalties and top-p run in their own kernels, which a greedy request never enters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

STRICT: Final[Mapping[str, float]] = {"temperature": 0.0, "repetition_penalty": 1.05}
CHAT: Final[Mapping[str, float]] = {
    "temperature": 0.5,
    "top_p": 0.95,
    "frequency_penalty": 0.3,
    "repetition_penalty": 1.05,
}
SEED: Final = 7  # any; the same every time
# How each engine spells "all": llama.cpp 0, vLLM and SGLang -1 (SamplingParams of both).
ALL_TOKENS: Final[Mapping[str, Mapping[str, float]]] = {
    "llamacpp": {"top_k": 0, "min_p": 0.0},
    "vllm": {"top_k": -1},
    "sglang": {"top_k": -1},
}
RENAMED: Final[Mapping[str, Mapping[str, str]]] = {"llamacpp": {"repetition_penalty": "repeat_penalty"}}


def sampling_fields(profile: Mapping[str, float], dialect: str) -> dict[str, Any]:
    """Return the request fields of a profile, under the names that the engine knows: engines ignore unknown names
    silently."""
    names = RENAMED.get(dialect, {})
    return {"seed": SEED, **{names.get(name, name): value for name, value in profile.items()}}


def unnarrowed_fields(dialect: str) -> dict[str, Any]:
    """Return the request fields that leave every token to the sampler: launches and checkpoints narrow it by default
    (llama.cpp to 40 tokens and by min_p, vLLM and SGLang by the checkpoint's generation_config)."""
    return {"top_p": 1.0, **ALL_TOKENS.get(dialect, {})}
