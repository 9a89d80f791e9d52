"""KV layout, sparse attention and IndexCache by the bytes of one KV token: real logs and planted lies."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.judging.kv_bytes import match_layouts, measure_token_bytes, predict_token_bytes
from matrix.judging.observation import Rung, Sources, read_observations
from matrix.judging.proof import judge_proofs, prove_by_ablation, prove_by_wrong_type
from matrix.judging.requested import Requested
from matrix.planning.kv import GIB, KvShape, Layout
from tests.matrix.judging.proof.world import (
    LLAMACPP,
    SELECTED,
    SGLANG,
    TRTLLM,
    VLLM,
    by_feature,
    drafting,
    pool,
    proof,
    see,
    sharing,
)
from tests.matrix.judging.test_observation import ENGINES, LOGS, read

RECORDED: list[tuple[str, Requested, int, Layout, int, int]] = [
    ("vllm_0_26_0_bf16_kv", VLLM, 5136, "dsa_bf16", 4, 0),
    ("vllm_0_26_0_fp8_kv", replace(VLLM, layout="dsa_fp8_packed"), 3152, "dsa_fp8_packed", 4, 0),
    ("vllm_0_26_0_indexcache_fsfs", sharing(VLLM), 4872, "dsa_bf16", 2, 0),
    ("vllm_0_26_0_mtp_random", drafting(VLLM), 6420, "dsa_bf16", 4, 1),
    ("vllm_0_26_0_canary", VLLM, 5136, "dsa_bf16", 4, 0),
    ("vllm_0_26_0_canary_fsfs", sharing(VLLM), 4872, "dsa_bf16", 2, 0),
    ("vllm_0_26_0_canary_mtp", drafting(VLLM), 6420, "dsa_bf16", 4, 1),
    ("sglang_0_5_17_bf16_kv", SGLANG, 5136, "dsa_bf16", 4, 0),
    ("sglang_0_5_17_fp8_kv", replace(SGLANG, layout="dsa_fp8_packed"), 3152, "dsa_fp8_packed", 4, 0),
    ("llamacpp_ffss_mtp", sharing(LLAMACPP), 4 * 1152 + 2 * 256, "dsa_bf16", 2, 0),
]


@pytest.mark.parametrize(("log", "wanted", "size", "layout", "full", "mtp"), RECORDED, ids=[r[0] for r in RECORDED])
def test_a_recorded_size_has_exactly_one_reading(
    *, log: str, wanted: Requested, size: int, layout: str, full: int, mtp: int
) -> None:
    measured = measure_token_bytes(read(log), wanted.page_tokens)
    assert measured is not None and measured.holds(size)
    (found,) = match_layouts(measured, wanted)
    assert (found.layout, found.full_layers, found.mtp_layers, found.token_bytes) == (layout, full, mtp, size)


@pytest.mark.parametrize(("log", "wanted"), [r[:2] for r in RECORDED], ids=[r[0] for r in RECORDED])
def test_what_the_recorded_launches_asked_for_is_proven(log: str, wanted: Requested) -> None:
    got = by_feature(judge_proofs(wanted, read(log)))
    assert got["kv_layout"] == got["dsa"] == ("proven", Rung.COUNTER)
    if "indexcache" in wanted.features:
        assert got["indexcache"] == ("proven", Rung.COUNTER)


@pytest.mark.parametrize("log", ["vllm_0_26_0_bf16_kv", "vllm_0_26_0_canary", "vllm_0_26_0_canary_chunked"])
def test_indexcache_asked_of_a_launch_without_it_is_refuted(log: str) -> None:
    refuted = proof("indexcache", sharing(VLLM), read(log))
    assert (refuted.outcome, refuted.rung) == ("refuted", Rung.COUNTER)
    assert "4 of 4 layers keep indexer keys, the pattern leaves 2: IndexCache is inert" in refuted.detail


@pytest.mark.parametrize("log", ["sglang_0_5_17_bf16_kv", "sglang_0_5_17_canary_ffss"])
def test_sglang_s_pool_tells_nothing_of_indexcache(log: str) -> None:
    """5136 bytes without it, and with FFSS in effect, where logprobs differ (docs/evidence/sm90-h100)."""
    found = proof("indexcache", sharing(SGLANG), read(log))
    assert found.outcome == "unproven" and "keeps room for all of them anyway" in found.detail


def test_another_pattern_than_the_asked_one_is_refuted_too() -> None:
    refuted = proof("indexcache", sharing(VLLM, 3), read("vllm_0_26_0_indexcache_fsfs"))
    assert refuted.outcome == "refuted" and "inert" not in refuted.detail


def test_the_engine_s_own_count_of_indexer_layers_is_enough() -> None:
    wanted = sharing(LLAMACPP)
    assert proof("indexcache", wanted, [see("indexer_layers", 2)]).outcome == "proven"
    assert proof("indexcache", wanted, [see("indexer_layers", 4)]).outcome == "refuted"


def test_a_dense_pool_refutes_dsa_and_indexcache() -> None:
    """The numbers of docs/sources/004.md: 270,060 tokens in 11.3 GiB, IndexCache on the command line."""
    wanted = Requested(
        dialect="sglang", layout="dsa_fp8_packed", full_layers=40, features=frozenset({"indexcache"}), page_tokens=128
    )
    seen = [
        replace(see("kv_bytes", 11.3 * GIB, unit="bytes"), half_step=0.05 * GIB),
        see("kv_tokens", 270_060, unit="tokens"),
    ]
    got = by_feature(judge_proofs(wanted, seen))
    assert got == dict.fromkeys(("kv_layout", "dsa", "indexcache"), ("refuted", Rung.COUNTER))


def test_a_key_that_four_tokens_share_is_a_quarter_of_one() -> None:
    """GLM-5.3-Flash's class: a latent of 512 without rope, and 132 bytes of key for four tokens."""
    shape = KvShape(layers=2, kv_lora_rank=512, rope_dims=0, index_pool=4)
    assert predict_token_bytes(replace(VLLM, shape=shape), "dsa_bf16", 2) == 2 * 1024 + 2 * 132 // 4


