"""Named backends, the ladder's laws, and what a plan asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.judging.kv_bytes import TokenBytes
from matrix.judging.observation import Observation, Rung
from matrix.judging.proof import FeatureProof, judge_proofs, pick_strongest
from matrix.judging.requested import read_requested
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import make_plan
from matrix.yaml.load import load_matrix
from tests.matrix.judging.proof.world import SGLANG, VLLM, proof, see
from tests.matrix.judging.test_observation import read


@pytest.mark.parametrize(
    ("asked", "got", "rung", "outcome"),
    [
        ("flashinfer_cutlass", "FlashInfer CUTLASS", Rung.LOG, "proven"),
        ("flashinfer_cutlass", "TRITON", Rung.LOG, "refuted"),
        ("flashinfer", "flashinfer", Rung.ECHO, "unproven"),
        ("flashinfer", "triton", Rung.ECHO, "refuted"),
    ],
)
def test_a_named_backend_is_compared_and_an_echo_only_refutes(asked: str, got: str, rung: Rung, outcome: str) -> None:
    wanted = replace(VLLM, moe_backend=asked)
    assert proof("moe_backend", wanted, [see("moe_backend", got, rung)]).outcome == outcome


def test_dsa_backends_are_compared_for_prefill_and_decode() -> None:
    wanted = replace(SGLANG, dsa_backends=("flashmla_sparse", "flashmla_kv"))
    got = [p.outcome for p in judge_proofs(wanted, read("sglang_0_5_17_bf16_kv")) if p.feature == "dsa_backends"]
    assert got == ["proven", "refuted"]


PROOFS = st.builds(
    FeatureProof,
    feature=st.just("x"),
    outcome=st.sampled_from(["proven", "refuted", "unproven"]),
    rung=st.sampled_from(list(Rung)),
    detail=st.text(max_size=5),
)


@given(st.lists(PROOFS, min_size=1), PROOFS)
def test_a_refutation_stands_whatever_else_is_said(proofs: list[FeatureProof], more: FeatureProof) -> None:
    refuted = replace(more, outcome="refuted")
    assert pick_strongest([*proofs, refuted]).outcome == "refuted"
    assert pick_strongest([*proofs, replace(more, outcome="unproven")]).outcome == pick_strongest(proofs).outcome


ECHOES = st.lists(
    st.builds(
        see,
        st.sampled_from(["attention_backend", "moe_backend", "kv_dtype", "chunk_tokens", "context"]),
        st.sampled_from(["dsa", "triton", "bfloat16", "4096"]),
        st.just(Rung.ECHO),
    )
)


@given(ECHOES, st.sampled_from(["vllm", "sglang", "llamacpp", "trtllm"]))
def test_an_echo_alone_never_proves(echoes: list[Observation], dialect: str) -> None:
    wanted = replace(
        VLLM,
        dialect=dialect,
        features=frozenset({"indexcache", "mtp", "chunked_prefill"}),
        full_layers=2,
        attention_backend="dsa",
        moe_backend="triton",
    )
    assert "proven" not in {p.outcome for p in judge_proofs(wanted, echoes)}


def test_every_plan_can_be_asked_what_it_wants() -> None:
    for cell in expand_matrix(load_matrix()).runnable:
        wanted = read_requested(make_plan(load_matrix(), cell))
        assert 1 <= wanted.full_layers <= wanted.shape.layers
        shares = "indexcache" in cell.features or cell.checkpoint.index_sharing == "checkpoint"
        stage_alone = wanted.ranks.pp > 1  # FF of FFSS shares nothing
        assert stage_alone or shares == (wanted.full_layers < wanted.shape.layers), cell.id


def test_the_pattern_of_seeds_004_leaves_40_layers() -> None:
    cell = next(
        c
        for c in expand_matrix(load_matrix()).runnable
        if "indexcache" in c.features and c.checkpoint.id == "glm51_478b_nvfp4"
    )
    assert read_requested(make_plan(load_matrix(), cell)).full_layers == 40, "not the 23 of the card"


def test_sizes_are_shown_with_their_spread() -> None:
    assert (
        str(TokenBytes(low=5135.0, high=5137.0, where="log line 1")) == "5136.0 +- 1.0 bytes per KV token (log line 1)"
    )
