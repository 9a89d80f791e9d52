"""Chunked prefill by the batches of one prompt of known length."""

from __future__ import annotations

from dataclasses import replace

import pytest

from matrix.judging.observation import Observation, Rung, Seen, Sources, read_observations
from matrix.judging.proof import PrefillProbe
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import make_plan
from matrix.yaml.load import load_matrix
from tests.matrix.judging.proof.world import LLAMACPP, SGLANG, proof, see
from tests.matrix.judging.test_observation import ENGINES, read


def probe(prompt: int, before: Seen = (), after: Seen = (), generated: int = 1) -> PrefillProbe:
    return PrefillProbe(prompt_tokens=prompt, generated_tokens=generated, before=before, after=after)


def steps(number: float) -> list[Observation]:
    return [see("steps", number)]


CHUNKED = replace(LLAMACPP, features=frozenset({"chunked_prefill"}), chunk_tokens=64)


@pytest.mark.parametrize(
    ("sent", "outcome"),
    [
        (probe(300, steps(10), steps(15)), "proven"),
        (probe(300, steps(10), steps(11)), "refuted"),  # in one piece
        (probe(300, steps(10), steps(20)), "refuted"),  # in pieces half as large
        (probe(300, steps(0), steps(5 + 9), generated=10), "proven"),
        (probe(64, steps(0), steps(1)), "unproven"),
        (probe(300), "unproven"),
        (None, "unproven"),
    ],
)
def test_chunks_are_counted(sent: PrefillProbe | None, outcome: str) -> None:
    assert proof("chunked_prefill", CHUNKED, (), probe=sent).outcome == outcome


def test_chunks_in_a_recorded_log() -> None:
    """6,002 tokens after five short requests: 4096 + 1920 (pages of 64), then a short one follows."""
    seen = [o for o in read("sglang_0_5_17_bf16_kv") if o.name == "prefill_chunk"]
    wanted = replace(SGLANG, features=frozenset({"chunked_prefill"}))
    sent = probe(6002, seen[:-3], seen[:-1])
    assert proof("chunked_prefill", wanted, seen, probe=sent).outcome == "proven"
    for chunk in (2048, 3500):  # too few batches; as many as wanted, one of them larger than the chunk
        assert proof("chunked_prefill", replace(wanted, chunk_tokens=chunk), seen, probe=sent).outcome == "refuted"


# vLLM and TensorRT-LLM tell of chunks only in a line per step, which their recipes ask for; both are known from source

VLLM_STEP = (
    "(APIServer pid=1) INFO 11-25 01:02:03 [loggers.py:183] Engine 000: Iteration({i}): {requests} context requests,"
    " {tokens} context tokens, {drafting} generation requests, 1 generation tokens, iteration elapsed time: 9.10 ms"
)
TRTLLM_STEP = (
    "[11/25/2026-01:02:03] [TRT-LLM] [RANK 0] [I] iter = {i}, global_rank = 0, rank = 0, currank_total_requests = 1/1,"
    " host_step_time = 9.1ms, prev_device_step_time = 8.8ms, timestamp = 2026-11-25 01:02:03,"
    " num_scheduled_requests: 1, states = {{'num_ctx_requests': {requests}, 'num_ctx_tokens': {tokens},"
    " 'num_generation_tokens': 1}}"
)


@pytest.mark.parametrize(("dialect", "step"), [("vllm", VLLM_STEP), ("trtllm", TRTLLM_STEP)])
@pytest.mark.parametrize(
    ("tokens", "outcome"), [((4096, 4096, 1808), "proven"), ((10_000,), "refuted"), ((0,), "unproven")]
)
def test_chunks_are_read_from_one_line_per_step(
    *, dialect: str, step: str, tokens: tuple[int, ...], outcome: str
) -> None:
    lines = [step.format(i=i, requests=int(n > 0), tokens=n, drafting=0) for i, n in enumerate((*tokens, 0))]
    after = read_observations(ENGINES[dialect].observe, Sources(log="\n".join(lines)))
    wanted = replace(CHUNKED, dialect=dialect, chunk_tokens=4096)
    found = proof("chunked_prefill", wanted, (), probe=probe(10_000, after=after))
    assert found.outcome == outcome, found.detail
    assert {o.where.endswith("known from source only") for o in after} <= {dialect == "trtllm"}


def test_vllm_s_histogram_of_tokens_per_step_is_no_count_of_steps() -> None:
    """A step that finishes no prompt has no output and is not observed, so that four chunks move it by one: it would
    refute an engine that works (async_llm.py:664 of 0.26.0)."""
    assert "vllm:iteration_tokens_total_count" not in {s.get("metric") for s in ENGINES["vllm"].observe.values()}


def test_the_recipes_ask_for_the_lines_that_show_chunks() -> None:
    matrix = load_matrix()
    for cell in expand_matrix(matrix).runnable:
        if "chunked_prefill" in cell.features and cell.engine.id == "vllm":
            assert make_plan(matrix, cell).values("args")["--enable-logging-iteration-details"] is True, cell.id
        if "chunked_prefill" in cell.features and cell.release.id == "trtllm_1_3_0rc26":
            assert make_plan(matrix, cell).values("serve_config")["print_iter_log"] is True, cell.id


def test_two_batches_beyond_the_chunks_are_allowed_and_decode_steps_are_none() -> None:
    assert proof("chunked_prefill", CHUNKED, (), probe=probe(300, steps(0), steps(7 + 9), generated=10)).outcome == (
        "proven"
    )
    one_more = probe(300, steps(0), steps(8 + 9), generated=10)
    assert proof("chunked_prefill", CHUNKED, (), probe=one_more).outcome == "refuted"


def test_a_verdict_about_chunks_keeps_batches_sizes_and_what_was_wanted() -> None:
    sizes = [see("prefill_chunk", n) for n in (64, 64, 64, 64, 44)]
    found = proof("chunked_prefill", CHUNKED, (), probe=probe(300, after=sizes))
    assert (found.outcome, found.rung) == ("proven", Rung.COUNTER)
    assert found.data == {"batches": 5, "chunks": 5, "chunk_tokens": 64, "sizes": [64, 64, 64, 64, 44]}
    wanted = "5 prefill batches for 300 tokens, 5 chunks of 64 wanted"
    assert found.detail == f"{wanted}; sizes [64, 64, 64, 64, 44]"
    counted = proof("chunked_prefill", CHUNKED, (), probe=probe(300, steps(0), steps(5)))
    assert (counted.detail, counted.data["sizes"]) == (wanted, [])