def test_a_log_too_coarse_to_tell_proves_nothing() -> None:
    wanted = replace(VLLM, shape=KvShape(), full_layers=77, features=frozenset({"indexcache"}))
    size = predict_token_bytes(wanted, "dsa_bf16", 77)
    coarse = [replace(pool(size)[0], half_step=size * 10_000_000 * 0.01), pool(size)[1]]
    assert proof("indexcache", wanted, coarse).outcome == "unproven"
    assert proof("indexcache", wanted, pool(size)).outcome == "proven", "printed finely, one layer of 78 shows"


def test_a_pattern_that_shares_nothing_cannot_be_proven() -> None:
    wanted = replace(VLLM, features=frozenset({"indexcache"}))
    assert proof("indexcache", wanted, read("vllm_0_26_0_bf16_kv")).outcome == "unproven"


def test_without_any_size_nothing_is_proven() -> None:
    wanted = replace(VLLM, features=frozenset({"indexcache", "mtp", "chunked_prefill"}), full_layers=2)
    assert {p.outcome for p in judge_proofs(wanted, ())} == {"unproven"}


TRTLLM_POOL = "[TensorRT-LLM][INFO] [MemUsageChange] Allocated {} GiB for max tokens in paged KV cache ({})."


@pytest.mark.parametrize(
    ("gib", "outcome"),
    [
        ("133.44", "proven"),  # 78 x (1152 + 132) bytes: GLM-5 with bf16 KV, indexer keys counted as bytes
        ("147.32", "unproven"),  # the same cache in builds that counted the keys' bytes twice: no layout has this size
    ],
)
def test_tensorrt_llm_s_published_size_of_glm_5_is_read_and_says_that_nobody_watched(gib: str, outcome: str) -> None:
    """Numbers: https://github.com/NVIDIA/TensorRT-LLM/pull/15088 (1,430,656 tokens); line: kvCacheManager.cpp."""
    wanted = replace(TRTLLM, shape=KvShape(), full_layers=78)
    seen = read_observations(ENGINES["trtllm"].observe, Sources(log=TRTLLM_POOL.format(gib, 1_430_656)))
    layout = proof("kv_layout", wanted, seen)
    assert layout.outcome == outcome and "known from source only" in layout.detail
    assert proof("dsa", wanted, seen).outcome == "unproven", "no line tells which attention runs"


