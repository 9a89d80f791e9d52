"""Layouts, caches and graphs are proven by sizes and counters; an engine that ignores the flag is refuted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from matrix.judging.observation import Rung, Seen
from matrix.judging.proof import ReuseProbe
from matrix.judging.requested import Requested
from matrix.planning.kv import KvShape
from matrix.planning.ranks import Ranks
from tests.matrix.judging.proof.world import SGLANG, VLLM, pool, proof, see
from tests.matrix.judging.test_observation import read

ROW = 4 * 1284  # bytes of a token, four layers in bf16 with indexer keys


def ask(wanted: Requested, feature: str, **ranks: int) -> Requested:
    return replace(wanted, features=frozenset({feature}), ranks=Ranks(gpus=2, **ranks), experts=16)


STAGED = replace(ask(VLLM, "pipeline_parallel", pp=2), shape=KvShape(layers=2), full_layers=2, whole=KvShape(layers=4))
SPREAD = ask(VLLM, "decode_context_parallel", dcp=2)
DOUBLE = ask(VLLM, "dp_attention", dp=2)
EXPERTS = ask(VLLM, "expert_parallel", ep=2)
SGLANG_EXPERTS = ask(SGLANG, "expert_parallel", ep=2)
GRAPHS = ask(VLLM, "cuda_graphs_full")
SGLANG_GRAPHS = ask(SGLANG, "cuda_graphs_full")
EAGER = ask(VLLM, "eager")


@pytest.mark.parametrize(
    ("wanted", "seen", "outcome"),
    [
        (STAGED, pool(ROW // 2), "proven"),
        (STAGED, pool(ROW), "refuted"),
        (STAGED, pool(ROW // 4), "unproven"),
        (STAGED, [], "unproven"),
        (SPREAD, pool(ROW // 2), "proven"),
        (SPREAD, pool(ROW), "refuted"),
        (SPREAD, [], "unproven"),
        (EXPERTS, [see("local_experts", 8.0, unit="experts", all="16")], "proven"),
        (EXPERTS, [see("local_experts", 16.0, unit="experts", all="16")], "refuted"),
        (SGLANG_EXPERTS, [see("local_experts", 8.0, unit="experts", width="128")], "proven"),
        (SGLANG_EXPERTS, [see("local_experts", 9.0, unit="experts", width="128")], "unproven"),
        (SGLANG_EXPERTS, [see("local_experts", 16.0, unit="experts", width="64")], "refuted"),
        (EXPERTS, [see("expert_ranks", "1", Rung.ECHO)], "refuted"),
        (EXPERTS, [see("expert_ranks", "2", Rung.ECHO)], "unproven"),
        (DOUBLE, [see("computing_ranks", 9.0, engine="0"), see("computing_ranks", 7.0, engine="1")], "proven"),
        (DOUBLE, [see("computing_ranks", 9.0, engine="0"), see("computing_ranks", 0.0, engine="1")], "unproven"),
        (DOUBLE, [see("computing_ranks", 9.0, engine="0")], "refuted"),
        (DOUBLE, [see("computing_ranks", "0", Rung.LOG), see("computing_ranks", "1", Rung.LOG)], "proven"),
        (DOUBLE, [see("computing_ranks", "0", Rung.LOG)], "unproven"),
        (DOUBLE, [], "unproven"),
        (GRAPHS, [see("graphs", 11.0, unit="graphs", mode="FULL")], "proven"),
        (GRAPHS, [see("graphs", 11.0, unit="graphs", mode="PIECEWISE")], "refuted"),
        (GRAPHS, [], "refuted"),
        (SGLANG_GRAPHS, [see("graphs", "True", Rung.LOG, mode="Decode")], "proven"),
        (SGLANG_GRAPHS, [see("graphs", "True", Rung.LOG, mode="Prefill")], "refuted"),
        (SGLANG_GRAPHS, [see("eager_batches", "False", Rung.LOG, mode="Decode")], "refuted"),
        (SGLANG_GRAPHS, [see("eager_batches", "False", Rung.LOG, mode="Prefill")], "unproven"),
        (EAGER, [see("graphs", 11.0, unit="graphs", mode="FULL")], "refuted"),
        (EAGER, [see("eager_batches", "False", Rung.LOG, mode="Decode")], "proven"),
        (EAGER, [], "unproven"),
        (ask(SGLANG, "no_overlap"), [], "unproven"),
    ],
)
def test_a_layout_is_proven_by_what_it_changes(wanted: Requested, seen: Seen, outcome: str) -> None:
    (feature,) = wanted.features
    assert proof(feature, wanted, seen).outcome == outcome


def test_a_whole_stage_is_no_other_layout() -> None:
    """Half of the bytes is also what another KV dtype might cost: only the planned layout counts."""
    assert proof("pipeline_parallel", replace(STAGED, layout="dsa_fp8_packed"), pool(ROW // 2)).outcome == "unproven"


def probe(cached: int | None, *, hits: float | None = None, back: float = 0.0) -> ReuseProbe:
    before = [see("cached_tokens", 5.0), see("loaded_back", 0.0)] if hits is not None else []
    after = [see("cached_tokens", 5.0 + hits), see("loaded_back", back)] if hits is not None else []
    return ReuseProbe(prompt_tokens=6000, cached_tokens=cached, before=before, after=after, pushed_tokens=140_000)


@pytest.mark.parametrize(
    ("reuse", "outcome"),
    [
        (probe(0), "proven"),
        (probe(None, hits=0.0), "proven"),
        (probe(0, hits=5984.0), "refuted"),
        (probe(5984), "refuted"),
        (probe(None), "unproven"),
        (None, "unproven"),
    ],
)
def test_without_a_prefix_cache_nothing_is_found_in_one(reuse: ReuseProbe | None, outcome: str) -> None:
    assert proof("no_prefix_cache", ask(VLLM, "no_prefix_cache"), [], reuse=reuse).outcome == outcome


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        ([see("loaded_back", 4e6, unit="bytes")], "proven"),
        ([see("loaded_back", 0.0, unit="bytes"), see("kept_on_host", 4e6, unit="bytes")], "unproven"),
        ([], "unproven"),
    ],
)
def test_a_host_tier_is_proven_by_what_comes_back(seen: Seen, outcome: str) -> None:
    wanted = ask(VLLM, "host_kv_tier")
    assert proof("host_kv_tier", wanted, seen, reuse=probe(5984, hits=0.0, back=4e6)).outcome == outcome


@pytest.mark.parametrize(
    ("log", "wanted", "outcome"),
    [
        ("vllm_0_33_0_canary_graphs", GRAPHS, "proven"),
        ("vllm_0_33_0_canary_graphs", ask(VLLM, "cuda_graphs_piecewise"), "refuted"),
        ("vllm_0_26_0_canary", GRAPHS, "refuted"),  # eager
        ("sglang_0_5_23_canary_graphs", SGLANG_GRAPHS, "proven"),
        ("sglang_0_5_23_canary_graphs", ask(SGLANG, "cuda_graphs_piecewise"), "refuted"),
        ("sglang_0_5_17_bf16_kv", SGLANG_GRAPHS, "refuted"),
        ("vllm_0_33_0_canary_experts", EXPERTS, "proven"),
        ("sglang_0_5_23_canary_experts", SGLANG_EXPERTS, "proven"),
        ("sglang_0_5_23_canary_tensor", SGLANG_EXPERTS, "refuted"),
        ("sglang_0_5_23_canary_graphs", SGLANG_EXPERTS, "unproven"),  # no such line was kept
    ],
)
def test_recorded_logs_show_which_layout_there_was(log: str, wanted: Requested, outcome: str) -> None:
    (feature,) = wanted.features
    assert proof(feature, wanted, read(log)).outcome == outcome
