"""Numbers against recordings: what is near decides, and a prompt that could not have shown it is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.judging.logprobs import (
    NO_NUMBERS,
    Logprobs,
    drop_drafted,
    explain_blind,
    find_unsound,
    has_no_number,
    measure_distance,
    prove_by_recording,
    prove_change_beyond,
    read_logprobs,
)
from matrix.judging.observation import Rung
from matrix.judging.proof import FeatureProof

SPARSE: Logprobs = [{"a": -0.1, "b": -2.0}, {"c": -0.5, "d": -1.0}]
SHARED: Logprobs = [{"a": -0.1, "b": -3.0}, {"c": -0.5, "d": -1.0}]
DENSE: Logprobs = [{"a": -0.1, "b": -2.0}, {"c": -0.9, "d": -1.0}]
WAYS = {"sparse": SPARSE, "shared": SHARED, "dense": DENSE}


def judged(found: Logprobs, *, wanted: str = "sparse", prompt: int = 300, tolerance: float = 0.1) -> FeatureProof:
    return prove_by_recording(
        "dsa", found, WAYS, wanted=wanted, tolerance=tolerance, prompt_tokens=prompt, index_topk=256
    )


def shifted(found: Logprobs, by: float) -> Logprobs:
    return [{t: v - by for t, v in position.items()} for position in found]


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (shifted(SPARSE, 0.05), "proven"),
        (DENSE, "refuted"),
        (shifted(SHARED, 0.05), "refuted"),
        (shifted(SPARSE, 5.0), "unproven"),  # near nothing: another machine, another model
        ([], "unproven"),
    ],
)
def test_the_nearest_recording_decides(found: Logprobs, outcome: str) -> None:
    assert (judged(found).outcome, judged(found).rung) == (outcome, Rung.ORACLE)


def test_recordings_that_cannot_be_told_apart_prove_nothing() -> None:
    assert judged(SPARSE, tolerance=2.0).outcome == "unproven"


@pytest.mark.parametrize(("prompt", "refused"), [(256, True), (257, False), (1, True)])
def test_a_prompt_within_index_topk_is_refused(prompt: int, refused: bool) -> None:
    proof = judged(SPARSE, prompt=prompt)
    assert proof.detail.startswith("NOT_EVIDENCE") == refused == bool(explain_blind(prompt, 256))
    assert (proof.outcome == "unproven") == refused


def test_drafted_tokens_without_alternatives_are_left_out() -> None:
    """llama.cpp#27972: probability 1 for every token that was drafted."""
    drafted: Logprobs = [SPARSE[0], {"c": 0.0}, {"e": 0.0}]
    assert drop_drafted(drafted) == [SPARSE[0]]
    assert judged(drafted).outcome == "unproven", "the first token alone does not tell sparse from dense"


def test_positions_after_the_first_different_choice_are_not_compared() -> None:
    mine: Logprobs = [{"a": -0.1, "b": -0.2}, {"x": -9.0}]
    yours: Logprobs = [{"b": -0.15, "a": -0.16}, {"x": -1.0}]
    assert measure_distance(mine, yours) == pytest.approx(0.06)


POSITIONS = st.lists(st.dictionaries(st.sampled_from("abc"), st.floats(-20, 0), min_size=2), min_size=1, max_size=3)


@given(POSITIONS, POSITIONS)
def test_distance_is_symmetric_and_zero_to_itself(a: Logprobs, b: Logprobs) -> None:
    assert measure_distance(a, a) == 0
    assert measure_distance(a, b) == measure_distance(b, a)


def test_a_reply_is_read_with_its_choice_first() -> None:
    tops = [{"token": "y", "logprob": -3.0}, {"token": "x", "logprob": -0.1}]
    assert list(read_logprobs([{"token": "x", "logprob": -0.1, "top_logprobs": tops}])[0].items()) == [
        ("x", -0.1),
        ("y", -3.0),
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.5])
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_no_number_is_refuted_and_no_comparison_is_false_in_its_favour(value: float, place: int) -> None:
    broken: list[dict[str, float]] = [dict(p) for p in SPARSE]
    broken[place] = {**broken[place], next(iter(broken[place])): value}
    assert judged(broken).outcome == "refuted"
    assert prove_change_beyond((SPARSE, SPARSE), (SPARSE, broken), floor=0.0).outcome == "refuted"
    assert prove_change_beyond((broken, SPARSE), (SPARSE, DENSE), floor=0.0).outcome == "refuted"
    if not math.isfinite(value):
        assert measure_distance(broken, SPARSE) == measure_distance(SPARSE, broken) == math.inf


