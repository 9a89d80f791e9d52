"""MTP by drafts, by tokens per step and by the cache: real logs, and counters that cannot be true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.errors import EngineReplyMalformed
from matrix.judging.drafting import count_drafts
from matrix.judging.kv_bytes import LayoutMatch, TokenBytes
from matrix.judging.observation import Observation, Rung, Seen, Sources, read_observations
from matrix.judging.proof import DRAFTED_TOKENS, judge_proofs, mtp
from tests.matrix.judging.proof.world import LLAMACPP, SGLANG, TRTLLM, VLLM, drafting, proof, see
from tests.matrix.judging.test_observation import ENGINES, LOGS, read


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
    assert [(p.outcome, p.rung) for p in judge_proofs(wanted, seen) if p.feature == "mtp"] == [("refuted", Rung.ECHO)]
    on = [replace(o, value="SpeculativeConfig") for o in seen]
    assert proof("mtp", wanted, on).outcome == "unproven", "the opposite proves nothing"


def test_acceptance_by_position_is_shown() -> None:
    spec: Mapping[str, Any] = ENGINES["llamacpp"].observe
    metric = "llamacpp:spec_decode_num"
    text = [f"{metric}_draft_tokens_total 560", f"{metric}_accepted_tokens_total 385", f"{metric}_drafts_total 280"]
    text += [f'{metric}_accepted_tokens_per_pos_total{{position="{i}"}} {n}' for i, n in enumerate((248, 137))]
    found = proof("mtp", drafting(LLAMACPP), read_observations(spec, Sources(metrics="\n".join(text))))
    assert found.outcome == "proven" and found.data["accepted_per_position"] == [248.0, 137.0]
    assert "385 of 560 drafted tokens accepted" in found.detail and "by position 89%, 49%" in found.detail


@pytest.mark.parametrize(
    ("positions", "outcome"),
    [
        ((248, 137), "proven"),
        ((137, 248), "refuted"),  # the second token of a draft is looked at only when the first was right
        ((60, 60), "refuted"),  # 43 % in all, but the head's first guess is noise: 60 of 280
        ((), "proven"),
    ],
)
def test_positions_must_be_possible_and_the_first_one_no_noise(positions: tuple[float, ...], outcome: str) -> None:
    accepted = sum(positions) or 385
    spoken = [see("accepted_per_position", n, position=str(i)) for i, n in enumerate(positions)]
    seen = [*drafts(accepted / 0.43, accepted), see("drafts", 280), *spoken]
    assert mtp.prove_mtp(seen).outcome == outcome


def test_only_what_was_drafted_since_then_is_judged() -> None:
    before = [*drafts(1000, 0, generated=2000), see("drafts", 1000)]
    after = [*drafts(1060, 50, generated=2115), see("drafts", 1060)]
    assert mtp.prove_mtp(after).outcome == "refuted"
    found = mtp.prove_mtp(after, before)
    assert (found.outcome, found.data["accepted"]) == ("proven", 50)
    assert proof("mtp", drafting(LLAMACPP), after, undrafted=before) == found


def test_positions_that_do_not_add_up_are_a_lie() -> None:
    spoken = [see("accepted_per_position", n, position=str(i)) for i, n in enumerate((40, 20))]
    assert mtp.prove_mtp([*drafts(100, 60), *spoken]).outcome == "proven"
    assert mtp.prove_mtp([*drafts(100, 80), *spoken]).outcome == "refuted"


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=40), min_size=1, max_size=8), st.integers(0, 3))
def test_no_honest_engine_contradicts_itself(replies: list[list[int]], cut: int) -> None:
    """Steps of three drafts, each accepting some; a reply may end inside its last step."""
    steps = [accepted for reply in replies for accepted in reply]
    made = sum(1 + sum(1 + a for a in reply) - min(cut, reply[-1]) for reply in replies)
    numbers = {"drafts": len(steps), "drafted_tokens": 3 * len(steps), "accepted_tokens": sum(steps)}
    seen = [see(n, v) for n, v in {**numbers, "generated_tokens": made, "requests": len(replies)}.items()]
    found = count_drafts(seen)
    assert found is not None and found.most_made is not None and not [*found.find_contradictions()]


# SGLang: no counters of drafts, only the tokens that a step yields


def lines(*lengths: float) -> list[Observation]:
    return [see("accept_length", n, unit="tokens") for n in lengths]


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        ([see("accept_length_served", 2.7)], "proven"),
        ([see("accept_length_served", 1.02)], "refuted"),
        ([see("accept_length_served", 2.7), *lines(1.0)], "proven"),  # the mean since the start before the last line
        (lines(2.9, 2.5, 1.0), "proven"),  # one slow stretch of 40 steps is no verdict
        (lines(1.0, 1.0, 1.6), "refuted"),
        ([see("accept_length_metric", 0.0)], "unproven"),  # the gauge before its first line: not measured yet
        ([see("accept_length_metric", 0.0), *lines(2.0)], "proven"),
    ],
)
def test_tokens_per_step_are_judged_by_the_longest_stretch(seen: Seen, outcome: str) -> None:
    assert proof("mtp", drafting(SGLANG), seen).outcome == outcome


DECODE = (
    "[2026-11-25 01:02:03] Decode batch, #running-req: 1, #token: 320, token usage: 0.00, {}cuda graph: False, gen thro"
)


def test_sglang_s_decode_line_is_read_as_its_source_writes_it() -> None:
    """From the format strings of metrics_reporter.py (0.5.17, 0.5.23) and scheduler_metrics_mixin.py (0.5.10.post1)."""
    log = "\n".join([DECODE.format("accept len: 2.65, accept rate: 0.55, "), DECODE.format("")])
    seen = read_observations(ENGINES["sglang"].observe, Sources(log=log))
    (found,) = (each for each in seen if each.name.startswith("accept_length"))
    assert (found.number, found.rung, dict(found.also)) == (2.65, Rung.COUNTER, {"rate": "0.55"})


RECORDED = sorted(path.stem for path in LOGS.glob("sglang_*mtp*.log"))
NONE_YET = [pytest.param("", marks=pytest.mark.skip("no log of an SGLang launch with MTP is recorded yet"))]


@pytest.mark.parametrize("log", RECORDED or NONE_YET)
def test_mtp_in_sglang_s_recorded_logs(log: str) -> None:
    """Trained drafts are proven, random ones (`random` in the file's name) refuted; the first pool logged is the
    target's, so that the layout is read as without MTP."""
    wanted = drafting(replace(SGLANG, layout="dsa_fp8_packed" if "fp8_kv" in log else "dsa_bf16"))
    found = {p.feature: p for p in judge_proofs(wanted, read(log))}
    assert found["mtp"].outcome == ("refuted" if "random" in log else "proven"), found["mtp"].detail
    assert found["mtp"].rung is Rung.COUNTER and found["kv_layout"].outcome == "proven"


# TensorRT-LLM: read in its source, never recorded


def test_tensorrt_llm_s_counters_say_that_nobody_has_seen_them() -> None:
    """Labels as metrics/collector.py writes them."""
    positions = {"drafted": (300, 300), "accepted": (240, 150)}
    text = "\n".join(
        f'trtllm_spec_decode_{kind}_tokens_total{{model_name="m",token_position="{i}"}} {n}'
        for kind, numbers in positions.items()
        for i, n in enumerate(numbers)
    )
    found = proof("mtp", drafting(TRTLLM), read_observations(ENGINES["trtllm"].observe, Sources(metrics=text)))
    assert found.outcome == "proven" and found.data["accepted_per_position"] == [240.0, 150.0]
    assert "390 of 600 drafted tokens accepted" in found.detail and "known from source only" in found.detail
    assert proof("mtp", drafting(TRTLLM), ()).outcome == "unproven"


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        ([*drafts(DRAFTED_TOKENS, 40)], "proven"),  # just enough of them
        (drafts(0, 0, generated=DRAFTED_TOKENS), "refuted"),
        ([*drafts(114, 114, generated=228), see("drafts", 114)], "proven"),  # each step makes one token and the draft
        ([see("accept_length_metric", mtp.ACCEPT_LENGTH)], "proven"),
        ([see("drafted_tokens", 100)], "unproven"),  # how many were accepted is not said
    ],
)
def test_a_number_at_its_bound_is_within_it(seen: Seen, outcome: str) -> None:
    assert proof("mtp", drafting(LLAMACPP), seen).outcome == outcome


