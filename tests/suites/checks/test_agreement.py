"""An engine near the reference passes, one far away fails, and one that shows no numbers decides nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from matrix.judging.kl import top_k_kl
from matrix.judging.logprobs import Logprobs
from matrix.judging.observation import Rung
from reports.evidence.finding import Finding
from suites.checks import agreement

ITEM = Item(id="x", kind="needle", messages=({"role": "user", "content": "?"},))
REFERENCE: Logprobs = [{"The": -0.001, " A": -7.5}, {" code": -0.4, " word": -1.2}]


def replied(positions: Logprobs) -> Reply:
    return Reply(content="The code", logprobs=tuple(map(_position, positions)))


def _position(listed: Mapping[str, float]) -> dict[str, Any]:
    top = [{"token": t, "logprob": v} for t, v in listed.items()]
    return {**top[0], "top_logprobs": top}


def judged(positions: Logprobs, allowed: float = 1e-3) -> Finding:
    return agreement.check_agreement(ITEM, replied(positions), REFERENCE, way="FFFF", allowed=allowed)


def test_the_same_numbers_agree() -> None:
    found = judged(REFERENCE)
    assert (found.ok, found.sensitive, found.data["positions"]) == (True, True, 2)


def test_lower_ones_do_not() -> None:
    found = judged([{t: v - 0.6 for t, v in p.items()} for p in REFERENCE])
    assert not found.ok
    assert found.data["mean_nats"] > 0.1


def test_another_choice_is_said_and_ends_the_comparison() -> None:
    found = judged([{"An": -0.01, "The": -5.0}, {"x": -0.1, "y": -3.0}])
    assert not found.ok
    assert (found.data["positions"], found.data["parted"]) == (1, True)
    assert found.detail == "another token than the reference's is chosen"


def test_a_near_tie_that_falls_the_other_way_agrees() -> None:
    tie: Logprobs = [{"a": math.log(0.5), "b": math.log(0.49)}]
    other = {"b": math.log(0.497), "a": math.log(0.493)}
    found = agreement.check_agreement(ITEM, replied([other]), tie, way="FFFF", allowed=1e-3)
    assert found.ok and found.data["parted"]


@pytest.mark.parametrize("positions", [[], [{"The": -0.001}]], ids=["none", "only the chosen"])
def test_an_engine_that_lists_no_alternatives_decides_nothing(positions: Logprobs) -> None:
    found = judged(positions)
    assert (found.ok, found.sensitive) == (True, False)


def test_drafted_tokens_are_left_out() -> None:
    """llama.cpp gives them probability 1 (llama.cpp#27972)."""
    assert judged([REFERENCE[0], {" code": 0.0}]).data["positions"] == 1


SHARED: Logprobs = [{"The": -0.5, " A": -1.0}, {" code": -2.0, " word": -0.2}]


def test_the_pattern_that_alone_is_near_is_proven() -> None:
    proof = agreement.prove_pattern(
        replied(REFERENCE), {"FFFF": SHARED, "FSFS": REFERENCE}, wanted="FSFS", allowed=1e-3
    )
    assert proof is not None
    assert (proof.feature, proof.outcome, proof.rung) == ("indexcache", "proven", Rung.ORACLE)
    assert "FFFF 1.4" in proof.detail


@pytest.mark.parametrize(
    ("ways", "said"),
    [
        ({"FFFF": REFERENCE, "FSFS": REFERENCE}, REFERENCE),
        ({"FFFF": REFERENCE, "FSFS": SHARED}, REFERENCE),
        ({"FSFS": REFERENCE}, REFERENCE),
        ({"FFFF": SHARED, "FSFS": REFERENCE}, []),
    ],
    ids=["both are near", "the other one is", "there is no other", "no numbers"],
)
def test_a_pattern_is_proven_by_nothing_less(ways: Mapping[str, Logprobs], said: Logprobs) -> None:
    assert agreement.prove_pattern(replied(said), ways, wanted="FSFS", allowed=1e-3) is None


def test_what_is_no_number_is_evidence_all_the_same() -> None:
    found = judged([{**REFERENCE[0], "The": math.nan}])
    assert not found.ok
    assert found.data["mean_nats"] == "inf"


@pytest.mark.parametrize(("weights", "allowed"), [("bf16", 5e-7), ("q8_0", 5e-7), ("fp8", 1.2e-6), ("mxfp4", 1.2e-6)])
def test_a_format_is_allowed_what_its_rounding_was_seen_to_cost(weights: str, allowed: float) -> None:
    assert agreement.kl_tolerance(weights) == allowed


def test_the_flash_canary_has_a_tolerance_between_rounding_and_the_nearest_fault() -> None:
    """It is unsure of its first word: what was measured stands in docs/evidence/frozen-prompts."""
    assert 1.2 * 2.62e-6 < agreement.kl_tolerance("bf16", "flash") < 3.93e-6 / 1.2
    assert agreement.kl_tolerance("bf16", "reap160") == agreement.TOLERANCE_16_BIT


def test_where_it_is_unsure_half_of_the_nearest_other_pattern_is_allowed() -> None:
    near = agreement.kl_tolerance_unsure({"FFFF": REFERENCE, "FFSS": SHARED}, "FFFF")
    assert near == pytest.approx(min(top_k_kl(REFERENCE, SHARED).mean / 2, agreement.TOLERANCE_UNSURE))
    alike: Logprobs = [{**REFERENCE[0], "The": REFERENCE[0]["The"] - 1e-4}]
    half = agreement.kl_tolerance_unsure({"FFFF": REFERENCE, "FFSS": alike}, "FFFF")
    assert 0 < half < 1e-4 and half == pytest.approx(top_k_kl(REFERENCE, alike).mean / 2, rel=1e-6)
    assert agreement.kl_tolerance_unsure({"FFFF": REFERENCE, "dense": alike}, "FFFF") == agreement.TOLERANCE_UNSURE


def test_an_engine_that_forbids_a_candidate_leaves_evidence_that_is_json() -> None:
    found = judged([{**REFERENCE[0], " A": -math.inf}], allowed=1.0)
    assert found.ok
    assert found.data["candidates"][0][" A"] == "-inf"
