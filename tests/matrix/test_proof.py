"""Every rung decides what it may: real logs of three engines, planted lies, and what an echo must never do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.drafting import counted
from matrix.expand import expand
from matrix.kv_reading import TokenBytes, predicted, readings, token_bytes
from matrix.load import load
from matrix.observation import Observation, Rung, Seen, Sources, observe
from matrix.plan import plan
from matrix.preflight.kv import GIB, Layout, Shape
from matrix.proof import DRAFTED_TOKENS, Probe, Proof, by_ablation, judge, mtp, strongest, wrong_type_breaks
from matrix.requested import Requested, requested
from tests.matrix.test_observation import ENGINES, LOGS, read

FOUR = Shape(layers=4)
VLLM = Requested(dialect="vllm", shape=FOUR, layout="dsa_bf16", full_layers=4, page_tokens=64, chunk_tokens=4096)
SGLANG = replace(VLLM, dialect="sglang")
LLAMACPP = replace(VLLM, dialect="llamacpp", page_tokens=1)


def sharing(wanted: Requested, full_layers: int = 2) -> Requested:
    """With IndexCache: so many layers keep their own indexer."""
    return replace(wanted, features=frozenset({"indexcache"}), full_layers=full_layers)


def drafting(wanted: Requested) -> Requested:
    return replace(wanted, features=frozenset({"mtp"}))


def by_feature(proofs: tuple[Proof, ...]) -> dict[str, tuple[str, Rung]]:
    return {p.feature: (p.outcome, p.rung) for p in proofs}


def proof(feature: str, wanted: Requested, seen: Seen, **more: Any) -> Proof:
    return next(p for p in judge(wanted, seen, **more) if p.feature == feature)


def see(name: str, value: str | float, rung: Rung = Rung.COUNTER, unit: str = "", **also: str) -> Observation:
    return Observation(name=name, value=value, rung=rung, where="log line 1", unit=unit, also=also)


def pool(token_bytes_: int, tokens: int = 10_000_000) -> list[Observation]:
    """What an engine would log for a token of this size."""
    return [
        replace(see("kv_bytes", token_bytes_ * tokens, unit="bytes"), half_step=0.005 * GIB),
        see("kv_tokens", tokens, unit="tokens"),
    ]


SELECTED = see("dsa_selected", "FLASH_ATTN_MLA_SPARSE", Rung.LOG)


# --- bytes per KV token: recorded logs -------------------------------------------------------------------------------

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
    measured = token_bytes(read(log), wanted.page_tokens)
    assert measured is not None and measured.holds(size)
    (found,) = readings(measured, wanted)
    assert (found.layout, found.full_layers, found.mtp_layers, found.token_bytes) == (layout, full, mtp, size)


@pytest.mark.parametrize(("log", "wanted"), [r[:2] for r in RECORDED], ids=[r[0] for r in RECORDED])
def test_what_the_recorded_launches_asked_for_is_proven(log: str, wanted: Requested) -> None:
    got = by_feature(judge(wanted, read(log)))
    assert got["kv_layout"] == got["dsa"] == ("proven", Rung.COUNTER)
    if "indexcache" in wanted.features:
        assert got["indexcache"] == ("proven", Rung.COUNTER)


@pytest.mark.parametrize("log", ["vllm_0_26_0_bf16_kv", "vllm_0_26_0_canary", "sglang_0_5_17_bf16_kv"])
def test_indexcache_asked_of_a_launch_without_it_is_refuted(log: str) -> None:
    wanted = sharing(VLLM if log.startswith("vllm") else SGLANG)
    refuted = proof("indexcache", wanted, read(log))
    assert (refuted.outcome, refuted.rung) == ("refuted", Rung.COUNTER)
    assert "4 of 4 layers keep indexer keys, the pattern leaves 2: IndexCache is inert" in refuted.detail


def test_another_pattern_than_the_asked_one_is_refuted_too() -> None:
    refuted = proof("indexcache", sharing(VLLM, 3), read("vllm_0_26_0_indexcache_fsfs"))
    assert refuted.outcome == "refuted" and "inert" not in refuted.detail


def test_the_engine_s_own_count_of_indexer_layers_is_enough() -> None:
    wanted = sharing(LLAMACPP)
    assert proof("indexcache", wanted, [see("indexer_layers", 2)]).outcome == "proven"
    assert proof("indexcache", wanted, [see("indexer_layers", 4)]).outcome == "refuted"


def test_a_dense_pool_refutes_dsa_and_indexcache() -> None:
    """The numbers of seeds/004: 270,060 tokens in 11.3 GiB, IndexCache on the command line."""
    wanted = Requested(
        dialect="sglang", layout="dsa_fp8_packed", full_layers=40, features=frozenset({"indexcache"}), page_tokens=128
    )
    seen = [
        replace(see("kv_bytes", 11.3 * GIB, unit="bytes"), half_step=0.05 * GIB),
        see("kv_tokens", 270_060, unit="tokens"),
    ]  # fmt: skip
    got = by_feature(judge(wanted, seen))
    assert got == dict.fromkeys(("kv_layout", "dsa", "indexcache"), ("refuted", Rung.COUNTER))


def test_a_log_too_coarse_to_tell_proves_nothing() -> None:
    wanted = replace(VLLM, shape=Shape(), full_layers=77, features=frozenset({"indexcache"}))
    size = predicted(wanted, "dsa_bf16", 77)
    coarse = [replace(pool(size)[0], half_step=size * 10_000_000 * 0.01), pool(size)[1]]
    assert proof("indexcache", wanted, coarse).outcome == "unproven"
    assert proof("indexcache", wanted, pool(size)).outcome == "proven", "printed finely, one layer of 78 shows"


def test_a_pattern_that_shares_nothing_cannot_be_proven() -> None:
    wanted = replace(VLLM, features=frozenset({"indexcache"}))
    assert proof("indexcache", wanted, read("vllm_0_26_0_bf16_kv")).outcome == "unproven"


def test_without_any_size_nothing_is_proven() -> None:
    wanted = replace(VLLM, features=frozenset({"indexcache", "mtp", "chunked_prefill"}), full_layers=2)
    assert {p.outcome for p in judge(wanted, ())} == {"unproven"}


LAYOUTS: list[Layout] = ["dsa_fp8_packed", "dsa_fp8_trtllm", "dsa_bf16"]


@given(st.sampled_from(LAYOUTS), st.integers(1, 77), st.sampled_from(["vllm", "sglang"]))
def test_the_pool_of_the_asked_pattern_proves_it_and_that_of_no_sharing_refutes_it(
    layout: Layout, full: int, dialect: str
) -> None:
    wanted = Requested(
        dialect=dialect, layout=layout, full_layers=full, features=frozenset({"indexcache"}), page_tokens=64
    )
    shared = proof("indexcache", wanted, pool(predicted(wanted, layout, full), 700_032))
    inert = proof("indexcache", wanted, pool(predicted(wanted, layout, 78), 700_032))
    assert (shared.outcome, inert.outcome) == ("proven", "refuted")


@given(st.integers(1, 10**6), st.integers(1, 10**9))
def test_the_true_size_lies_within_what_whole_pages_leave_open(size: int, memory: int) -> None:
    """vLLM logs memory and the tokens that fit in whole pages."""
    page = 64
    tokens = memory // (size * page) * page
    measured = token_bytes([see("kv_bytes", memory), see("kv_tokens", tokens)], page)
    assert measured is None if tokens == 0 else measured is not None and measured.holds(size)


# --- ablation of sizes ------------------------------------------------------------------------------------------------


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
    sizes = [token_bytes(read(f"vllm_0_26_0_{name}"), 64) for name in ("indexcache_fsfs", "bf16_kv")]
    proofs = by_ablation(sharing(VLLM, 3), *sizes)
    assert [p.outcome for p in proofs] == ["unproven"]


# --- sparse attention -------------------------------------------------------------------------------------------------


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
    assert "dsa" not in by_feature(judge(replace(SGLANG, layout="dense_fp8"), pool(4 * 576)))


# --- MTP --------------------------------------------------------------------------------------------------------------


def drafts(drafted: float, accepted: float, generated: float = 1000) -> list[Observation]:
    numbers = {"drafted_tokens": drafted, "accepted_tokens": accepted, "generated_tokens": generated}
    return [see(name, number, unit="tokens") for name, number in numbers.items()]


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        (drafts(389, 359), "proven"),  # the canary, one draft token
        (drafts(81, 0), "refuted"),  # random weights (vLLM, H200)
        (drafts(0, 0), "refuted"),
        (drafts(0, 0, generated=3), "unproven"),
        (drafts(DRAFTED_TOKENS - 1, 40), "unproven"),
        (drafts(DRAFTED_TOKENS, DRAFTED_TOKENS), "unproven"),  # every one, and no count of steps beside it
        ([*drafts(114, 114, generated=234), see("drafts", 114)], "proven"),  # the canary's stories by heart, measured
        ([*drafts(114, 114, generated=227), see("drafts", 114)], "refuted"),  # more than was made
        ([*drafts(300, 300, generated=400), see("drafts", 100)], "unproven"),  # three a step, and how many replies?
        ([*drafts(300, 300, generated=400), see("drafts", 100), see("requests", 4)], "proven"),
        ([*drafts(300, 300, generated=390), see("drafts", 100), see("requests", 4)], "refuted"),
        (drafts(60, 61), "refuted"),
        (drafts(10, 11), "refuted"),  # however few
        (drafts(DRAFTED_TOKENS * 2, DRAFTED_TOKENS * 2 * 0.3), "proven"),
        (drafts(DRAFTED_TOKENS * 2, DRAFTED_TOKENS * 2 * 0.3 - 1), "refuted"),
        ([see("accept_length_metric", 2.7)], "proven"),
        ([see("accept_length_metric", 1.0)], "refuted"),
        ([], "unproven"),
    ],
)
def test_mtp_is_judged_by_what_was_drafted_and_accepted(seen: Seen, outcome: str) -> None:
    assert proof("mtp", drafting(LLAMACPP), seen).outcome == outcome


@pytest.mark.parametrize(("log", "outcome"), [("canary_mtp", "proven"), ("mtp_random", "refuted")])
def test_mtp_in_recorded_logs(log: str, outcome: str) -> None:
    found = proof("mtp", drafting(VLLM), read(f"vllm_0_26_0_{log}"))
    assert (found.outcome, found.rung) == (outcome, Rung.COUNTER)
    assert "the cache has an MTP layer" in found.detail


def test_a_pool_without_the_mtp_layer_refutes_mtp_in_vllm() -> None:
    found = proof("mtp", drafting(VLLM), read("vllm_0_26_0_canary"))
    assert found.outcome == "refuted" and "no MTP layer in the cache" in found.detail


@pytest.mark.parametrize("log", ["sglang_0_5_17_bf16_kv", "vllm_0_26_0_bf16_kv"])
def test_an_engine_that_says_it_does_not_speculate_is_believed(log: str) -> None:
    wanted = drafting(replace(SGLANG, dialect=log.partition("_")[0]))
    seen = [o for o in read(log) if o.name == "speculation"]
    assert [(p.outcome, p.rung) for p in judge(wanted, seen) if p.feature == "mtp"] == [("refuted", Rung.ECHO)]
    on = [replace(o, value="SpeculativeConfig") for o in seen]
    assert proof("mtp", wanted, on).outcome == "unproven", "the opposite proves nothing"


def test_only_what_was_drafted_since_then_is_judged() -> None:
    before = [*drafts(1000, 0, generated=2000), see("drafts", 1000)]
    after = [*drafts(1060, 50, generated=2115), see("drafts", 1060)]
    assert mtp(after).outcome == "refuted"
    found = mtp(after, before)
    assert (found.outcome, found.data["accepted"]) == ("proven", 50)
    assert proof("mtp", drafting(LLAMACPP), after, undrafted=before) == found


def test_positions_that_do_not_add_up_are_a_lie() -> None:
    spoken = [see("accepted_per_position", n, position=str(i)) for i, n in enumerate((40, 20))]
    assert mtp([*drafts(100, 60), *spoken]).outcome == "proven"
    assert mtp([*drafts(100, 80), *spoken]).outcome == "refuted"


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=40), min_size=1, max_size=8), st.integers(0, 3))
def test_no_honest_engine_contradicts_itself(replies: list[list[int]], cut: int) -> None:
    """Steps of three drafts, each accepting some; a reply may end inside its last step."""
    steps = [accepted for reply in replies for accepted in reply]
    made = sum(1 + sum(1 + a for a in reply) - min(cut, reply[-1]) for reply in replies)
    numbers = {"drafts": len(steps), "drafted_tokens": 3 * len(steps), "accepted_tokens": sum(steps)}
    seen = [see(n, v) for n, v in {**numbers, "generated_tokens": made, "requests": len(replies)}.items()]
    found = counted(seen)
    assert found is not None and found.most_made is not None and not [*found.contradictions()]


def test_acceptance_by_position_is_kept() -> None:
    spec: Mapping[str, Any] = ENGINES["llamacpp"].observe
    text = "\n".join(
        ["llamacpp:spec_decode_num_draft_tokens_total 280", "llamacpp:spec_decode_num_accepted_tokens_total 248"]
        + [
            f'llamacpp:spec_decode_num_accepted_tokens_per_pos_total{{position="{i}"}} {n}'
            for i, n in enumerate((248, 137))
        ]
    )
    found = proof("mtp", drafting(LLAMACPP), observe(spec, Sources(metrics=text)))
    assert found.data["accepted_per_position"] == {"0": 248.0, "1": 137.0}


# --- chunked prefill --------------------------------------------------------------------------------------------------


def probe(prompt: int, before: Seen = (), after: Seen = (), generated: int = 1) -> Probe:
    return Probe(prompt_tokens=prompt, generated_tokens=generated, before=before, after=after)


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
def test_chunks_are_counted(sent: Probe | None, outcome: str) -> None:
    assert proof("chunked_prefill", CHUNKED, (), probe=sent).outcome == outcome


def test_chunks_in_a_recorded_log() -> None:
    """6,002 tokens after five short requests: 4096 + 1920 (pages of 64), then a short one follows."""
    seen = [o for o in read("sglang_0_5_17_bf16_kv") if o.name == "prefill_chunk"]
    wanted = replace(SGLANG, features=frozenset({"chunked_prefill"}))
    sent = probe(6002, seen[:-3], seen[:-1])
    assert proof("chunked_prefill", wanted, seen, probe=sent).outcome == "proven"
    for chunk in (2048, 3500):  # too few batches; as many as wanted, one of them larger than the chunk
        assert proof("chunked_prefill", replace(wanted, chunk_tokens=chunk), seen, probe=sent).outcome == "refuted"


# --- backends and the ladder ------------------------------------------------------------------------------------------


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
    got = [p.outcome for p in judge(wanted, read("sglang_0_5_17_bf16_kv")) if p.feature == "dsa_backends"]
    assert got == ["proven", "refuted"]


PROOFS = st.builds(
    Proof, feature=st.just("x"), outcome=st.sampled_from(["proven", "refuted", "unproven"]),
    rung=st.sampled_from(list(Rung)), detail=st.text(max_size=5),
)  # fmt: skip


@given(st.lists(PROOFS, min_size=1), PROOFS)
def test_a_refutation_stands_whatever_else_is_said(proofs: list[Proof], more: Proof) -> None:
    refuted = replace(more, outcome="refuted")
    assert strongest([*proofs, refuted]).outcome == "refuted"
    assert strongest([*proofs, replace(more, outcome="unproven")]).outcome == strongest(proofs).outcome


ECHOES = st.lists(
    st.builds(
        see, st.sampled_from(["attention_backend", "moe_backend", "kv_dtype", "chunk_tokens", "context"]),
        st.sampled_from(["dsa", "triton", "bfloat16", "4096"]), st.just(Rung.ECHO),
    )
)  # fmt: skip


@given(ECHOES, st.sampled_from(["vllm", "sglang", "llamacpp", "trtllm"]))
def test_an_echo_alone_never_proves(echoes: list[Observation], dialect: str) -> None:
    wanted = replace(
        VLLM, dialect=dialect, features=frozenset({"indexcache", "mtp", "chunked_prefill"}), full_layers=2,
        attention_backend="dsa", moe_backend="triton",
    )  # fmt: skip
    assert "proven" not in {p.outcome for p in judge(wanted, echoes)}


# --- what a plan asks for ---------------------------------------------------------------------------------------------


def test_every_plan_can_be_asked_what_it_wants() -> None:
    for cell in expand(load()).runnable:
        wanted = requested(plan(load(), cell))
        assert 1 <= wanted.full_layers <= wanted.shape.layers
        assert ("indexcache" in cell.features) == (wanted.full_layers < wanted.shape.layers), cell.id


def test_the_pattern_of_seeds_004_leaves_40_layers() -> None:
    cell = next(
        c for c in expand(load()).runnable if "indexcache" in c.features and c.checkpoint.id == "glm51_478b_nvfp4"
    )
    assert requested(plan(load(), cell)).full_layers == 40, "not the 23 of the card"


def test_sizes_are_shown_with_their_spread() -> None:
    assert (
        str(TokenBytes(low=5135.0, high=5137.0, where="log line 1")) == "5136.0 +- 1.0 bytes per KV token (log line 1)"
    )


# --- a pattern of the wrong type --------------------------------------------------------------------------------------


def test_a_wrong_typed_pattern_breaks_its_reader_in_the_recorded_log() -> None:
    log = (LOGS / "vllm_0_26_0_pattern_of_wrong_type.log").read_text(encoding="utf-8")
    found = wrong_type_breaks(False, log)
    assert (found.outcome, found.rung) == ("proven", Rung.ABLATION)
    assert found.detail.endswith("TypeError: object of type 'int' has no len()")


def test_an_engine_that_comes_up_with_it_reads_nothing() -> None:
    assert wrong_type_breaks(True, "").outcome == "refuted"
    assert wrong_type_breaks(False, "CUDA out of memory").outcome == "unproven"
