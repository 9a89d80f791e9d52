"""What a known failure excuses in real runs, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.evidence import junit
from reports.evidence.types import Result
from tests.reports.evidence.small_run import both, records


@both
def test_known_failures_are_named(folder: Path) -> None:
    named = {r.test: r.known_failure for r in records(folder) if isinstance(r, Result) and r.known_failure}
    assert named == {
        "test_known_to_fail": "kf_1",
        "test_known_to_fail_but_passes": "kf_2",
        "test_known_to_crash": "kf_4",
    }


@both
def test_what_excuses_a_failure_is_recorded_with_the_words_that_fit(folder: Path) -> None:
    found = {r.test: (r.at, r.how, r.matched) for r in records(folder) if isinstance(r, Result) and r.matched}
    assert found == {
        "test_known_to_fail": ("test", "wrong_answer", "x.y: NOT OK"),
        "test_known_to_crash": ("test", "exit", "RuntimeError: no kernel for it"),
    }


@both
@pytest.mark.parametrize(
    ("test", "why"),
    [
        ("test_fails_otherwise", r"kf_7: its signature 'another\\.check: NOT OK' fits nothing that was said"),
        ("test_fails_twice", r"kf_8: its signature 'x\\.y: NOT OK' fits nothing that was said in 1 of 2 findings"),
        ("test_hangs_where_it_should_exit", "kf_9: shows as exit, this as hang"),
        ("test_expected_word_only", "kf_10: its signature 'words that were expected' fits nothing that was said"),
    ],
)
def test_a_failure_says_which_entries_do_not_fit_and_why(folder: Path, test: str, why: str) -> None:
    said = {r.test: r.message for r in records(folder) if isinstance(r, Result)}
    assert why in said[test]
    assert not said[test].startswith("Known failures")  # its own cause comes first


@both
def test_the_host_under_an_xfail_mark_fails_the_run(folder: Path) -> None:
    case = next(
        c for s in junit.load_junit(folder / "junit.xml") for c in s if c.name == "test_marked_on_a_bad_host[a]"
    )
    assert "not the expected failure" in str(case.result[0].text)
