"""What a policy may allow of a cell is red without a clause, told with one, and red again once the clause has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from reports.board.terminal import render_markdown
from reports.board.text import make_view
from reports.evidence.summary import make_board
from reports.gate import gate
from reports.gate.allowances import AllowedTag, Attached, FailedStop, UnaskedSpeed, Unpredicted, Unproven
from reports.gate.gate import Verdict
from reports.gate.policy import Policy
from tests.reports import world
from tests.reports.world import EXPECTED, NOW, PAIR, PLAIN, POLICY, SHARED, WITH_MTP, Json

TODAY = NOW.date()
TAG = "vllm/vllm-openai:v0.33.0"
WHO: dict[str, Any] = {"owner": "me", "why": "seen by hand", "until": TODAY}
UNPROVEN = Unproven(cells="cpu.*", features=("mtp",), **WHO)
ATTACHED = Attached(cells=PLAIN, **WHO)
BY_TAG = AllowedTag(image="vllm/*", **WHO)
INERT = "indexcache does not change bytes as predicted"
ISSUE = "https://example.org/1"
FAILED_STOP = FailedStop(cells="cpu.*", signature="invalid pointer in ~NCCLComm", issue=ISSUE, owner="me", until=TODAY)
UNPREDICTED = Unpredicted(cells=SHARED, features=("indexcache",), signature=INERT, **WHO)


def _edit(kind: str, **change: object) -> list[Json]:
    return [{**f, **change} if f["kind"] == kind and f.get("cell") in (PLAIN, WITH_MTP) else f for f in world.green()]


def _attach() -> list[Json]:
    return [{**f, "attached": True} if f["kind"] == "launch" and f["cell"] == PLAIN else f for f in world.green()]


def _serve_inert() -> list[Json]:
    """IndexCache beside the cell without it, which left the bytes of a token as they were."""
    fields = [f for f in world.paired() if not (f.get("cell") == SHARED and "low" in f.get("data", {}))]
    return [*fields, world.size(SHARED, world.LAYERS)]


CRASHED = "it ended by SIGSEGV when it was stopped: free(): invalid pointer in ~NCCLComm"


def _stop(outcome: str, message: str = CRASHED, exit_code: int | None = None) -> list[Json]:
    """Add how the engine of the first cell's plan ended, which was stopped."""
    code = (139 if outcome == "crash" else 0) if exit_code is None else exit_code
    stop = {"kind": "stop", "fingerprint": "f0", "outcome": outcome, "exit_code": code, "seconds": 1.5}
    return [*world.green(), {**stop, "message": message}]


CASES: dict[str, tuple[Callable[[], list[Json]], str, Any]] = {
    "unproven": (lambda: _edit("proof", outcome="unproven"), "unproven", UNPROVEN),
    "attached": (_attach, "attached", ATTACHED),
    "image": (lambda: _edit("launch", versions={"image_reference": TAG}), "allow_tags", BY_TAG),
    "shutdown": (lambda: _stop("crash"), "shutdown", FAILED_STOP),
    "prediction": (_serve_inert, "predictions", UNPREDICTED),
}
OTHERS: dict[str, tuple[str, Any]] = {
    "of other cells": ("unproven", replace(UNPROVEN, cells=PLAIN)),
    "of another feature": ("unproven", replace(UNPROVEN, features=("indexcache",))),
    "of another server": ("attached", replace(ATTACHED, cells=WITH_MTP)),
    "of another image": ("image", replace(BY_TAG, image="lmsysorg/*")),
    "of another prediction's feature": ("prediction", replace(UNPREDICTED, features=("mtp",))),
    "of another end": ("shutdown", replace(FAILED_STOP, signature="double free in ~NCCLComm")),
    "of another cell's engine": ("shutdown", replace(FAILED_STOP, cells=WITH_MTP)),
    "of other words": ("prediction", replace(UNPREDICTED, signature="numbers as predicted")),
    "of another cell's prediction": ("prediction", replace(UNPREDICTED, cells=PLAIN)),
}


