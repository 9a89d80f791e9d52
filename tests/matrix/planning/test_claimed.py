"""What a cell does not claim it does not owe."""

from __future__ import annotations

from matrix.model import Cell
from matrix.planning.claimed import CLAIMS, find_claims
from matrix.planning.expand import expand_matrix
from matrix.planning.owed import read_owed
from matrix.yaml.load import load_matrix


def test_what_a_cell_does_not_claim_is_not_owed() -> None:
    """A test that can say nothing of a cell would be NOT_EVIDENCE in every run, and no gate at that depth green."""
    for cell in one_of_each_kind():
        owed = {i.test for i in read_owed().asked_of(cell, "full")}
        assert ("test_obeys_what_can_be_counted" in owed) is (not cell.checkpoint.canary)
        assert ("test_obeys_reasoning_effort" in owed) is bool(cell.checkpoint.reasoning_efforts)
        assert ("test_obeys_the_thinking_switch" in owed) is (cell.checkpoint.thinking == "switch")
        assert ("test_samples_alike_with_one_seed" in owed) is (cell.engine.dialect in ("vllm", "llamacpp"))


def one_of_each_kind() -> list[Cell]:
    """Return a cell for all that a claim may read, so that a claim too many joins no two of them."""
    found = {
        (c.engine.dialect, c.checkpoint.canary, c.checkpoint.thinking, bool(c.checkpoint.reasoning_efforts)): c
        for c in expand_matrix(load_matrix()).runnable
    }
    assert {name for cell in found.values() for name in find_claims(cell)} == set(CLAIMS)
    return list(found.values())
