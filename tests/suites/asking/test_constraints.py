"""Each engine gets a constraint in its own words."""

from __future__ import annotations

import pytest

from matrix.planning.claimed import CONSTRAINS_OUTPUT
from suites.asking import constraints
from tests.faults.stub.forms import form_of

WORDS = ("apple", "plum")


@pytest.mark.parametrize("dialect", sorted(CONSTRAINS_OUTPUT))
def test_a_choice_is_asked_for_in_words_that_the_engine_knows(dialect: str) -> None:
    assert form_of(constraints.choice_fields(dialect, WORDS)) == {"choices": list(WORDS)}


def test_what_a_regex_would_read_is_escaped() -> None:
    assert constraints.choice_fields("sglang", ("a.b",)) == {"regex": r"(a\.b)"}


def test_a_schema_is_sent_as_openais_client_does() -> None:
    assert form_of(constraints.schema_fields({"type": "object"})) == {"schema": {"type": "object"}}
    assert form_of(constraints.OBJECT) == {"object": True}
