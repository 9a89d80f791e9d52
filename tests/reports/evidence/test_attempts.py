"""What was asked again: only `--retry-of` supersedes, only a clause excuses an engine, and both answers are told."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from matrix.judging.status import Status
from reports.board import terminal as table
from reports.board.text import make_view
from reports.evidence import junit
from reports.evidence.attempts import ANSWERED, link_retries, order_by_time
from reports.evidence.junit_attempts import tell_by_case
from reports.evidence.summary import CellRow, make_board
from reports.evidence.types import Found, Record, Result
from reports.gate import gate
from reports.gate.flakes import measure_share
from reports.gate.gate import Verdict
from reports.gate.policy import Policy
from tests.reports import world
from tests.reports.evidence.test_junit import case, write
from tests.reports.rendered import render_pages
from tests.reports.retried import FLAKE, MINUTES, SAID, again, first, stated, with_needle
from tests.reports.world import BEGUN, EXPECTED, NOW, PLAIN, POLICY

ALLOWING = replace(POLICY, flakes=(FLAKE,))
NEEDLE = "test_finds_the_needle"
NO_ANSWER = set(Status) - ANSWERED - {Status.FLAKE}


def judge(records: Sequence[Record], policy: Policy = ALLOWING) -> Verdict:
    return gate.judge_evidence(policy, EXPECTED, records, now=NOW)


def said(records: Sequence[Record], policy: Policy = ALLOWING) -> str:
    return "\n".join(map(str, judge(records, policy).reasons))


def test_a_flake_is_green_under_a_clause_that_fits_and_tells_both_answers() -> None:
    verdict = judge([*first(), *again()])
    assert not verdict.reasons
    told, _ = verdict.told
    assert told == (
        f"{PLAIN}: {NEEDLE} came to FAIL in run r1: {SAID}; PASS in run r2, a retry of r1. Allowed until 2027-01-31 by "
        "somebody (https://example.org/7): 1 of 3 attempts failed, 33.3%, at most 34.0%."
    )


@pytest.mark.parametrize("status", ["FAIL", "CRASH", "HANG", "XPASS", "NOT_EVIDENCE"])
def test_without_a_clause_a_retry_excuses_no_engine(status: str) -> None:
    found = said([*first(status), *again()], POLICY)
    assert (
        f"{NEEDLE} came to {status} in run r1: {SAID}; PASS in run r2, a retry of r1; a retry does not excuse" in found
    )


@pytest.mark.parametrize("status", ["HOST_ERROR", "TEST_ERROR", "NOT_ASKED", "MISSING"])
def test_trouble_of_the_host_or_of_ours_is_superseded_by_the_retry_alone_and_told(status: str) -> None:
    assert f"came to {status}" in said(first(status), POLICY)
    verdict = judge([*first(status), *again()], POLICY)
    assert not verdict.reasons
    assert verdict.told[0] == f"{PLAIN}: {NEEDLE} came to {status} in run r1: {SAID}; PASS in run r2, a retry of r1."


@pytest.mark.parametrize("status", ["HOST_ERROR", "TEST_ERROR"])
def test_a_wrong_answer_behind_which_the_host_failed_is_not_answered_by_a_retry(status: str) -> None:
    """The check had judged it before somebody else took the engine's port, say."""
    records = first(status)
    needle = next(r.nodeid for r in records if isinstance(r, Result) and r.status == status)
    wrong = [replace(r, ok=False) if isinstance(r, Found) and r.nodeid == needle else r for r in records]
    found = said([*wrong, *again()], POLICY)
    assert f"{NEEDLE} had failed in run r1 (x.ok: a) when it came to {status}, and no later pass answers" in found
    assert "had failed" not in said([*records, *again()], POLICY)


@pytest.mark.parametrize("bad", ["FAIL", "CRASH", "HANG", "XPASS"])
@pytest.mark.parametrize("status", sorted(NO_ANSWER))
def test_a_retry_that_saw_nothing_answers_no_failure_whatever_a_policy_allows(bad: str, status: Status) -> None:
    lax = replace(POLICY, allow=tuple({*POLICY.allow, status}))
    expected = tuple(replace(cell, suites=()) for cell in EXPECTED)
    found = gate.judge_evidence(lax, expected, [*first(bad), *again(status)], now=NOW)
    assert any(f"{NEEDLE} came to {bad}" in str(reason) for reason in found.reasons)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cells": "sm120*"}, "no `flakes` of the policy allows that"),
        ({"tests": ("test_boots",)}, "no `flakes` of the policy allows that"),
        ({"signature": "repeats itself"}, "does not fit the signature"),
        ({"until": date(2026, 11, 20)}, "somebody allowed that until 2026-11-20 only"),
        ({"rate": 0.33}, "too often: 1 of 3 attempts failed, 33.3%, at most 33.0% are allowed"),
        ({"least_asked": 3}, "of 2 questions no rate can be told, 3 are wanted"),
    ],
)
def test_a_clause_holds_for_its_cells_tests_words_days_and_rate_only(change: dict[str, object], why: str) -> None:
    found = said([*first(), *again()], replace(POLICY, flakes=(replace(FLAKE, **change),)))  # type: ignore[arg-type]
    assert why in found and "FAIL in run r1" in found and "PASS in run r2" in found


