"""What a replay adds to a gate: a disagreement is always red, what cannot be judged again only by name not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from reports.gate import gate
from reports.gate.allowances import NotReplayed
from reports.gate.gate import Verdict
from reports.gate.replay_reasons import add_replay, add_signatures
from reports.replay.differences import Disagreement, Replayed, Unreplayable
from tests.reports.world import EXPECTED, NOW, PLAIN, POLICY, WITH_MTP, green, seal

TODAY = NOW.date()
CLAUSE = NotReplayed(cells="cpu.*", owner="somebody", why="recorded before", until=date(2099, 1, 1))
EDITED = Disagreement(cell=PLAIN, test="test_boots", what="result status", recorded='"PASS"', derived='"FAIL"')
GONE = Unreplayable(cell=PLAIN, test="test_boots", why="nothing that its engine said was kept")


def judged(*clauses: NotReplayed) -> Verdict:
    found = gate.judge_evidence(replace(POLICY, not_replayed=clauses), EXPECTED, seal(green()), now=NOW)
    assert found.green, found.reasons
    return found


def test_agreement_changes_nothing() -> None:
    assert add_replay(judged(), Replayed(tests=4), TODAY) == judged()


def test_a_disagreement_is_red_whatever_the_policy_accepts() -> None:
    found = add_replay(judged(CLAUSE), Replayed(disagreements=(EDITED,)), TODAY)
    assert [str(r) for r in found.reasons] == [
        f'{PLAIN}: test_boots: result status: the evidence says "PASS", its replies say "FAIL".'
    ]


def test_many_disagreements_of_a_cell_are_counted() -> None:
    many = tuple(replace(EDITED, what=f"finding {n}") for n in range(12))
    found = add_replay(judged(), Replayed(disagreements=many), TODAY)
    assert len(found.reasons) == 6
    assert "7 more" in found.reasons[-1].text


def test_what_cannot_be_judged_again_is_red_and_told_once_a_cause() -> None:
    two = (GONE, replace(GONE, test="test_finds"), replace(GONE, cell=WITH_MTP))
    found = add_replay(judged(), Replayed(unreplayable=two), TODAY)
    assert [(r.cell, r.rule) for r in found.reasons] == [(PLAIN, "replay"), (WITH_MTP, "replay")]
    assert "2 tests (test_boots, ...) cannot be replayed: nothing" in found.reasons[0].text
    assert found.not_replayed == 2


def test_a_clause_makes_that_told_and_counted_beside_the_verdict() -> None:
    found = add_replay(judged(CLAUSE), Replayed(unreplayable=(GONE,)), TODAY)
    assert (found.green, found.not_replayed) == (True, 1)
    assert any("Accepted until 2099-01-01 by somebody: recorded before" in line for line in found.told)


@pytest.mark.parametrize(
    "clause", [replace(CLAUSE, cells="sm90*"), replace(CLAUSE, until=date(2026, 1, 1)), replace(CLAUSE, cells="*.mtp")]
)
def test_a_clause_of_other_cells_or_other_days_excuses_nothing(clause: NotReplayed) -> None:
    assert not add_replay(judged(clause), Replayed(unreplayable=(GONE,)), TODAY).green


def test_a_replay_that_was_skipped_needs_a_clause_for_every_cell() -> None:
    skipped = Replayed(skipped="--no-replay")
    found = add_replay(judged(replace(CLAUSE, cells=PLAIN)), skipped, TODAY)
    assert [(r.cell, "--no-replay" in r.text) for r in found.reasons] == [(WITH_MTP, True)]
    assert add_replay(judged(CLAUSE), skipped, TODAY).green
    assert not add_replay(judged(), skipped, TODAY).green


def test_cells_outside_the_policy_do_not_count() -> None:
    elsewhere = Replayed(
        disagreements=(replace(EDITED, cell="sm90.other"),), unreplayable=(replace(GONE, cell="sm90.other"),)
    )
    assert add_replay(judged(), elsewhere, TODAY) == judged()


def test_an_unsigned_file_is_red() -> None:
    found = add_signatures(judged(), {"e.jsonl": "there is no e.jsonl.sig"})
    assert [str(r) for r in found.reasons] == ["e.jsonl: there is no e.jsonl.sig."]
    assert add_signatures(judged(), {}) == judged()


def test_a_clause_holds_on_its_last_day_and_of_several_the_longest_counts() -> None:
    last, over = replace(CLAUSE, until=TODAY), replace(CLAUSE, until=TODAY - timedelta(days=1))
    for clauses in ((last,), (over, last), (last, over)):
        assert add_replay(judged(*clauses), Replayed(unreplayable=(GONE,)), TODAY).green, clauses


def test_what_belongs_to_no_cell_is_red_and_no_clause_is_about_it() -> None:
    everywhere = replace(CLAUSE, cells="*")
    for found in (
        Replayed(disagreements=(replace(EDITED, cell=""),)),
        Replayed(unreplayable=(replace(GONE, cell=""),)),
    ):
        assert [r.cell for r in add_replay(judged(everywhere), found, TODAY).reasons] == [""]
