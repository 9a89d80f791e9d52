"""Whatever an engine writes is a value or one kind of refusal, never another exception."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.judging.foreign_json import DEEPEST, UnreadableJson, find_no_number, parse_foreign_json


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"[" * 200_000, "beyond reading"),
        (b'{"a":' * 50_000, "beyond reading"),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), "levels deep"),
        (b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1), "levels deep"),
        (b'[{"a":' * DEEPEST + b"1" + b"}]" * DEEPEST, "levels deep"),
        (b'{"n": ' + b"9" * 5_000 + b"}", "an integer of 5000 digits"),
        (b'{"n": -18446744073709551616}', "beyond 64 bits"),
        (b'{"a": 1, "a": 2}', "a key occurs twice: 'a'"),
        (b'{"a": "caf\xe9"}', "can't decode byte 0xe9"),
        (b"", "Expecting value"),
        (b"{} {}", "Extra data"),
        (b'"\x00"', "control character"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_careful_reader_refuses_says_why(text: bytes, why: str) -> None:
    with pytest.raises(UnreadableJson, match=why):
        parse_foreign_json(text)


def test_numbers_that_json_has_not_are_kept_to_be_judged_or_refused() -> None:
    assert math.isnan(parse_foreign_json("[NaN]")[0])
    assert parse_foreign_json(b"[-Infinity, 1e999]") == [-math.inf, math.inf]
    with pytest.raises(UnreadableJson, match="NaN is not JSON"):
        parse_foreign_json("[NaN]", numbers=False)


def test_half_of_a_character_is_kept_for_the_checks() -> None:
    assert parse_foreign_json(b'["\\ud83d"]') == ["\ud83d"]


def test_as_deep_as_is_allowed_is_read() -> None:
    assert parse_foreign_json("[" * DEEPEST + "]" * DEEPEST)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_are_a_value_or_a_refusal(text: bytes | str) -> None:
    try:
        parse_foreign_json(text)
    except UnreadableJson as error:
        assert str(error)


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(), st.lists, max_leaves=20))
def test_what_json_writes_is_read_back(value: object) -> None:
    assert parse_foreign_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [{"b": 1.5}, "x", None, True]}, ""),
        ({"a": [{"b": math.nan}]}, "'b'"),
        ({"a": [1.0, math.inf]}, "'a'"),
        ({"logprob": -math.inf, "top": [{"logprob": math.nan}]}, ""),
        ({"logprob": 0.5, "usage": -math.inf}, "'usage'"),
        (math.nan, "''"),
        ("text", ""),
    ],
)
def test_what_is_no_number_is_found_by_its_key_wherever_it_stands(value: object, place: str) -> None:
    assert find_no_number(value, but="logprob") == place
