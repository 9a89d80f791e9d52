"""Proofs: by counters, by logs, by ablation; and silence where an engine shows nothing."""

from __future__ import annotations

import math

import pytest

from suites.checks import counters
from suites.checks.features import changes_only_beyond, chunked, distance, drafts_accepted, signature

LLAMACPP = """# HELP llamacpp:n_decode_total Total
# TYPE llamacpp:n_decode_total counter
llamacpp:n_decode_total 84
llamacpp:spec_decode_num_draft_tokens_total 389
llamacpp:spec_decode_num_accepted_tokens_total 359
llamacpp:spec_decode_num_accepted_tokens_per_pos_total{position="0"} 248
"""
VLLM = """vllm:spec_decode_num_draft_tokens_total{engine="0",model_name="m"} 300.0
vllm:spec_decode_num_draft_tokens_total{engine="1",model_name="m"} 34.0
vllm:spec_decode_num_accepted_tokens_total{engine="0",model_name="m"} 306.0
vllm:prompt_tokens_total{model_name="m"} 1.2e+03
"""


def test_counters_are_read_under_every_engines_names() -> None:
    assert counters.read(LLAMACPP) == {"drafted": 389, "accepted": 359, "steps": 84}
    assert counters.read(VLLM) == {"drafted": 334, "accepted": 306, "prompt_tokens": 1200}
    assert counters.read('sglang:spec_accept_length{tp_rank="0"} 2.9\n') == {"accept_length": 2.9}
    assert counters.read("not metrics at all") == {}


def test_a_missing_counter_is_not_zero() -> None:
    assert counters.delta({}, {}, "steps") is None
    assert counters.delta({}, {"steps": 4}, "steps") == 4
    assert counters.delta({"steps": 3}, {"steps": 4}, "steps") == 1


@pytest.mark.parametrize(
    ("drafted", "accepted", "length", "outcome"),
    [
        (334, 306, None, "proven"),
        (100, 30, None, "proven"),
        (100, 29, None, "refuted"),
        (100, 0, None, "refuted"),
        (499, 499, None, "proven"),
        (500, 500, None, "refuted"),
        (500, 499, None, "proven"),
        (100, 130, None, "refuted"),
        (0, 0, None, "refuted"),
        (49, 40, None, "unproven"),
        (None, None, None, "unproven"),
        (None, None, 2.9, "proven"),
        (None, None, 1.0, "refuted"),
    ],
)
def test_drafts(drafted: float | None, accepted: float | None, length: float | None, outcome: str) -> None:
    assert drafts_accepted(drafted, accepted, length).outcome == outcome


@pytest.mark.parametrize(
    ("steps", "prompt", "outcome"),
    [
        (15, 928, "proven"),
        (16, 928, "proven"),
        (1, 928, "refuted"),
        (40, 928, "refuted"),
        (1, 64, "unproven"),
        (None, 928, "unproven"),
    ],
)
def test_chunks_by_counter(steps: float | None, prompt: int, outcome: str) -> None:
    assert chunked(steps, prompt_tokens=prompt, chunk_tokens=64, log="").outcome == outcome


def _log(*sizes: int) -> str:
    return "".join(f"[2026] Prefill batch, #new-seq: 1, #new-token: {n}, #cached-token: 0\n" for n in sizes)


@pytest.mark.parametrize(
    ("sizes", "outcome"),
    [((64, 64, 64, 8), "proven"), ((200,), "refuted"), ((64, 136), "refuted"), ((50, 50, 50, 50), "refuted")],
)
def test_chunks_by_log(sizes: tuple[int, ...], outcome: str) -> None:
    assert chunked(None, prompt_tokens=200, chunk_tokens=64, log=_log(*sizes)).outcome == outcome


def sig(*values: float) -> list[dict[str, float]]:
    return [{"a": v, "b": v - 5} for v in values]


def test_a_signature_keeps_the_choice_first() -> None:
    position = {
        "token": "x",
        "logprob": -0.1,
        "top_logprobs": [{"token": "y", "logprob": -3.0}, {"token": "x", "logprob": -0.1}],
    }
    assert list(signature([position])[0]) == ["x", "y"]


def test_distance_is_the_largest_difference_before_the_texts_part() -> None:
    assert distance(sig(-0.1, -0.2), sig(-0.1, -0.25)) == pytest.approx(0.05)
    parted = [{"a": -0.1, "b": -5.0}, {"b": -0.3}, {"a": -9.0}]
    assert distance(parted, [{"a": -0.1, "b": -5.0}, {"c": -0.3}, {"a": -1.0}]) == math.inf
    assert distance([], sig(-1)) == math.inf


@pytest.mark.parametrize(
    ("short", "long", "outcome"),
    [(-0.1, -0.2, "proven"), (-0.1, -0.1, "refuted"), (-0.3, -0.2, "refuted")],
)
def test_indexcache_by_ablation(short: float, long: float, outcome: str) -> None:
    verdict = changes_only_beyond((sig(short), sig(-0.1)), (sig(long), sig(-0.1)))
    assert verdict.outcome == outcome
