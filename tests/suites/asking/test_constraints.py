"""Each engine gets a constraint in its own words, and what it does not claim is no evidence."""

from __future__ import annotations

import pytest

from suites.asking import constraints
from tests.faults.stub.forms import form_of
from tests.suites.world import cell

WORDS = ("apple", "plum")


@pytest.mark.parametrize("dialect", sorted(constraints.CLAIMED))
def test_a_choice_is_asked_for_in_words_that_the_engine_knows(dialect: str) -> None:
    assert form_of(constraints.choice_fields(dialect, WORDS)) == {"choices": list(WORDS)}


def test_what_a_regex_would_read_is_escaped() -> None:
    assert constraints.choice_fields("sglang", ("a.b",)) == {"regex": r"(a\.b)"}


def test_a_schema_is_sent_as_openais_client_does() -> None:
    assert form_of(constraints.schema_fields({"type": "object"})) == {"schema": {"type": "object"}}
    assert form_of(constraints.OBJECT) == {"object": True}


def test_what_is_not_claimed_is_skipped() -> None:
    constraints.require_claimed(cell("vllm"), "choice")
    with pytest.raises(pytest.skip.Exception, match=r"NOT_EVIDENCE: .* without json_schema"):
        constraints.require_claimed(cell("trtllm"), "json_schema")
