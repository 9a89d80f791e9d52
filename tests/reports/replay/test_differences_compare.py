"""Recorded beside derived: every kind of difference has a name, and times are none."""

from __future__ import annotations

from typing import Any

import pytest

from reports.evidence.types import Record
from reports.replay.differences import Replayed, compare_replay, join_replays, render_replay
from tests.reports.world import PLAIN, Json, typed

WHO: Json = {"cell": PLAIN, "fingerprint": "f0", "test": "test_x", "nodeid": "suites/test_x.py::test_x[c]"}
KEPT: Json = {"kind": "kept", **WHO, "sha256": "0" * 64}
FINDING: Json = {"kind": "finding", **WHO, "check": "c", "item": "i", "ok": False, "expected": "Paris", "got": "Rome"}
MEASURED: Json = {"kind": "measurement", **WHO, "name": "tok", "value": 1.0, "unit": "tok/s"}
PROOF: Json = {"kind": "proof", **WHO, "feature": "mtp", "outcome": "unproven", "rung": "counter"}
LAUNCH: Json = {"kind": "launch", **WHO, "outcome": "ok", "versions": {"engine": "1"}}
RESULT: Json = {"kind": "result", **WHO, "status": "FAIL", "duration_s": 3.0, "message": "bad"}
WHOLE = (KEPT, LAUNCH, FINDING, MEASURED, PROOF, RESULT)


def records(*fields: Json) -> list[Record]:
    return typed(fields)


def compared(recorded: tuple[Json, ...], derived: tuple[Json, ...] = WHOLE, commit: str = "") -> Replayed:
    return compare_replay(records(*recorded), records(*derived), commit=commit)


def edited(which: Json, **values: Any) -> tuple[Json, ...]:
    return tuple({**f, **values} if f is which else f for f in WHOLE)


def test_equal_runs_agree_whatever_their_times() -> None:
    found = compared(edited(RESULT, duration_s=9.0))
    assert found.agrees
    assert found.tests == 1


@pytest.mark.parametrize(
    ("today", "agrees"),
    [
        ("k: it dies (https://x) [known_failures.yaml:41]", True),
        ("k: it dies (https://x) [known_failures.yaml]", True),
        ("l: it dies (https://x) [known_failures.yaml:39]", False),
        ("k: it dies (https://x:41) [known_failures.yaml:39]", False),
    ],
)
def test_the_line_of_a_known_failure_is_no_difference(today: str, agrees: bool) -> None:
    then = edited(RESULT, message="k: it dies (https://x) [known_failures.yaml:39]")
    assert compared(then, edited(RESULT, message=today)).agrees is agrees


@pytest.mark.parametrize(
    ("today", "agrees"),
    [("8 experts (log line 47), 8 wanted", True), ("8 experts (log line 48, known from source only), 8 wanted", False)],
)
def test_whether_we_had_seen_a_log_line_before_is_no_difference(today: str, agrees: bool) -> None:
    then = edited(PROOF, detail="8 experts (log line 47, known from source only), 8 wanted")
    assert compared(then, edited(PROOF, detail=today)).agrees is agrees


@pytest.mark.parametrize(
    ("recorded", "what"),
    [
        (edited(RESULT, status="PASS"), "result status"),
        (edited(RESULT, message="fine"), "result message"),
        (edited(RESULT, known_failure="k"), "result known_failure"),
        (edited(FINDING, ok=True), "finding c i ok"),
        (edited(FINDING, sensitive=False), "finding c i sensitive"),
        (edited(FINDING, data={"x": 1}), "finding c i data"),
        (edited(MEASURED, value=2.0), "measurement tok value"),
        (edited(MEASURED, conditions={"c": 1}), "measurement tok conditions"),
        (edited(RESULT, fingerprint="f9"), "result fingerprint"),
        (edited(FINDING, test="test_y"), "finding c i test"),
        (edited(PROOF, outcome="proven"), "proof of mtp outcome"),
        (edited(PROOF, feature="dsa"), "proof of dsa"),
        (edited(LAUNCH, versions={"engine": "2"}), "launch versions"),
        (tuple(f for f in WHOLE if f is not FINDING), "finding c i"),
        ((*WHOLE, FINDING), "finding c i no. 2"),
    ],
)
def test_each_difference_is_named(recorded: tuple[Json, ...], what: str) -> None:
    found = compared(recorded)
    assert what in [d.what for d in found.disagreements]
    assert {(d.cell, d.test) for d in found.disagreements} == {(PLAIN, "test_x")}