@pytest.mark.parametrize("change", [{"until": NOW.date()}, {"rate": 1 / 3}, {"least_asked": 2}])
def test_a_clause_holds_up_to_its_last_day_and_its_own_numbers(change: dict[str, object]) -> None:
    exact = replace(POLICY, flakes=(replace(FLAKE, **change),))  # type: ignore[arg-type]
    assert judge([*first(), *again()], exact).green


def test_an_expired_clause_does_not_speak_where_another_holds() -> None:
    both = replace(POLICY, flakes=(replace(FLAKE, owner="left", until=date(2026, 1, 1)), FLAKE))
    verdict = judge([*first(), *again()], both)
    assert verdict.green and "by somebody" in verdict.told[0] and "left" not in verdict.told[0]


def test_what_a_policy_allows_without_a_retry_it_allows_with_one() -> None:
    lenient = replace(POLICY, allow=(*POLICY.allow, Status.NOT_EVIDENCE))
    wanted = [replace(cell, suites=()) for cell in EXPECTED]
    assert gate.judge_evidence(lenient, wanted, first("NOT_EVIDENCE"), now=NOW).green
    verdict = judge([*first("NOT_EVIDENCE"), *again()], lenient)
    assert verdict.green and "NOT_EVIDENCE in run r1" in verdict.told[0]


def test_every_failed_attempt_must_be_allowed() -> None:
    lax = replace(POLICY, allow=(*POLICY.allow, Status.NOT_EVIDENCE))
    chain = [*first("NOT_EVIDENCE"), *again("FAIL"), *again("PASS", "r3", "r2", after=10)]
    assert "a retry does not excuse an engine" in said(chain, lax)
    assert not said([*first("NOT_EVIDENCE"), *again("PASS")], lax)


def test_of_several_findings_each_must_fit_the_signature() -> None:
    finding = {
        "kind": "finding",
        "cell": PLAIN,
        "nodeid": world.nodeid("needle", PLAIN),
        "check": "needle.found",
        "ok": False,
        "expected": "",
        "got": "",
    }
    fits, other = {**finding, "detail": "the code is not in the reply"}, {**finding, "detail": "repeats itself"}
    assert judge([*world.seal(stated([*with_needle("FAIL"), fits]), "r1"), *again()]).green
    found = said([*world.seal(stated([*with_needle("FAIL"), fits, other]), "r1"), *again()])
    assert "what was said in run r1 does not fit" in found


@pytest.mark.parametrize("status", ["FAIL", "CRASH", "HOST_ERROR", "TEST_ERROR", "SKIP_NO_HW"])
def test_a_retry_that_does_not_answer_green_supersedes_nothing_softer(status: str) -> None:
    verdict = judge([*first(), *again(status)])
    assert any(r.rule in ("status", "flake") for r in verdict.reasons)


def test_a_host_error_of_a_retry_hides_no_failure() -> None:
    row = make_board([*first(), *again("HOST_ERROR")]).rows[0]
    assert {t.name: t.status for t in row.tests}[NEEDLE] is Status.FAIL


def test_a_chain_of_retries_is_told_whole() -> None:
    chain = [*first(), *again("HOST_ERROR", "r2", "r1"), *again("PASS", "r3", "r2", after=10)]
    told, _ = judge(chain).told
    assert "FAIL in run r1" in told and "HOST_ERROR in run r2, a retry of r1" in told
    assert "PASS in run r3, a retry of r2" in told
    twice = [*first(), *again("FAIL", "r2", "r1"), *again("PASS", "r3", "r2", after=10)]
    assert "2 of 4 attempts failed" in said(twice)
    assert judge(twice, replace(POLICY, flakes=(replace(FLAKE, rate=0.5),))).green


def test_a_later_failure_in_the_chain_stands() -> None:
    assert "came to FAIL" in said([*first(), *again(), *again("FAIL", "r3", "r2", after=10)])


def test_a_second_retry_of_the_same_run_does_not_answer_for_the_first() -> None:
    assert "came to FAIL" in said([*first("HOST_ERROR"), *again("FAIL", "r2"), *again("PASS", "r3", after=10)])


def test_more_passes_do_not_make_a_rate_smaller() -> None:
    strict = replace(POLICY, flakes=(replace(FLAKE, rate=0.3),))
    more = [r for n in range(3, 9) for r in again("PASS", f"r{n}", f"r{n - 1}", after=5 * n)]
    assert "too often" in said([*first(), *again(), *more], strict)


