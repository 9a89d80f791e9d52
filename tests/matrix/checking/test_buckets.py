"""Rules of SGLang's histograms: each guard of validate_buckets_rule has words that break it, and words that do not."""

from __future__ import annotations

import pytest

from matrix.checking.buckets import explain_rule
from tests.matrix.checking.test_guarded import examine

WORDS = [
    ("default", ""),
    ("default 8", "takes no value"),
    ("custom 10 20 50", ""),
    ("custom", "one number or more"),
    ("custom ten", "one number or more"),
    ("custom 10 10", "twice"),
    ("custom -1 5", "below 0"),
    ("tse 1000 2 8", ""),
    ("tse 1000 2", "a middle, a base"),
    ("tse 1000 2 8.5", "a middle, a base"),
    ("tse 1000 1 8", "base above 1"),
    ("tse 0 2 8", "others above 0"),
    ("log 2", "tse, default or custom"),
    ("", "empty"),
]


@pytest.mark.parametrize(("words", "why"), WORDS)
def test_words_are_a_rule_or_say_why_not(words: str, why: str) -> None:
    found = explain_rule(words.split())
    assert (why in found) if why else not found


@pytest.mark.parametrize(("added", "told"), [("custom 5 5", True), ("default", False)])
def test_a_line_is_told_of_a_list_that_is_none(added: str, *, told: bool) -> None:
    findings = examine("sglang", {}, f"--prompt-tokens-buckets {added}").findings
    assert any(f.id == "buckets_of_no_rule" for f in findings) is told
