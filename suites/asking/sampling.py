"""The two ways in which the model is sampled where it is used, pinned as in seeds/004 (Sampling recommendations).

Everything else in the suites is greedy, because only greedy answers can be compared. Here the sampler itself is in the
way: penalties and top-p run in kernels of their own, which a greedy request never enters.
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
RENAMED: Final[Mapping[str, Mapping[str, str]]] = {"llamacpp": {"repetition_penalty": "repeat_penalty"}}


def sampling_fields(profile: Mapping[str, float], dialect: str) -> dict[str, Any]:
    """Fields of a request, under the names that the engine knows: an unknown one would be ignored silently."""
    names = RENAMED.get(dialect, {})
    return {"seed": SEED, **{names.get(name, name): value for name, value in profile.items()}}
