"""What each rival's script is told, and how it answers. Scripts run in an environment of their own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

WORDS = "hello world " * 750  # about 9 KB, as in fixtures.traffic.bench


class Asked(NamedTuple):
    """`python -m SCRIPT URL STREAMS OUTPUT_LEN TOKENIZER [RATE WINDOW_S]`; with a rate: Poisson arrivals."""

    url: str
    streams: int
    output_len: int
    tokenizer: str
    rate: float = 0.0  # requests per second
    window_s: float = 0.0


def asked() -> Asked:
    url, streams, output_len, tokenizer, *pace = sys.argv[1:]
    return Asked(url, int(streams), int(output_len), tokenizer, *map(float, pace))


def body(index: int, output_len: int) -> dict[str, object]:
    """One request; no two prompts are equal."""
    return {
        "model": "mock",
        "messages": [{"role": "user", "content": f"{index} {WORDS}"}],
        "max_tokens": output_len,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def tell(numbers: Mapping[str, float]) -> None:
    """In ms, under the names of `vllm bench serve`; what a client does not measure is left out."""
    sys.stdout.write(f"\n{json.dumps(dict(numbers))}\n")


def quantile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]
