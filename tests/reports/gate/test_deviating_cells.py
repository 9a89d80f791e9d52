"""A deviation of one cell names that cell: two may deviate, and only one be accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.yaml.load import load_matrix
from tests.matrix import world
from tests.reports import origin
from tests.reports.gate.test_provenance import CASES, cell_on, judge

OF_A_CELL = ("another_version", "unknown_version", "digest", "facts", "script")  # the others are of a run or a host
NAMED = {name: case for name, case in CASES.items() if case[1] in OF_A_CELL}


@pytest.mark.parametrize("name", NAMED)
def test_what_is_wrong_with_a_cell_is_told_of_that_cell(name: str, tmp_path: Path) -> None:
    matrix = load_matrix(world.write(tmp_path))
    change, rule, _ = NAMED[name]
    cell = cell_on(matrix, "sm120x4")
    verdict = judge(matrix, [cell], [change(origin.green(matrix, [cell]))])
    assert {r.cell for r in verdict.reasons if r.rule == rule} == {cell.id}
