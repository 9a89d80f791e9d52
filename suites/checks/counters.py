"""What an engine counts about itself, under the name each engine gives it. A missing counter is None, never 0."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{[^}]*\})?\s+([-+0-9.eE]+|NaN|[+-]Inf)\b", re.MULTILINE)

# fact -> names by engine, as their /metrics showed them (llama.cpp 2026.10, vLLM 0.26, SGLang 0.5.17)
NAMES: Mapping[str, tuple[str, ...]] = {
    "drafted": (
        "llamacpp:spec_decode_num_draft_tokens_total",
        "vllm:spec_decode_num_draft_tokens_total",
    ),
    "accepted": (
        "llamacpp:spec_decode_num_accepted_tokens_total",
        "vllm:spec_decode_num_accepted_tokens_total",
    ),
    "drafts": ("llamacpp:spec_decode_num_drafts_total", "vllm:spec_decode_num_drafts_total"),
    "accept_length": ("sglang:spec_accept_length",),
    # One batch passed through the model. vLLM has no such counter: its per-iteration histogram leaves out steps that
    # finish no prompt (async_llm.py:664 of 0.26.0), so that a prompt in four chunks would count as one.
    "steps": ("llamacpp:n_decode_total",),
    "prompt_tokens": ("llamacpp:prompt_tokens_total", "vllm:prompt_tokens_total", "sglang:prompt_tokens_total"),
    "generated_tokens": (
        "llamacpp:tokens_predicted_total",
        "vllm:generation_tokens_total",
        "sglang:generation_tokens_total",
    ),
}


def parse(text: str) -> dict[str, float]:
    """Prometheus text to values; samples of one name (ranks, models) are added up.

    >>> parse('# HELP a b\\na:b_total{rank="0"} 2\\na:b_total{rank="1"} 3')
    {'a:b_total': 5.0}
    """
    values: dict[str, float] = {}
    for name, value in _SAMPLE.findall(text):
        values[name] = values.get(name, 0.0) + float(value)
    return values


def read(text: str) -> dict[str, float]:
    """The facts above that this engine shows."""
    values = parse(text)
    return {fact: values[n] for fact, names in NAMES.items() for n in names if n in values}


def delta(before: Mapping[str, float], after: Mapping[str, float], fact: str) -> float | None:
    """How far a counter moved, when the engine has it."""
    return after[fact] - before.get(fact, 0.0) if fact in after else None
