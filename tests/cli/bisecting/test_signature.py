"""A signature fits the same failure of another run, and no other failure."""

from __future__ import annotations

import re

import pytest

from cli.bisecting.signature import make_answer_signature, make_launch_signature
from matrix.signature import find_answer_faults, find_pattern_problem, find_vague_matches


@pytest.mark.parametrize(
    ("check", "detail", "same", "other"),
    [
        (
            "needle.found",
            "['332b90'] not in the reply",
            "['b0d860'] not in the reply",
            "['332b90'] not in the reply; empty",
        ),
        ("tools.call", "2 calls (expected 1)", "3 calls (expected 1)", "no call"),
        ("reference.kl", "0.31 nats from the reference", "1.2e-05 nats from the reference", "nan from the reference"),
    ],
)
def test_a_wrong_answer_is_known_again(check: str, detail: str, same: str, other: str) -> None:
    signature = make_answer_signature(check, detail)
    for said, fits in ((detail, True), (same, True), (other, False)):
        assert bool(re.search(signature, f"{check}: NOT OK {said}\n  got:      g")) is fits
    assert not find_pattern_problem(signature) and not list(find_vague_matches(signature))
    assert len(find_answer_faults(signature, check)) <= 1


def test_a_launch_is_known_by_the_line_that_names_its_cause() -> None:
    signature = make_launch_signature("KeyError: 'layers.2.self_attn.indexer.k_norm.weight' (rank 3 of 8)")
    assert re.search(signature, "KeyError: 'layers.1.other' (rank 0 of 4)")
    assert not re.search(signature, "KeyError: 'layers.2' (worker 3 of 8)")