def judge(case: str, *clauses: Any) -> Verdict:
    make, key, _ = CASES[case]
    policy: Policy = replace(POLICY, **{key: clauses})  # type: ignore[arg-type]  # the key is a parameter
    expected = PAIR if case == "prediction" else EXPECTED
    return gate.judge_evidence(policy, expected, world.seal(make()), now=NOW)


def _list_accepted(verdict: Verdict) -> list[str]:
    accepted = f"Accepted until {TODAY} by me: "
    return [line for line in verdict.told if f"{accepted}seen by hand" in line or f"{accepted}{ISSUE}" in line]


@pytest.mark.parametrize("case", CASES)
def test_it_is_red_without_a_clause_told_with_one_and_red_once_it_has_ended(case: str) -> None:
    clause = CASES[case][2]
    found = judge(case)
    assert {r.rule for r in found.reasons} == {case} and not _list_accepted(found)
    allowed = judge(case, clause)
    assert allowed.green, allowed.reasons
    assert len(_list_accepted(allowed)) == len(found.reasons)
    ended = judge(case, replace(clause, until=TODAY - timedelta(days=1)))
    assert [r.rule for r in ended.reasons] == [r.rule for r in found.reasons] and not _list_accepted(ended)
    assert all("me accepted that until 2026-11-20 only." in r.text for r in ended.reasons)


@pytest.mark.parametrize("other", OTHERS)
def test_a_clause_about_something_else_allows_nothing(other: str) -> None:
    case, clause = OTHERS[other]
    assert judge(case, clause).reasons == judge(case).reasons


SLOW = UnaskedSpeed(cells="cpu.*", **WHO)


def _leave_out(suite: str, *clauses: UnaskedSpeed) -> Verdict:
    """Judge green evidence of cells that owe a test of `suite`, too, which nobody asked."""
    owing = [replace(c, owed=(*c.owed, f"suites/test_{suite}.py::test_more[{c.id}]")) for c in EXPECTED]
    return gate.judge_evidence(replace(POLICY, speed_unasked=clauses), owing, world.seal(world.green()), now=NOW)


def test_a_speed_that_nobody_asked_is_red_unless_a_clause_says_so_and_is_told_then() -> None:
    found, allowed = _leave_out("throughput"), _leave_out("throughput", SLOW)
    assert {(r.rule, r.cell) for r in found.reasons} == {("missing", c.id) for c in EXPECTED}
    assert allowed.green, allowed.reasons
    assert [line for line in allowed.told if "was not asked (cpu.*)" in line] == _list_accepted(allowed)
    headline = render_markdown(make_view(allowed.board, allowed)).splitlines()
    assert any(
        f"{len(EXPECTED)} of {len(EXPECTED)} cells passed what they ran, the speed of" in line for line in headline
    )


def test_no_clause_about_speed_leaves_anything_else_out() -> None:
    late = replace(SLOW, until=TODAY - timedelta(days=1))
    assert all("accepted that until 2026-11-20 only." in r.text for r in _leave_out("throughput", late).reasons)
    assert not _leave_out("throughput", late).green
    assert _leave_out("needle", SLOW).reasons == _leave_out("needle").reasons
    assert [r.rule for r in _leave_out("needle", SLOW).reasons] == ["missing"] * len(EXPECTED)
    assert {r.cell for r in _leave_out("throughput", replace(SLOW, cells=PLAIN)).reasons} == {
        c.id for c in EXPECTED if c.id != PLAIN
    }


def test_the_clause_that_holds_longest_counts() -> None:
    late = replace(UNPROVEN, until=date(2025, 1, 1))
    assert judge("unproven", late, UNPROVEN).green and judge("unproven", UNPROVEN, late).green


def test_no_clause_excuses_a_feature_that_was_refuted() -> None:
    policy = replace(POLICY, unproven=(UNPROVEN,))
    verdict = gate.judge_evidence(policy, EXPECTED, world.seal(_edit("proof", outcome="refuted")), now=NOW)
    assert [r.rule for r in verdict.reasons] == ["refuted"]


