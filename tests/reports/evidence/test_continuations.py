"""Which runs count as ended, because another run continues them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reports.certify.statement import Statements
from reports.evidence.continuations import digest_run, link_continuations
from reports.evidence.lost import tell_lost
from reports.evidence.run_doubts import find_run_doubts
from reports.evidence.types import Lost, Record
from reports.gate.gate import judge_evidence
from tests.reports.world import BEGUN, EXPECTED, NOW, POLICY, Json, green, seal, typed

SOURCE: Json = {"commit": "c0ffee", "matrix_sha256": "m", "depth": "quick"}
LATER = BEGUN + timedelta(minutes=30)


def fields(**more: object) -> list[Json]:
    return [f | SOURCE | more if f["kind"] == "run" else f for f in green()]


def split(at: int) -> tuple[list[Json], list[Json]]:
    """Cut a green run after so many records; the rest begins with the opening, and asks the cut test again."""
    whole = fields()
    opening = [f for f in whole if f["kind"] in ("run", "cell", "expected")]
    left = next(n for n in range(at, 0, -1) if whole[n - 1]["kind"] != "finding")
    return whole[:at], [*opening, *(f for f in whole[left:] if f not in opening)]


def night(at: int = 8, **run: object) -> tuple[list[Record], list[Record]]:
    first, rest = split(at)
    killed = typed(first, "r1")
    said = {"continues": {"r1": digest_run(killed)}, **run}
    return killed, seal([f | said if f["kind"] == "run" else f for f in rest], "r2", LATER)


def rules(records: list[Record]) -> set[str]:
    return {r.rule for r in judge_evidence(POLICY, EXPECTED, records, now=NOW).reasons}


@pytest.mark.parametrize("at", range(1, len(green())))
def test_wherever_a_run_is_cut_the_two_are_judged_as_one(at: int) -> None:
    killed, rest = night(at)
    assert rules([*killed, *rest]) == rules(seal(fields()))


def test_it_is_told_that_a_run_was_cut_short() -> None:
    killed, rest = night()
    told = judge_evidence(POLICY, EXPECTED, [*killed, *rest], now=NOW).told
    assert "Run r1 was cut short; run r2 asked the rest, and holds the digest of what it left." in told


def test_nothing_of_a_continued_run_can_be_lost_or_edited() -> None:
    killed, rest = night()
    for damaged in (killed[:-1], [*killed, killed[-1]], [*killed[:-1], replace(killed[-1], test="other")]):
        assert {"continue", "end"} <= rules([*damaged, *rest])
    assert "continue" in rules(rest)  # its file is not given at all


@pytest.mark.parametrize("source", [{"commit": "other"}, {"depth": "full"}, {"matrix_sha256": ""}, {"dirty": True}])
def test_a_run_of_another_source_continues_nothing(source: Json) -> None:
    killed, rest = night(**source)
    assert not link_continuations([*killed, *rest]).continued
    assert {"continue", "end"} <= rules([*killed, *rest])


def test_a_run_that_is_itself_not_sealed_vouches_for_nothing() -> None:
    killed, rest = night()
    assert "end" in rules([*killed, *rest[:-1]])


def test_an_interrupted_run_counts_once_it_is_continued() -> None:
    first, rest = split(8)
    stopped = seal(first, "r1", interrupted=True, exit_code=2)
    said = {"continues": {"r1": digest_run(stopped)}}
    more = seal([f | said if f["kind"] == "run" else f for f in rest], "r2", LATER)
    assert "interrupted" in rules(stopped)
    assert not {"interrupted", "exit", "end", "seal"} & rules([*stopped, *more])


def test_a_failure_in_it_stays_a_failure() -> None:
    first, rest = split(8)
    bad = next(f for f in first if f["kind"] == "result")
    bad |= {"status": "FAIL", "message": "wrong"}
    killed = typed(first, "r1")
    said = {"continues": {"r1": digest_run(killed)}}
    assert "status" in rules([*killed, *seal([f | said if f["kind"] == "run" else f for f in rest], "r2", LATER)])


@pytest.mark.parametrize(("status", "red"), [("PASS", True), ("FAIL", False), ("XFAIL", False)])
def test_a_test_that_had_failed_when_its_run_was_cut_short_is_not_answered_by_a_pass(status: str, red: bool) -> None:
    """A failure is recorded with the call, its result behind the teardown, which stops an engine for a minute."""
    first, rest = split(8)
    found = next(f for f in first if f["kind"] == "finding")
    cut = next(f for f in first if f["kind"] == "result" and f["nodeid"] == found["nodeid"])
    first = [f | {"ok": False, "detail": "no code"} if f is found else f for f in first if f is not cut]
    killed = typed(first, "r1")
    said = {"continues": {"r1": digest_run(killed)}}
    passed = {**found, "ok": True}
    more = [*rest, passed, {**cut, "status": status, **({"known_failure": "k"} if status == "XFAIL" else {})}]
    judged = [*killed, *seal([f | said if f["kind"] == "run" else f for f in more], "r2", LATER)]
    assert ("cut" in rules(judged)) is red
    reasons = judge_evidence(POLICY, EXPECTED, judged, now=NOW).reasons
    assert not red or any("had failed in run r1 (x.ok: no code)" in r.text for r in reasons)


def test_the_torn_end_of_a_continued_run_is_no_lost_line() -> None:
    killed, rest = night()
    torn = Lost(t=killed[-1].t, run="r1", file="e.jsonl", line=9, why="torn line: the run was killed while writing it")
    other = replace(torn, why="not JSON: x")
    for last, lost in ((torn, 0), (other, 1)):
        records = [*killed, last, *rest]
        assert len([*tell_lost(records, link_continuations(records))]) == lost
    early = [*killed[:-1], torn, killed[-1], *rest]
    assert len([*tell_lost(early, link_continuations(early))]) == 1


@pytest.mark.parametrize("at", [4, 8])
def test_a_comparison_and_a_certificate_take_the_parts_as_one(at: int) -> None:
    killed, rest = night(at)
    torn = Lost(t=killed[-1].t, run="r1", file="e.jsonl", line=at + 1, why="torn line: the run was killed")
    for records in ([*killed, *rest], [*killed, torn, *rest]):
        assert find_run_doubts(records) == {}
    assert Statements([*killed, *rest]).unsealed == set()
    edited = [*killed[:-1], *rest]
    assert set(find_run_doubts(edited)) == Statements(edited).unsealed == {"r1"}
