"""index_topk_pattern: counted, not believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.preflight.pattern import lint_pattern

SEED_004 = "FFSFSSSFSSFFFSSSFFFSFSSSSSSFFSFFSFFSSFFFFFFSFFFFFSFFSSSSSSFSFFFSFSSSFSFFSFFSSS"


def test_the_published_pattern_is_40_f_and_38_s_and_not_the_23_and_55_of_its_card() -> None:
    assert (lint_pattern(SEED_004, 78).full, lint_pattern(SEED_004, 78).shared) == (40, 38)
    assert lint_pattern(SEED_004, 78).ok
    (problem,) = lint_pattern(SEED_004, 78, claim=(23, 55)).problems
    assert problem == "claimed 23 F and 55 S, counted 40 F and 38 S"


def test_a_79th_letter_is_the_mtp_layer_and_does_not_count() -> None:
    assert lint_pattern(SEED_004 + "F", 78).ok
    assert lint_pattern(SEED_004 + "F", 78).full == 40


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (SEED_004[:77], "77 letters"),
        (SEED_004 + "FF", "80 letters"),
        ("S" + SEED_004[1:], "must be F"),
        (SEED_004[:-1] + "X", "'X'"),
        (SEED_004.lower(), "only F and S"),
        (0, "expected text"),
        (["F"], "expected text"),
        ("", "0 letters"),
    ],
)
def test_what_is_wrong_is_named(pattern: object, words: str) -> None:
    assert any(words in problem for problem in lint_pattern(pattern, 78).problems)


@given(st.text("FS", max_size=90), st.integers(1, 90))
def test_the_counts_always_cover_the_trunk_letters(text: str, layers: int) -> None:
    found = lint_pattern(text, layers)
    assert found.full + found.shared == min(len(text), layers)
    assert found.ok == (len(text) in (layers, layers + 1) and text.startswith("F"))