LAYOUTS: list[Layout] = ["dsa_fp8_packed", "dsa_fp8_trtllm", "dsa_bf16"]


@given(st.sampled_from(LAYOUTS), st.integers(1, 77), st.sampled_from(["vllm", "sglang"]))
def test_the_pool_of_the_asked_pattern_proves_it_and_that_of_no_sharing_refutes_it(
    layout: Layout, full: int, dialect: str
) -> None:
    wanted = Requested(
        dialect=dialect, layout=layout, full_layers=full, features=frozenset({"indexcache"}), page_tokens=64
    )
    shared = proof("indexcache", wanted, pool(predict_token_bytes(wanted, layout, full), 700_032))
    inert = proof("indexcache", wanted, pool(predict_token_bytes(wanted, layout, 78), 700_032))
    assert (shared.outcome, inert.outcome) == ("proven", "refuted" if dialect == "vllm" else "unproven")


@given(st.integers(1, 10**6), st.integers(1, 10**9))
def test_the_true_size_lies_within_what_whole_pages_leave_open(size: int, memory: int) -> None:
    """vLLM logs memory and the tokens that fit in whole pages."""
    page = 64
    tokens = memory // (size * page) * page
    measured = measure_token_bytes([see("kv_bytes", memory), see("kv_tokens", tokens)], page)
    assert measured is None if tokens == 0 else measured is not None and measured.holds(size)


def test_the_same_cell_without_indexcache_stores_exactly_the_shared_keys_more() -> None:
    wanted = sharing(VLLM)
    proven = proof("indexcache", wanted, read("vllm_0_26_0_indexcache_fsfs"), ablation=read("vllm_0_26_0_bf16_kv"))
    assert (proven.outcome, proven.rung) == ("proven", Rung.ABLATION)
    assert "264 predicted" in proven.detail


def test_an_ablation_without_difference_refutes() -> None:
    same = read("vllm_0_26_0_bf16_kv")
    assert proof("indexcache", sharing(VLLM), same, ablation=same).rung is Rung.ABLATION
    assert proof("indexcache", sharing(VLLM), same, ablation=same).outcome == "refuted"


def test_an_ablation_that_saves_something_else_proves_nothing() -> None:
    """One shared layer was asked for, two save their keys."""
    sizes = [measure_token_bytes(read(f"vllm_0_26_0_{name}"), 64) for name in ("indexcache_fsfs", "bf16_kv")]
    proofs = prove_by_ablation(sharing(VLLM, 3), *sizes)
    assert [p.outcome for p in proofs] == ["unproven"]


def test_indexer_keys_that_a_dense_backend_never_reads_refute_dsa() -> None:
    """SGLang with an explicit --attention-backend flashinfer: NSA pool and indexers are built, attention is dense."""
    seen = [*pool(5136), see("attention_backend", "flashinfer", Rung.ECHO)]
    refuted = proof("dsa", SGLANG, seen)
    assert refuted.outcome == "refuted" and "flashinfer" in refuted.detail


def test_indexer_keys_alone_do_not_prove_dsa() -> None:
    assert proof("dsa", SGLANG, pool(5136)).outcome == "unproven"
    assert proof("dsa", SGLANG, [*pool(5136), SELECTED]).outcome == "proven"


def test_a_line_about_the_backend_alone_does_not_prove_dsa() -> None:
    assert proof("dsa", VLLM, [SELECTED]).outcome == "unproven"


def test_a_dense_plan_is_not_asked_for_dsa() -> None:
    assert "dsa" not in by_feature(judge_proofs(replace(SGLANG, layout="dense_fp8"), pool(4 * 576)))


def test_a_wrong_typed_pattern_breaks_its_reader_in_the_recorded_log() -> None:
    log = (LOGS / "vllm_0_26_0_pattern_of_wrong_type.log").read_text(encoding="utf-8")
    found = prove_by_wrong_type(False, log)
    assert (found.outcome, found.rung) == ("proven", Rung.ABLATION)
    assert found.detail.endswith("TypeError: object of type 'int' has no len()")


def test_an_engine_that_comes_up_with_it_reads_nothing() -> None:
    assert prove_by_wrong_type(True, "").outcome == "refuted"
    assert prove_by_wrong_type(False, "CUDA out of memory").outcome == "unproven"
