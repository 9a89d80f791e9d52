"""`expect`: everything is recorded, then failures speak."""

from __future__ import annotations

import pytest

from reports.evidence.finding import Finding
from suites.asking.contract import expect_ok
from tests.suites.world import Recorder


def finding(ok: bool) -> Finding:
    return Finding(check="x", ok=ok, expected="this", got="that")


def test_all_findings_are_recorded_even_when_the_first_fails() -> None:
    evidence = Recorder()
    with pytest.raises(AssertionError, match="1 of 3 not ok; failure rate at most 86%"):
        expect_ok(evidence, [finding(False), finding(True), finding(True)])
    assert len(evidence.findings) == 3


def test_the_message_shows_what_was_said() -> None:
    with pytest.raises(AssertionError, match=r"got: +that"):
        expect_ok(Recorder(), [finding(False)])


def test_no_items_are_a_skip_not_a_pass() -> None:
    with pytest.raises(pytest.skip.Exception, match="no items"):
        expect_ok(Recorder(), [])


def test_findings_before_an_engine_error_are_kept() -> None:
    def dies() -> object:
        yield finding(True)
        raise ConnectionError("gone")

    evidence = Recorder()
    with pytest.raises(ConnectionError):
        expect_ok(evidence, dies())  # type: ignore[arg-type]
    assert len(evidence.findings) == 1
