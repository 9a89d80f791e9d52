"""What counts as the same answer, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suites.checks.normal import contains_words, is_number, last_number, normalise_text, split_words


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("**Paris**", "Paris"),
        ("The capital is paris!", "Paris"),
        ("H₂O", "H2O"),
        ("It is \u201cblue whale\u201d.", "blue whale"),
        ("The capital of France is Paris.", "The capital of France is Paris."),
        ("答案是北京。", "北京"),
        ("It costs 1,234 dollars", "1234"),
        ("the 6:42", "6:42"),
        ("COBALT-COBALT", "cobalt-cobalt"),
        ("`Tromsø`", "Tromsø"),
    ],
)
def test_the_answer_is_found(text: str, wanted: str) -> None:
    assert contains_words(text, wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("Parisian", "Paris"), ("1440", "144"), ("London", "Paris"), ("", "Paris"), ("上海", "北京"), ("Australia", "Au")],
)
def test_other_words_are_not_the_answer(text: str, wanted: str) -> None:
    assert not contains_words(text, wanted)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3 + 4 = 7.", 7),
        ("so $1,212.50 in all", 1212.5),
        ("\\boxed{42}", 42),
        ("-3", -3),
        ("none", None),
        ("**198**", 198),
    ],
)
def test_the_last_number_counts(text: str, number: float | None) -> None:
    assert last_number(text) == number


def test_numbers_are_told_from_sentences() -> None:
    assert is_number("1,440")
    assert not is_number("7 days")


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise_text(normalise_text(text)) == normalise_text(text)


@given(st.text(alphabet="abcdefg ", min_size=1))
def test_a_text_contains_its_own_words(text: str) -> None:
    assert all(contains_words(text, word) for word in split_words(text))
