"""The first few words of a list, or of a text, and that there are more."""

from __future__ import annotations

import pytest

from matrix.wording import count_words, cut_line, cut_text, cut_words, list_first


@pytest.mark.parametrize(
    ("words", "more", "told"),
    [
        ([], {}, ""),
        (["a", "b"], {}, "a, b"),
        (["a", "b", "c"], {}, "a, b and 1 more"),
        (["a", "b", "c", "d"], {"by": "; ", "what": "cells"}, "a; b and 2 more cells"),
        (["a", "b"], {"what": "cells"}, "a, b"),
    ],
)
def test_the_first_are_listed_and_the_rest_is_counted(words: list[str], more: dict[str, str], told: str) -> None:
    assert list_first(words, 2, **more) == told


@pytest.mark.parametrize(("text", "told"), [("", ""), ("abc", "abc"), ("abcd", "abc..."), ("a\n b", "a\n ...")])
def test_a_text_is_cut_behind_its_first_characters(text: str, told: str) -> None:
    assert cut_text(text, 3) == told


def test_a_line_is_cut_after_it_was_joined() -> None:
    assert cut_line(" a\n\t b ", 3) == "a b"
    assert cut_line("a\nbc", 3) == "a b..."


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ends here", "ends here"),
        ("it ends, while it loads", "it ends…"),
        ("0123456789abcdef", "012345678…"),
        ("a 0123456789abcdef", "a 0123456…"),
    ],
)
def test_a_title_is_cut_behind_a_word_where_it_has_some(text: str, told: str) -> None:
    assert cut_words(text, 10) == told and len(told) <= 10


def test_one_is_no_plural() -> None:
    assert [count_words(n, "cell") for n in (0, 1, 1_200)] == ["0 cells", "1 cell", "1,200 cells"]
    assert count_words(2, "launch", "es") == "2 launches"