def test_a_launch_that_failed_is_told_and_not_what_was_allowed_of_it() -> None:
    fields = [{**f, "outcome": "EngineExited"} if f["kind"] == "launch" else f for f in _attach()]
    verdict = gate.judge_evidence(replace(POLICY, attached=(ATTACHED,)), EXPECTED, world.seal(fields), now=NOW)
    assert not verdict.green and "launch" in {r.rule for r in verdict.reasons}


@pytest.mark.parametrize("outcome", ["hang", "trouble"])
def test_an_engine_that_had_to_be_killed_is_told_and_not_red(outcome: str) -> None:
    told = "it did not end within 30 s of being asked to stop, and was killed: Waiting 60.0 seconds for CUDA coredumps"
    verdict = gate.judge_evidence(POLICY, EXPECTED, world.seal(_stop(outcome, told)), now=NOW)
    assert verdict.green
    assert [line for line in verdict.told if told in line] == [f"{PLAIN}: when its engine was stopped, {told}."]


def test_a_clean_end_is_not_told_and_a_word_of_a_later_version_is_red() -> None:
    clean = gate.judge_evidence(POLICY, EXPECTED, world.seal(_stop("clean", "")), now=NOW)
    assert clean.green and not any("stopped" in line for line in clean.told)
    for fatal in (139, -11, 134):  # its record says otherwise than its exit code
        odd = gate.judge_evidence(POLICY, EXPECTED, world.seal(_stop("clean", "", fatal)), now=NOW)
        assert [reason.rule for reason in odd.reasons] == ["shutdown"]
    later = gate.judge_evidence(POLICY, EXPECTED, world.seal(_stop("exploded", "loudly")), now=NOW)
    assert [r.rule for r in later.reasons] == ["shutdown"]
    assert "its engine crashed while it was being stopped: loudly." in str(later.reasons[0])


def test_reports_show_how_an_engine_ended_without_a_policy_too() -> None:
    board = make_board(world.seal(_stop("crash")))
    text = render_markdown(make_view(board))
    assert "## Ended badly when stopped" in text and "SIGSEGV when it was stopped" in text


@pytest.mark.parametrize(
    ("schema", "launch", "red"),
    [(5, {}, True), (4, {}, False), (5, {"attached": True}, False), (5, {"stub": True}, False)],
)
def test_an_end_that_nobody_recorded_is_red_since_runs_record_it(schema: int, launch: Json, red: bool) -> None:
    """Else a crash while stopping would be green once its record is taken out and the rest is sealed anew."""
    more: dict[str, Json] = {"run": {"schema": schema}, "launch": launch}
    fields = [{**f, **more.get(f["kind"], {})} for f in world.green()]
    stops = [{"kind": "stop", "fingerprint": plan, "outcome": "ended"} for plan in ("f0", "f1")]
    text = "how its engine ended is not recorded (run r1)."
    for own, expected in ((fields, red), (fields + stops[:1], red), (fields + stops, False)):
        verdict = gate.judge_evidence(POLICY, EXPECTED, world.seal(own), now=NOW)
        assert (text in {r.text for r in verdict.reasons}) is expected


@pytest.mark.parametrize(
    ("met", "red"),
    [
        ({}, True),
        ({"status": "FAIL"}, True),  # of a wrong answer: it says nothing of the engine's end
        ({"status": "CRASH"}, False),
        ({"status": "XFAIL", "how": "exit"}, False),
        ({"status": "XFAIL", "how": "wrong_answer"}, True),
    ],
)
def test_an_engine_that_had_ended_by_itself_is_red_where_no_test_met_that(met: Json, *, red: bool) -> None:
    """It died behind its last question: every test is PASS, and it is gone."""
    fields = [*world.green(), {"kind": "stop", "fingerprint": "f0", "outcome": "ended"}]
    if met:
        own = next(f for f in fields if f["kind"] == "result" and f["fingerprint"] == "f0")
        fields.append({**own, **met})
    verdict = gate.judge_evidence(POLICY, EXPECTED, world.seal(fields), now=NOW)
    told = [r.text for r in verdict.reasons if r.rule == "shutdown"]
    assert told == ["its engine had ended by itself before it was stopped, and no test met that (run r1)."] * red
