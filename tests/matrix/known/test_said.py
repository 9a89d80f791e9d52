"""What checks say, by kinds of failures."""

from __future__ import annotations

import pytest

from matrix.known.said import name_kind, read_said


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("['332b90'] not in the reply", "['aa', 'bb', 'c'] not in the reply"),
        ("position 3: greedy decoding chose 'a'", "position 14: greedy decoding chose 'it\\'s'"),
        ("no call add(a=1, b=2)", "no call lock()"),
        ("1 of 3 requests failed", "12 of 200 requests failed"),
        ("the logprob is nan", "the logprob is -0.25"),
    ],
)
def test_cases_of_one_failure_are_one_kind(one: str, other: str) -> None:
    assert name_kind(one) == name_kind(other)


def test_failures_are_kinds_of_their_own() -> None:
    said = ("position 3: 'a' and 'b' are apart", "position 3: the logprob of 'a' is nan", "the last number is 3")
    assert len({*map(name_kind, said), name_kind("the last number is None")}) == 4


def test_each_kind_is_kept_once() -> None:
    said = read_said()
    assert len(said) > 80 and all(len({*map(name_kind, kept)}) == len(kept) for kept in said.values())
