"""A launch near its own way passes, one near another fails, and one that hides the deciding token decides little."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from matrix.judging.logprobs import Logprobs, chosen_token
from matrix.judging.observation import Rung
from reports.evidence.finding import Finding
from suites.checks import sparse

ITEM = Item(id="x", kind="crowd", messages=({"role": "user", "content": "?"},))
SURE = {"The": -1e-6, " A": -14.0}


def taken(share: float) -> Logprobs:
    """Return the deciding token behind one that is certain: `a` with this probability, else `f`."""
    both = {" a": math.log(share), " f": math.log(1 - share)}
    return [SURE, dict(sorted(both.items(), key=lambda each: -each[1]))]


WAYS: Mapping[str, Logprobs] = {"FFFF": taken(0.55), "dense": taken(0.2), "half": taken(0.75)}


def replied(positions: Logprobs, content: str | None = None) -> Reply:
    text = "".join(map(chosen_token, positions)) if content is None else content
    return Reply(content=text, logprobs=tuple(map(_position, positions)))


def _position(listed: Mapping[str, float]) -> dict[str, Any]:
    top = [{"token": t, "logprob": v} for t, v in listed.items()]
    return {**top[0], "top_logprobs": top}


def judged(reply: Reply, wanted: str = "FFFF") -> Finding:
    return sparse.check_crowd(ITEM, reply, WAYS, wanted=wanted)


def test_half_of_the_distance_to_the_nearest_other_way_is_allowed() -> None:
    assert sparse.halve_nearest(WAYS, "FFFF") == pytest.approx(0.045 / 2, rel=0.1), "half is nearer than dense"
    assert sparse.halve_nearest({"FFFF": taken(0.5)}, "FFFF") == math.inf


@pytest.mark.parametrize("share", [0.55, 0.5, 0.6])
def test_the_wanted_way_passes_and_proves_sparse_attention(share: float) -> None:
    found = judged(replied(taken(share)))
    proof = sparse.prove_sparse(found, dense="dense")
    assert (found.ok, found.sensitive) == (True, True)
    assert proof is not None and (proof.feature, proof.outcome, proof.rung) == ("dsa", "proven", Rung.ORACLE)


def test_dense_attention_fails_and_is_refuted() -> None:
    found = judged(replied(WAYS["dense"]))
    proof = sparse.prove_sparse(found, dense="dense")
    assert not found.ok and found.detail == "of all ways to attend dense is nearest"
    assert proof is not None and proof.outcome == "refuted"


def test_another_selection_fails_and_is_no_dense_attention() -> None:
    found = judged(replied(WAYS["half"]))
    assert not found.ok and found.detail == "of all ways to attend half is nearest"
    assert sparse.prove_sparse(found, dense="dense") is None


def test_a_dense_launch_is_held_against_dense_attention() -> None:
    assert judged(replied(WAYS["dense"]), "dense").ok
    assert not judged(replied(WAYS["FFFF"]), "dense").ok
    assert sparse.prove_sparse(judged(replied(WAYS["dense"]), "dense"), dense="dense") is None


def test_a_reply_between_two_ways_fails() -> None:
    """Nearer to the wanted one, and farther from it than any rounding."""
    assert not judged(replied(taken(0.38))).ok


def test_where_the_deciding_token_is_hidden_the_wanted_word_is_evidence_and_no_other() -> None:
    """llama.cpp gives drafted tokens probability 1. Rounding may turn a word, so another one is no failure."""
    ways = {"FFFF": WAYS["FFFF"], "dense": WAYS["dense"]}
    hidden: Logprobs = [SURE, {" a": 0.0}]
    said = sparse.check_crowd(ITEM, replied(hidden, "The a"), ways, wanted="FFFF")
    other = sparse.check_crowd(ITEM, replied(hidden, "The f"), ways, wanted="FFFF")
    assert (said.ok, said.sensitive, other.ok, other.sensitive) == (True, True, True, False)
    assert sparse.prove_sparse(said, dense="dense") is None


def test_no_numbers_decide_nothing_and_wrong_ones_fail() -> None:
    found = judged(replied([], "nothing"))
    assert (found.ok, found.sensitive) == (True, False)
    wrong = judged(replied([SURE, {" a": math.nan, " f": -1.0}]))
    assert (wrong.ok, wrong.sensitive) == (False, True)


def test_an_answer_that_begins_otherwise_fails() -> None:
    assert not judged(replied([{"There": -0.01, "The": -5.0}])).ok
