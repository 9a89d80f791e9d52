"""Hosts of one cell's answers. What a host must have is in test_provenance.py, with all that is compared with today."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.yaml.load import load_matrix
from tests.matrix import world as matrix_world
from tests.reports import origin
from tests.reports.gate.test_provenance import cell_on, edit, judge


@pytest.mark.parametrize(("driver", "told"), [("580.1", False), ("590.2", True)])
def test_answers_of_several_hosts_are_told_though_each_has_the_rig(tmp_path: Path, driver: str, told: bool) -> None:
    matrix = load_matrix(matrix_world.write(tmp_path / "m"))
    cell = cell_on(matrix, "sm120x4")
    hosts = [{**origin.host_of(cell.rig), "description": "4 x Big GPU", "driver": d} for d in ("580.1", driver)]
    verdict = judge(matrix, [cell], [edit("run", host=host)(origin.green(matrix, [cell])) for host in hosts])
    assert verdict.green, verdict.reasons
    both = "4 x Big GPU, driver 580.1; 4 x Big GPU, driver 590.2"
    said = [line for line in verdict.told if "hosts" in line]
    assert said == ([f"{cell.id}: the answers are of 2 hosts ({both})."] if told else [])
