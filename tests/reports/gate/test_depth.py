"""A run says its depth: none, a shallower one or a wrong word is red; a clause by name excuses that it is unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from matrix.planning.owed import Depth
from reports.gate import gate
from reports.gate.depth import DepthUnknown, tell_depths
from reports.gate.gate import Verdict
from tests.reports import world
from tests.reports.world import EXPECTED, NOW, PLAIN, POLICY, WITH_MTP

CLAUSE = DepthUnknown(cells="cpu.*", owner="somebody", why="recorded before", until=date(2027, 1, 1))


def judge(depth: str, *clauses: DepthUnknown, wanted: Depth = "quick") -> Verdict:
    fields = [f | {"depth": depth} if f["kind"] == "run" else f for f in world.green()]
    policy = replace(POLICY, depth=wanted, depth_unknown=clauses)
    return gate.judge_evidence(policy, EXPECTED, world.seal(fields), now=NOW)


def said(verdict: Verdict) -> str:
    return "\n".join(map(str, verdict.reasons))


@pytest.mark.parametrize(("depth", "wanted"), [("quick", "quick"), ("full", "quick"), ("release", "full")])
def test_as_deep_as_required_or_deeper_is_green(depth: str, wanted: Depth) -> None:
    assert said(judge(depth, wanted=wanted)) == ""


def test_a_shallower_run_is_red_with_what_to_do() -> None:
    assert said(judge("quick", wanted="full")) == (
        f"Run r1 asked {PLAIN}, {WITH_MTP} at depth quick only,"
        " the policy requires full: run it again with --depth full."
    )


def test_a_clause_does_not_excuse_a_shallower_run() -> None:
    assert not judge("quick", CLAUSE, wanted="full").green


def test_a_run_that_does_not_say_its_depth_is_red() -> None:
    assert "Run r1 does not say at which depth it asked" in said(judge(""))


def test_a_word_that_is_no_depth_is_red() -> None:
    assert "asked at depth 'deep', which is none" in said(judge("deep", CLAUSE))


def test_a_clause_by_name_makes_it_told() -> None:
    found = judge("", CLAUSE)
    assert found.green and found.told[0].endswith("Accepted until 2027-01-01 by somebody: recorded before")


@pytest.mark.parametrize("clause", [replace(CLAUSE, cells="gpu.*"), replace(CLAUSE, cells=PLAIN)])
def test_a_clause_about_other_cells_excuses_nothing(clause: DepthUnknown) -> None:
    assert WITH_MTP in said(judge("", clause))


def test_a_clause_past_its_day_excuses_nothing() -> None:
    late = replace(CLAUSE, until=NOW.date() - timedelta(days=1))
    assert f"somebody answered for that until {late.until} only" in said(judge("", late))


def test_a_shallow_run_beside_a_deep_one_is_red_and_one_about_other_cells_is_not() -> None:
    deep = world.seal([f | {"depth": "full"} if f["kind"] == "run" else f for f in world.green()])
    shallow = world.seal(world.green(), run="r2")
    elsewhere = world.seal([f | {"cell": "other"} if f.get("cell") else f for f in world.green()], run="r2")
    policy = replace(POLICY, depth="full")
    assert "Run r2 asked" in said(gate.judge_evidence(policy, EXPECTED, [*deep, *shallow], now=NOW))
    assert gate.judge_evidence(policy, EXPECTED, [*deep, *elsewhere], now=NOW).green


def test_a_clause_holds_on_its_last_day_and_of_several_the_longest_counts() -> None:
    last, over = (replace(CLAUSE, until=NOW.date() - timedelta(days=days)) for days in (0, 1))
    for clauses in ((last,), (over, last), (last, over)):
        assert judge("", *clauses).green, clauses


def test_a_run_that_says_two_depths_is_held_to_the_lesser() -> None:
    (run,) = (f for f in world.green() if f["kind"] == "run")
    fields = [f | {"depth": "full"} if f is run else f for f in world.green()]
    records = world.typed([*fields, run | {"depth": "full"}, run | {"depth": "quick"}])
    (said,) = tell_depths("full", (), [PLAIN, WITH_MTP], records, NOW.date())
    assert said.red and "at depth quick only" in said.text
