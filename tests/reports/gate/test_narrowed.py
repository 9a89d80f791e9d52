"""What `--selected-only` leaves out is counted and named."""

from __future__ import annotations

from reports.board.text import make_headline, make_view
from reports.evidence.summary import make_board
from reports.gate import gate
from reports.gate.narrowed import keep_selected, tell_left_out
from tests.reports import world
from tests.reports.world import EXPECTED, NOW, PLAIN, POLICY, WITH_MTP


def test_a_required_cell_that_no_run_selected_is_named_in_the_verdict_and_counted_in_the_headline() -> None:
    fields = [{**f, "selection": [PLAIN]} if f["kind"] == "run" else f for f in world.green()]
    records = world.seal([f for f in fields if f.get("cell") != WITH_MTP])
    kept = keep_selected(EXPECTED, records)
    verdict = tell_left_out(gate.judge_evidence(POLICY, kept, records, now=NOW), EXPECTED, kept)
    assert verdict.green
    assert f"Not judged, no run selected them (--selected-only): {WITH_MTP}." in verdict.told
    headline = make_headline(make_view(make_board(records), verdict))
    assert headline.startswith("GREEN") and "1 required cell was not judged (--selected-only)" in headline


def test_where_every_required_cell_was_selected_nothing_is_added() -> None:
    records = world.seal(world.green())
    verdict = gate.judge_evidence(POLICY, EXPECTED, records, now=NOW)
    assert keep_selected(EXPECTED, records) == EXPECTED
    assert tell_left_out(verdict, EXPECTED, EXPECTED) is verdict
