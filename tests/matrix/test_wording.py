"""The first few words of a list, and how many more there are."""

from __future__ import annotations

import pytest

from matrix.wording import list_first


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
