"""The words of published tables: which metrics there are, in which units, under which conditions. A closed vocabulary.

A number whose unit or condition is a word of its own is comparable with nothing, so a new word is added here, with what
it means, and in docs/how-to/add-a-claim.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from matrix.errors import Problem, suggest_nearest
from matrix.recorded import Claim, Measurement

if TYPE_CHECKING:
    from matrix.yaml.loaded import Loaded

UNITS: Final[Mapping[str, tuple[str, ...]]] = {  # what is measured -> units that it is published in
    "speed": ("tok/s",),
    "time": ("ms", "s", "min"),
    "size": ("bytes", "GB", "GiB"),
    "tokens": ("tokens",),
    "requests": ("requests",),
    "kernels": ("kernels",),
    "ratio": ("ratio",),
}
METRICS: Final[Mapping[str, str]] = {  # metric -> what is measured
    "output_throughput": "speed",
    "output_throughput_sustained": "speed",
    "output_throughput_burst": "speed",
    "decode_throughput": "speed",
    "decode_throughput_p50": "speed",
    "prefill_throughput_cold": "speed",
    "ttft": "time",
    "ttft_warm": "time",
    "mean_ttft": "time",
    "median_ttft": "time",
    "p99_ttft": "time",
    "mean_tpot": "time",
    "median_tpot": "time",
    "p99_tpot": "time",
    "mean_itl": "time",
    "p99_itl": "time",
    "jit_warmup_first_launch": "time",
    "weights_per_gpu": "size",
    "weights_total": "size",
    "kv_cache_per_gpu": "size",
    "kv_cache_total": "size",
    "vram_used_per_gpu": "size",
    "vram_used_total": "size",
    "cuda_graphs_per_gpu": "size",
    "free_per_gpu": "size",
    "draft_worker_per_rank": "size",
    "disk": "size",
    "download": "size",
    "kv_cache_tokens": "tokens",
    "max_context": "tokens",
    "acceptance_length": "tokens",
    "saturation_concurrency": "requests",
    "jit_kernels_first_launch": "kernels",
    "speedup": "ratio",
    "acceptance_rate": "ratio",
}


@dataclass(frozen=True)
class ConditionKind:
    """What the value of a condition may be."""

    fits: Callable[[Any], bool]
    expected: str


# `type is`, since True is an int and a concurrency of True would be 1
COUNT: Final = ConditionKind(lambda v: type(v) is int and v >= 1, "a whole number from 1 on")
FROM_0: Final = ConditionKind(lambda v: type(v) is int and v >= 0, "a whole number from 0 on")
SHARE: Final = ConditionKind(lambda v: type(v) in (int, float) and 0 < v <= 1, "a share above 0 and up to 1")
FLAG: Final = ConditionKind(lambda v: isinstance(v, bool), "true or false")
WORD: Final = ConditionKind(lambda v: isinstance(v, str) and bool(v.strip()), "a word")
CONDITIONS: Final[Mapping[str, ConditionKind]] = {
    "concurrency": COUNT,  # requests at once
    "input_tokens": COUNT,  # of one prompt, as the load was asked for
    "prompt_tokens": COUNT,  # of one prompt, as it was counted
    "output_tokens": COUNT,
    "context_tokens": COUNT,  # in the cache when the number was read
    "context_tokens_low": FROM_0,  # of a range
    "context_tokens_high": COUNT,
    "dataset": WORD,
    "prompt": WORD,  # as the source calls it, where it gives no length
    "warmup": FROM_0,  # requests before
    "repetitions": COUNT,
    "samples_of_all_ranges": COUNT,
    "first_launch": FLAG,
    "tensor_parallel": COUNT,
    "gpu_memory_utilization": SHARE,
    "kv_dtype": WORD,
    "kv_splits": COUNT,
    "page_tokens": COUNT,
}


def find_claim_problems(claims: Iterable[Loaded[Claim]], features: Iterable[str]) -> list[Problem]:
    """Find every metric, unit or condition that is no word, and every number that contradicts itself. Names of features
    are conditions, too."""
    conditions = {**CONDITIONS, **dict.fromkeys(features, FLAG)}
    return [
        _place_problem(claim, (index, *loc), message)
        for claim in claims
        for index, measured in enumerate(claim.value.measurements)
        for loc, message in _find_wrong_measurement(measured, conditions)
    ]


def _find_wrong_measurement(
    measured: Measurement, conditions: Mapping[str, ConditionKind]
) -> Iterator[tuple[tuple[str, ...], str]]:
    what = METRICS.get(measured.metric)
    if what is None:
        yield ("metric",), f"no metric is {measured.metric!r}{suggest_nearest(measured.metric, METRICS)}"
    elif measured.unit not in UNITS[what]:
        hint = suggest_nearest(measured.unit, UNITS[what])
        yield ("unit",), f"{measured.metric} is a {what}, and no unit of it is {measured.unit!r}{hint}"
    if measured.value < 0:
        yield ("value",), f"expected a number from 0 on, got {measured.value:g}"
    if measured.high is not None and measured.high <= measured.value:
        yield ("high",), f"expected more than the low end, {measured.value:g}, got {measured.high:g}"
    for name, value in measured.conditions.items():
        if name not in conditions:
            yield ("conditions", name), f"no condition is {name!r}{suggest_nearest(name, conditions)}"
        elif not conditions[name].fits(value):
            yield ("conditions", name), f"expected {conditions[name].expected}, got {value!r}"


def _place_problem(claim: Loaded[Claim], loc: tuple[str | int, ...], message: str) -> Problem:
    whole: tuple[str | int, ...] = ("measurements", *loc)
    # the nearest key that has a line: a key that is missing has none of its own
    line = next((claim.lines[whole[:n]] for n in range(len(whole), 0, -1) if whole[:n] in claim.lines), claim.line)
    return Problem(claim.file, line, ".".join(map(str, whole)), message)