@pytest.mark.parametrize("positions", [(84,), (100, 20), (60, 60)])
def test_only_the_first_place_of_a_draft_must_be_no_noise(positions: tuple[float, ...]) -> None:
    steps = 280 if positions == (84,) else 110  # 84 of 280 is the bound itself
    spoken = [see("accepted_per_position", n, position=str(i)) for i, n in enumerate(positions)]
    accepted = sum(positions)
    found = mtp.prove_mtp([*drafts(accepted / 0.43, accepted), see("drafts", steps), *spoken])
    assert found.outcome == "proven", found.detail
    assert f"({0.43:.1%}, log line 1)" in found.detail
    assert (", by position " in found.detail) == (len(positions) > 1)


def test_every_counter_is_taken_since_then() -> None:
    def counted(**numbers: float) -> Seen:
        places = [see("accepted_per_position", numbers.pop(f"at_{i}"), position=str(i)) for i in (0, 1)]
        return [*(replace(see(name, number), where=name) for name, number in numbers.items()), *places]

    before = counted(
        drafted_tokens=1000, accepted_tokens=30, generated_tokens=2000, drafts=500, requests=7, at_0=20, at_1=10
    )
    after = counted(
        drafted_tokens=1100, accepted_tokens=90, generated_tokens=2200, drafts=550, requests=9, at_0=65, at_1=25
    )
    found = count_drafts(after, before)
    assert found is not None
    counts = (found.drafted, found.accepted, found.generated, found.drafts, found.requests)
    assert (counts, found.positions, found.where) == ((100, 60, 200, 50, 2), {0: 45, 1: 15}, "drafted_tokens")


