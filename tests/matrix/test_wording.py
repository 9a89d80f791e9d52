"""The first few words of a list, or of a text, and that there are more."""

from __future__ import annotations

import pytest

from matrix.wording import cut_line, cut_text, list_first


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
