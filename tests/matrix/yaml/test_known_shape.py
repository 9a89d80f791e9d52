"""Entries that contradict themselves are refused when they are loaded, and those nobody could act on by lint."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from matrix.errors import ConfigError
from matrix.known.lint import lint_known_failures, read_test_names
from matrix.recorded import KnownFailure
from matrix.yaml.known_shape import LONGEST, KnownSurroundings, find_entry_problems
from matrix.yaml.load import load_matrix
from tests.matrix.known.test_failures import entry
from tests.matrix.world import FILES, write

TODAY = date(2026, 11, 29)
MISSED = r"needle\.found: NOT OK \['\w+'\] not in the reply(?:\n|\Z)"
FAILS = {"at": "test", "test": "test_x", "how": "wrong_answer", "signature": MISSED}
WRONG = [k for k in load_matrix().known_failures if k.value.fails.how == "wrong_answer"]
AROUND = KnownSurroundings(today=TODAY, tests={"test_x"}, pages={"docs/x.md"}, echoes={})
AT = "    fails:\n      at: test\n      test: test_finds_the_needle_beyond_index_topk\n      how: wrong_answer\n"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("at: test\n      how: exit", "which test fails?"),
        ("at: before_ready\n      test: test_x\n      how: exit", "no test can be named"),
        ("at: first_request\n      how: rejected", "preflight rejects before anything starts"),
        ("at: before_ready\n      how: wrong_answer", "has not answered"),
        ("at: before_ready\n      how: http_status", "has not answered"),
        ("at: first_request\n      how: hang\n      http_status: 500", "goes with `how: http_status` only"),
        ("at: first_request\n      how: http_status\n      http_status: 200", "expected an error status"),
        ("at: test\n      test: test_x\n      params: ['']\n      how: exit", "part of every test id"),
    ],
)
def test_a_shape_that_no_failure_can_have_is_refused_with_its_line(tmp_path: Path, lines: str, why: str) -> None:
    text = FILES["known_failures.yaml"].replace(AT, f"    fails:\n      {lines}\n")
    with pytest.raises(ConfigError, match=re.escape(why)) as error:
        load_matrix(write(tmp_path, {"known_failures.yaml": text}))
    assert re.search(r"known_failures\.yaml:\d+ T1\.fails\.", str(error.value))


@pytest.mark.parametrize("signature", ["''", "'.*'", "'(oom'", "'x?'"])
def test_a_signature_that_says_nothing_is_refused(tmp_path: Path, signature: str) -> None:
    text = FILES["known_failures.yaml"].replace(r"'needle\.found: NOT OK'", signature)
    with pytest.raises(ConfigError, match=r"T1\.fails\.signature"):
        load_matrix(write(tmp_path, {"known_failures.yaml": text}))


def problems(around: KnownSurroundings = AROUND, fails: dict[str, Any] | None = None, **changes: Any) -> str:
    known = entry("k", **{**FAILS, **(fails or {})})
    value: KnownFailure = replace(known.value, **{"owner": "me", **changes})
    return "\n".join(map(str, find_entry_problems([replace(known, value=value)], around)))


def test_a_sound_entry_has_no_problem() -> None:
    assert problems() == ""
    assert problems(issue="http://tracker.example.org/1", review_by=TODAY + LONGEST) == ""


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"fails": {"test": "test_y"}}, "no suite has a test 'test_y'; did you mean 'test_x'?"),
        ({"fails": {"signature": "NOT OK"}}, "said by failures of every kind"),
        ({"review_by": TODAY - timedelta(days=1)}, "was to be reviewed by 2026-11-28"),
        ({"review_by": date(2099, 1, 1)}, "is no end"),
        ({"review_by": date(2025, 1, 1)}, "lies before the day it was added"),
        ({"added": TODAY + timedelta(days=1)}, "is still to come"),
        ({"issue": "see the tracker"}, "expected a link"),
        ({"issue": "https://"}, "expected a link"),
        ({"issue": "docs/x.md"}, "expected a link"),  # only planted failures may name a page
        ({"owner": " "}, "a name is needed"),
        ({"owner": "TBD"}, "a name is needed"),
        ({"owner": "\u200b"}, "a name is needed"),
        ({"symptom": ""}, "say it in a sentence"),
    ],
)
def test_an_entry_that_nobody_can_act_on_is_refused(changes: dict[str, Any], why: str) -> None:
    assert why in problems(**changes)


def test_a_planted_failure_may_name_a_page_that_is_there() -> None:
    assert "expected a link" not in problems(id="planted_x", issue="docs/x.md")
    assert "expected a link" in problems(id="planted_x", issue="docs/y.md")


def test_a_signature_that_the_command_repeats_is_refused() -> None:
    around = replace(AROUND, echoes={"k": ["serve --kv-cache-dtype fp8_e4m3"]})
    assert "matches 'fp8_e4m3' in what is said anyway" in problems(around, fails={"signature": "fp8_e4m3"})
    assert problems(around) == ""


def test_todays_entries_pass_and_would_not_for_ever() -> None:
    matrix = load_matrix()
    newest = max(k.value.added for k in matrix.known_failures)
    assert lint_known_failures(matrix, newest + timedelta(days=1)) == []
    assert len(lint_known_failures(matrix, date(2099, 1, 1))) == len(matrix.known_failures)


def test_the_suites_tests_are_found_by_name_without_importing_them(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("import no_such_module\ndef test_one(): ...\nasync def test_two(): ...\n")
    (tmp_path / "helpers.py").write_text("def test_none(): ...\n")
    assert read_test_names(tmp_path) == {"test_one", "test_two"}


def test_the_signature_of_a_wrong_answer_begins_with_its_check() -> None:
    """What a check says behind its name may come from a reply, which can say the words of any entry."""
    wrong = {"at": "test", "test": "test_x", "how": "wrong_answer"}
    named = r"needle\.found: NOT OK zzz"
    for signature in (
        "not in the reply",
        ".*needle",
        "got: .*332b90",
        "[a-z]+ found: NOT OK",
        rf"{named}|n\w+\.\w+: NOT OK",
        f"{named}|nan",
    ):
        assert "begin with its name" in problems(fails={**wrong, "signature": signature}), signature
    assert problems(fails={**wrong, "signature": MISSED}) == ""
    assert "begin with its name" not in problems(fails={"at": "before_ready", "how": "exit", "signature": "no kernel"})


@pytest.mark.parametrize(
    "signature",
    [
        r"reference\.kl: NOT OK",
        r"isolation\.batch: NOT OK",
        r"needle\.found: NOT OK .*not in the reply",
        r"tools\.result_used: NOT OK (?:.*;)? ?the answer",
        r"coherence\.text: NOT OK (?!loop)",
        r"reference\.kl: NOT OK (?s:.*)",
        r"needle\.found: NOT OK zzz|reference\.kl: NOT OK",
    ],
)
def test_a_wrong_answer_is_not_excused_by_the_name_of_its_check(signature: str) -> None:
    """NaN, an empty reply and mojibake are told by the same checks, and are failures of their own."""
    assert "finds wrong (" in problems(fails={"signature": signature})


SAID = {
    "together.text": ("position 2: 'a' and 'b' are 0.5 nats apart, no tie", "position 0: the logprob of 'a' is nan"),
    "tools.call": ("no call f()", "extra call f()", "beside a call: leak: '<|user|>'"),
}


@pytest.mark.parametrize(
    ("signature", "fitted"),
    [
        (r"together\.text: NOT OK position \d+", 2),
        (r"together\.text: NOT OK (?:[^\n]*; )?position \d+: [^\n]*", 2),
        (r"tools\.call: NOT OK (?:no|extra call f) ?\w*", 0),
        (r"tools\.call: NOT OK (?:no call|\w+ call) \w+", 2),
        (r"together\.text: NOT OK position \d+: 'a' and|tools\.call: NOT OK \w+ call \w+", 2),
        (r"tools\.call: NOT OK (?:no call f|extra call f)", 0),
        (r"tools\.call: NOT OK no call [^\n]*; extra call", 0),
        (r"limits\.alive: NOT OK \w+", 0),
    ],
)
def test_a_signature_says_what_one_failure_of_its_check_says(signature: str, fitted: int) -> None:
    """Alternatives of a pattern may each name another one; a check of which nothing is known cannot be asked."""
    found = problems(replace(AROUND, said=SAID), fails={"signature": signature})
    assert (f"fits {fitted} failures that" in found) == bool(fitted), found


def test_the_checks_own_sentences_are_what_lint_holds_signatures_against() -> None:
    matrix = load_matrix()
    loose = r"isolation\.batch: NOT OK position \d+"
    entries = [replace(k, value=replace(k.value, fails=replace(k.value.fails, signature=loose))) for k in WRONG[:1]]
    problem = str(lint_known_failures(replace(matrix, known_failures=tuple(entries)), TODAY)[0])
    assert "fits 2 failures that isolation.batch tells apart" in problem


def test_a_signature_that_waits_for_a_line_break_fits_nothing() -> None:
    """What is searched ends with what the check says (reports.evidence.failure)."""
    assert "waits for a line break" in problems(fails={"signature": r"needle\.found: NOT OK zzz\n"})
    assert "waits for a line break" in problems(fails={"signature": rf"needle\.found: NOT OK zzz\n|{MISSED}"})


@pytest.mark.parametrize(
    "signature", [r"reference\.kl: NOT OK$", r"coherence\.text: NOT OK (?:loop|gibberish): ", r"a\.b: NOT OK empty"]
)
def test_words_of_one_failure_are_enough(signature: str) -> None:
    assert "finds wrong (" not in problems(fails={"signature": signature})
