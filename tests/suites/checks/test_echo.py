"""A prompt's numbers are the same from the cache, where an engine echoes at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixtures.banks.item import Item
from suites.checks.echo import Echo, check_echo, read_echo

ITEM = Item(id="i", kind="needle", messages=())
PROMPT = "It was a long night, and the sea was quiet."
FIRST = Echo(PROMPT + " a", (None, *(-0.1 * n for n in range(1, 21))))


def check(again: Echo, first: Echo = FIRST, *, claimed: bool = True) -> tuple[bool, bool]:
    found = check_echo(ITEM, PROMPT, first, again, allowed=0.3, claimed=claimed)
    return found.ok, found.sensitive


def test_the_same_numbers_pass() -> None:
    assert check(FIRST) == (True, True)
    assert check(replace(FIRST, numbers=(None, -0.2, *FIRST.numbers[2:]))) == (True, True)


@pytest.mark.parametrize(
    "numbers",
    [
        (None, *(-2.0 * n for n in range(1, 21))),
        (None, *(float("nan") for _ in range(20))),
        FIRST.numbers[:-3],
        (None, None, *FIRST.numbers[2:]),
        (),
    ],
    ids=["other", "nan", "fewer", "one missing", "none"],
)
def test_other_numbers_are_red(numbers: tuple[float | None, ...]) -> None:
    assert not check(replace(FIRST, numbers=numbers))[0]


def test_no_numbers_at_all_are_red() -> None:
    bare = replace(FIRST, numbers=(None,))
    assert not check(bare, bare)[0]


def test_an_engine_that_echoes_nothing_is_judged_where_it_claims_it() -> None:
    silent = Echo(" a", ())
    assert check(silent, silent) == (False, True)
    assert check(silent, silent, claimed=False) == (True, False)


@pytest.mark.parametrize("document", [{}, {"choices": []}, {"choices": [{"text": None, "logprobs": {"content": []}}]}])
def test_another_form_echoes_nothing(document: dict[str, object]) -> None:
    assert read_echo(document) == Echo("", ())


def test_an_echo_is_read_as_the_protocol_has_it() -> None:
    told = {"choices": [{"text": "a b", "logprobs": {"token_logprobs": [None, -1.5, True]}}]}
    assert read_echo(told) == Echo("a b", (None, -1.5, None))