def test_a_candidate_that_a_mask_forbids_is_no_difference() -> None:
    masked: Logprobs = [{"a": -0.1, "b": -math.inf}]
    assert measure_distance(masked, masked) == 0
    assert not has_no_number(masked)
    assert has_no_number([{"a": -math.inf, "b": -math.inf}])
    assert has_no_number([{}])


@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        ({"token": "a", "logprob": None}, "missing or null"),
        ({"token": "a"}, "missing or null"),
        ({"token": "a", "logprob": "-0.1"}, "'-0.1'"),
        ({"token": "a", "logprob": True}, "True"),
        ({"token": "a", "logprob": 10**5000}, "int beyond printing"),
        ({"token": "a", "logprob": 0.1}, "0.1"),
        ({"logprob": -0.1}, "a token is None"),
        ({"token": "\ud83d", "logprob": -0.1}, "half of a surrogate pair"),
        (7, "7 is no candidate"),
    ],
)
def test_what_makes_logprobs_unsound_is_said_with_its_place(candidate: object, why: str) -> None:
    sound = {"token": "a", "logprob": -0.1}
    assert why in find_unsound([sound, {**sound, "top_logprobs": [candidate]}])
    assert find_unsound([sound, {**sound, "top_logprobs": [candidate]}]).startswith("position 1: ")
    assert not find_unsound([sound, {**sound, "top_logprobs": None}])
    assert not find_unsound([])


def test_a_verdict_by_recording_keeps_every_distance_and_names_what_was_wanted() -> None:
    found = judged(SPARSE)
    assert (found.feature, found.rung, set(found.data)) == (
        "dsa",
        Rung.ORACLE,
        {"gaps", "tolerance", "prompt_tokens", "positions"},
    )
    assert (found.data["gaps"]["sparse"], found.data["tolerance"]) == ("0.0", 0.1)
    assert (found.data["prompt_tokens"], found.data["positions"]) == (300, 2)
    assert found.detail.startswith("logprobs of 2 tokens after 300: sparse is 0 away, shared is ")
    assert found.detail.endswith(" away (wanted sparse)")
    for other in (judged([{"a": math.nan, "b": -1.0}]), judged(SPARSE, prompt=1)):
        assert (other.feature, other.rung, set(other.data)) == (found.feature, found.rung, set(found.data))


def test_a_distance_at_the_tolerance_is_near() -> None:
    gap = float(judged(shifted(SPARSE, 0.05)).data["gaps"]["sparse"])
    assert judged(shifted(SPARSE, 0.05), tolerance=gap).outcome == "proven"


def test_a_nan_refutes_a_recording_and_tells_what_was_compared() -> None:
    found, recording = [{"a": math.nan, "b": -1.0}], [{"a": -0.1, "b": -2.0}]
    proof = prove_by_recording(
        "indexcache", found, {"way": recording}, wanted="way", tolerance=9.0, prompt_tokens=4096, index_topk=2048
    )
    assert proof.outcome == "refuted" and proof.detail.startswith(f"{NO_NUMBERS}; logprobs of 1 tokens after 4096")


@pytest.mark.parametrize(
    ("own", "tops", "why"),
    [
        (-0.1, [("a", -0.1), ("b", -0.1)], "add up to 1.81"),
        (-2.0, [("b", -2.0), ("a", -0.5)], "order of their likelihood"),
        (-0.6, [("a", -0.1), ("b", -3.0)], "the chosen token has the logprob -0.6, and -0.1"),
        (-0.6, [("b", -1.0), ("c", -2.0)], "-0.6 and is none of its candidates, the last of which has -2"),
        (-2.0, [("b", -1.0), ("c", -2.0)], ""),  # as likely as the last
        (-9.0, [("b", -1.0), ("c", -2.0)], ""),  # sampled
        (-0.1, [("a", -0.1), ("b", -3.0), ("c", -math.inf), ("d", -math.inf)], ""),
        (-0.1, [("a", -4.0), ("a", -0.1)], "order"),
        (-4.0, [("a", -0.1), ("a", -4.0)], ""),  # two special tokens that print alike
        (-0.1, [("a", -0.0995), ("b", -0.099)], "add up"),
        (-0.9, [("a", -0.9005), ("b", -0.9)], ""),  # a tie, rounded
        (-0.1, [], ""),
    ],
)
def test_a_list_of_candidates_that_cannot_be_one_is_told(own: float, tops: list[tuple[str, float]], why: str) -> None:
    told = [{"token": token, "logprob": value} for token, value in tops]
    found = find_unsound([{"token": "a", "logprob": own, "top_logprobs": told}])
    assert why in found and bool(found) == bool(why)