def test_what_a_run_says_that_it_asks_does_not_make_a_rate_smaller_than_what_is_owed() -> None:
    """A deeper run, or one that lists more than it owes, asks more questions; the rate is of those that are owed."""
    empty = CellRow(cell=PLAIN, facts={}, fingerprints=frozenset(), tests=(), launches=())
    listed = tuple(f"suites/test_needle.py::{NEEDLE}[{n}]" for n in range(100))
    assert measure_share(FLAKE, NEEDLE, [replace(empty, expected=listed, owed=listed[:2])]).asked == 2
    assert measure_share(FLAKE, NEEDLE, [replace(empty, expected=listed)]).asked == 100  # nothing says what is owed
    assert measure_share(FLAKE, NEEDLE, [replace(empty, expected=(), owed=listed[:2])] * 2).asked == 4


@pytest.mark.parametrize(
    ("retry", "why"),
    [
        ({"of": "r7"}, "that run is not among the evidence"),
        ({"of": "r2"}, "that is itself"),
        ({"after": -5}, "before that run had ended"),
        ({"after": 0}, "before that run had ended"),
        ({"commit": "deed"}, "it is of another commit (deed) than that run (c0ffee)"),
        ({"matrix_sha256": "3a8"}, "it is of another matrix (3a8) than that run (3a7)"),
        ({"commit": ""}, "the commit of one of them was recorded"),
        ({"baselines": ["ab"]}, "it was asked with another set of baselines than that run"),
        ({"dirty": True}, "it was asked with another state of its files than that run"),
        ({"diff_sha256": "ab"}, "it was asked with another set of changes than that run"),
    ],
)
def test_a_link_that_does_not_hold_is_red_with_its_cause_and_supersedes_nothing(
    retry: dict[str, object], why: str
) -> None:
    found = said([*first("HOST_ERROR"), *again("PASS", **retry)])  # type: ignore[arg-type]
    assert why in found and "It supersedes nothing" in found
    assert "came to HOST_ERROR" in found


def test_a_retry_of_another_plan_supersedes_nothing() -> None:
    other = [replace(r, fingerprint="f9") if r.fingerprint else r for r in again()]
    assert "came to HOST_ERROR" in said([*first("HOST_ERROR"), *other])


def test_two_runs_that_name_each_other_supersede_nothing() -> None:
    fields = stated(with_needle("HOST_ERROR"), retry_of="r2")
    found = link_retries([*world.seal(fields, "r1"), *again("PASS", "r2", "r1")])
    assert dict(found.retried) == {"r2": "r1"}  # r1 began before r2 had ended
    assert len(found.problems) == 1


def test_a_launch_that_failed_is_excused_with_the_test_that_tells_it_and_by_nothing_else() -> None:
    down = [
        {**f, "outcome": "EngineExited", "message": "exit 134"} if f["kind"] == "launch" and f["cell"] == PLAIN else f
        for f in world.green()
    ]
    silent = world.seal(stated(down), "r1")
    assert "which no test of that run tells" in said([*silent, *again()])
    host = [f | {"outcome": "HostError"} if f.get("outcome") == "EngineExited" else f for f in stated(down)]
    assert judge([*world.seal(host, "r1"), *again()]).green


def test_every_report_shows_both_answers(tmp_path: Path) -> None:
    records = [*first(), *again()]
    shown = make_view(make_board(records, {c.id: c.facts for c in EXPECTED}), judge(records))
    out = io.StringIO()
    table.print_table(shown, Console(file=out, width=1000))
    for text in (out.getvalue(), table.render_markdown(shown), render_pages(shown)):
        assert f"FAIL in run r1: {SAID}" in text and "PASS in run r2, a retry of r1" in text
        assert "at most 34.0%" in text
    one = write(tmp_path / "1.xml", case(PLAIN, f"{NEEDLE}[{PLAIN}]", "f0"))
    for _ in range(2):  # a second time changes nothing
        junit.merge_junit([one], records, tmp_path / "1.xml")
    (found,) = [c for s in junit.load_junit(tmp_path / "1.xml") for c in s]
    assert junit.read_properties(found)["attempts"] == tell_by_case(records)[PLAIN, f"{NEEDLE}[{PLAIN}]"]
    assert (tmp_path / "1.xml").read_text().count('name="attempts"') == 1


def test_answers_that_nobody_asked_for_are_shown_too() -> None:
    later = world.seal(stated(world.green()), "r2", BEGUN + 5 * MINUTES)
    shown = make_view(make_board([*first(), *later]))
    assert any(f"FAIL in run r1: {SAID}; PASS in run r2" in told for _, told in shown.asked_again)


def test_records_are_ordered_by_their_time_and_within_a_run_as_they_stand() -> None:
    early, late = world.seal(world.green(), "b", BEGUN), world.seal(world.green(), "a", BEGUN + MINUTES)
    assert order_by_time([*late, *early]) == [*early, *late]
    same = world.seal(world.green(), "a", BEGUN)
    assert order_by_time([*early, *same]) == [*same, *early]