@pytest.mark.parametrize(
    ("recorded", "derived", "why"),
    [
        (tuple(f for f in WHOLE if f is not KEPT), WHOLE, "nothing that its engine said was kept"),
        (edited(KEPT, dropped=["too long"]), WHOLE, "too long"),
        ((KEPT, *WHOLE), WHOLE, "more than once"),
        ((*WHOLE, RESULT), WHOLE, "more than once"),
        (WHOLE, (), "no such test today"),
        (WHOLE, edited(KEPT, dropped=["POST /v1"]), "asks for what was not kept: POST /v1"),
        (WHOLE, edited(KEPT, dropped=["clock {} (kept, and not asked today)"]), "asks less"),
    ],
)
def test_what_cannot_be_derived_again_is_told_apart(
    recorded: tuple[Json, ...], derived: tuple[Json, ...], why: str
) -> None:
    (only,) = compared(recorded, derived).unreplayable
    assert why in only.why


@pytest.mark.parametrize(
    ("left", "tests"),
    [((KEPT,), 0), ((KEPT, FINDING), 0), ((KEPT, PROOF), 1), ((KEPT, MEASURED), 1), ((KEPT, RESULT), 1)],
)
def test_a_test_that_was_cut_short_has_nothing_to_compare(left: tuple[Json, ...], tests: int) -> None:
    """Its replay would miss the questions that it did not come to. Whatever a gate counts is compared all the same."""
    found = compared(left, edited(KEPT, dropped=["POST /v1"]))
    assert (found.tests, found.agrees) == (tests, not tests)


@pytest.mark.parametrize(("interrupted", "tests"), [(False, 1), (True, 0)])
def test_a_result_is_missed_in_a_run_that_came_to_its_end(interrupted: bool, tests: int) -> None:
    """There it was taken away, with what it says; a run that was cut short never had it."""
    end: Json = {"kind": "end", "exit_code": 0, "interrupted": interrupted, "duration_s": 1.0, "launches": 1}
    recorded = (KEPT, FINDING, {**end, "records": 2, "sha256": "0"})
    found = compared(recorded, edited(RESULT, status="PASS"))
    assert (found.tests, found.agrees) == (tests, not tests)


def test_what_one_side_alone_says_is_told_by_its_judgement() -> None:
    (only,) = compared(tuple(f for f in WHOLE if f is not FINDING)).disagreements
    assert (only.recorded, only.derived) == ("nothing", "ok false")


@pytest.mark.parametrize(
    ("derived", "differs"),
    [
        (WHOLE, True),
        (edited(RESULT, status="PASS"), False),
        (edited(RESULT, status="XFAIL"), False),
        (edited(KEPT, dropped=["POST /v1"]), False),  # it fails because its replies end
    ],
)
@pytest.mark.parametrize("left", [(KEPT,), (KEPT, FINDING)])
def test_a_failure_that_was_taken_out_of_a_run_that_was_cut_short_is_in_its_replies(
    left: tuple[Json, ...], derived: tuple[Json, ...], differs: bool
) -> None:
    found = compared(left, derived)
    assert [d.derived for d in found.disagreements] == ["status FAIL"] * differs


def test_a_proof_of_no_test_cannot_be_derived_again() -> None:
    loose = {k: v for k, v in PROOF.items() if k != "nodeid"} | {"outcome": "proven"}
    (only,) = compared((*WHOLE, loose)).unreplayable
    assert (only.test, only.why) == ("proof of mtp", "it names no test")


def test_a_record_that_is_moved_to_another_cell_is_named() -> None:
    found = compared(edited(RESULT, cell="cpu.other"))
    assert [d.what for d in found.disagreements] == ["result cell"]


def test_another_commit_is_named_where_the_test_changed() -> None:
    (only,) = compared(WHOLE, edited(KEPT, dropped=["POST /v1"]), commit="abcdef0123456789").unreplayable
    assert "another commit, abcdef012345" in only.why


def test_fewer_questions_do_not_hide_another_answer() -> None:
    less = {**KEPT, "dropped": ["x (kept, and not asked today)"]}
    derived = (less, *edited(RESULT, status="TEST_ERROR")[1:])
    assert [d.what for d in compared(WHOLE, derived).disagreements] == ["result status"]


def test_what_was_never_asked_needs_no_replies() -> None:
    assert compared(({**RESULT, "status": "SKIP_NO_HW"},), ()).agrees
    assert not compared(({**RESULT, "status": "SKIP_NO_HW"}, FINDING), ()).agrees


def test_it_is_said_in_lines_that_no_terminal_obeys() -> None:
    evil = {**KEPT, "dropped": ["\x1b[2J gone"]}
    text = render_replay(join_replays([compared(edited(RESULT, status="PASS")), compared((evil, RESULT))]))
    assert "\x1b" not in text
    assert text.endswith("1 of 2 tests judged again: 1 disagreement")