@pytest.mark.parametrize("place", ["", "x", "12345", "-1"])
def test_a_place_in_a_draft_that_is_no_place_is_the_engine_s_error(place: str) -> None:
    with pytest.raises(EngineReplyMalformed, match="which is no place") as caught:
        count_drafts([*drafts(100, 60), see("accepted_per_position", 60, position=place)])
    assert caught.value.received == place


def test_log_lines_since_then_are_summed_and_an_unreadable_count_is_a_contradiction() -> None:
    """vLLM's lines each tell of the time since the line before."""
    said = [
        replace(see("accept_length", 1.9, accepted=a, drafted=d), where=f"log line {n}")
        for n, (a, d) in enumerate((("7", "90"), ("45", "50"), ("40", "50")), 1)
    ]
    found = count_drafts([*said, see("accept_length", 1.9)], said[:1])
    assert found is not None
    assert (found.accepted, found.drafted, found.where) == (85, 100, "log line 2 to log line 3")
    assert count_drafts([see("accept_length", 1.9)]) is None
    assert mtp.prove_mtp(said[1:]).outcome == "proven"
    broken = [see("accept_length", 1.9, drafted="50")]
    assert "NaN or infinite" in mtp.prove_mtp(broken).detail and mtp.prove_mtp(broken).outcome == "refuted"


def test_a_verdict_keeps_its_numbers() -> None:
    contrary = mtp.prove_mtp(drafts(60, 61))
    assert contrary.data == {"drafted": 60, "accepted": 61, "accepted_per_position": []}
    assert mtp.prove_mtp(drafts(0, 0)).data == {"drafted": 0}
    assert mtp.prove_by_length(2.5, "here").data == {"accept_length": 2.5}


def test_a_pool_refutes_mtp_alone() -> None:
    wanted, size = drafting(VLLM), TokenBytes(low=10, high=10, where="log line 1")
    without, within = (LayoutMatch(layout="dsa_bf16", full_layers=4, mtp_layers=n, token_bytes=10) for n in (0, 1))
    said = {
        n: [(p.feature, p.outcome) for p in mtp.prove_by_layer(wanted, size, m)]
        for n, m in (("without", [without]), ("within", [within]), ("either", [without, within]))
    }
    assert said == {"without": [("mtp", "refuted")], "within": [("mtp", "unproven")], "either": [("mtp", "unproven")]}


@pytest.mark.parametrize("draft", sorted(mtp.OTHER_DRAFTS))
def test_another_draft_is_judged_by_the_same_counters_and_its_pool_by_nothing(draft: str) -> None:
    """Its keys lie in the pool, too, and no arithmetic here knows their size: a true layout would look wrong."""
    wanted = replace(VLLM, features=frozenset({draft}))
    seen = [*read("vllm_0_26_0_canary_mtp")]
    assert proof(draft, wanted, seen).outcome == "proven"
    assert proof(draft, wanted, read("vllm_0_26_0_mtp_random")).outcome == "refuted"
    assert proof("kv_layout", wanted, seen).outcome == "unproven"


def test_enough_is_drafted_since_the_start_or_since_then() -> None:
    seen = drafts(DRAFTED_TOKENS + 10, 40)
    assert mtp.has_drafted_enough(seen)
    assert not mtp.has_drafted_enough(seen, drafts(11, 5))
    assert not mtp.has_drafted_enough([])
