"""What `+=` makes of a variable."""

from __future__ import annotations

import pytest

from matrix.checking.variables import Variables, Word


@pytest.mark.parametrize(
    ("before", "array", "after"),
    [
        ((), False, ("c",)),  # of a name that has no value yet
        (("a",), False, ("ac",)),
        (("a",), True, ("a", "c")),
        (("a", "b"), False, ("a", "b", "c")),  # of an array, whatever is written behind it
    ],
)
def test_a_variable_gets_more(before: tuple[str, ...], array: bool, after: tuple[str, ...]) -> None:
    known = Variables()
    if before:
        known.values["X"] = tuple(Word(text) for text in before)
    known.append("X", (Word("c"),), array=array)
    assert tuple(word.text for word in known.values["X"]) == after
