"""A gate's clock and a run's are held against the commits that they name."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from matrix.yaml.load import load_matrix
from reports.gate import gate
from reports.gate.policy import make_expected
from reports.gate.provenance import add_provenance
from tests.matrix import world as matrix_world
from tests.reports import origin, world
from tests.reports.gate.test_provenance import POLICY, cell_on
from tests.reports.world import NOW

MADE = NOW - timedelta(hours=2)
CLOCKS: dict[str, tuple[datetime, datetime, str]] = {
    "right": (MADE, NOW, ""),
    "a little behind": (NOW + timedelta(minutes=9), NOW, ""),
    "the gate's is behind its own commit": (NOW + timedelta(hours=1), NOW, "This host's clock says"),
    "the run's is behind its own commit": (NOW - timedelta(minutes=40), NOW, "before its own commit was made"),
}


@pytest.mark.parametrize("name", CLOCKS)
def test_a_clock_that_was_set_back_makes_no_run_new_and_no_clause_last(tmp_path: Path, name: str) -> None:
    made, now, text = CLOCKS[name]
    matrix = load_matrix(matrix_world.write(tmp_path / "m"))
    cell = cell_on(matrix, "cpu")
    wanted = [make_expected(matrix, cell)]
    began = NOW - timedelta(hours=1) if "run's" in name else NOW
    records = world.seal(origin.green(matrix, [cell]), begun=began)
    today = replace(origin.today(matrix), committed=made, now=now)
    verdict = gate.judge_evidence(POLICY, wanted, records, now=NOW)
    found = add_provenance(verdict, wanted, records, today, NOW.date())
    clocks = [r.text for r in found.reasons if r.rule == "clock"]
    assert any(text in c for c in clocks) if text else not clocks
