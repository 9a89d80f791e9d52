"""Numbers of the README that follow from the matrix are those of today."""

from __future__ import annotations

import re

import pytest

from matrix.checkout import CHECKOUT
from matrix.planning.expand import expand_matrix
from matrix.yaml.load import load_matrix

README = (CHECKOUT / "README.md").read_text("utf-8")
WORLD = expand_matrix(load_matrix())
EXCLUDED = sum(count for cell, _, count in WORLD.excluded.iterate_groups() if cell.rig.id == "cpu")
CPU = [cell for cell in WORLD.runnable if cell.rig.id == "cpu"]


@pytest.mark.parametrize(
    ("pattern", "today"),
    [
        (r"^([\d,]+) combinations excluded on cpu, each with its reason", EXCLUDED),
        (r"^([\d,]+) selected cells need one of:", sum(cell.rig.sm == 120 for cell in WORLD.runnable)),
        (r"^cpu: \d+ of (\d+) cells can run", len(CPU)),
        (r"; \d+ of (\d+) cells passed what they ran", sum(cell.engine.id == "llamacpp" for cell in CPU)),
    ],
    ids=["excluded", "sm120", "cpu", "embedded"],
)
def test_a_number_of_the_readme_is_that_of_today(pattern: str, today: int) -> None:
    told = re.findall(pattern, README, re.MULTILINE)
    assert [int(number.replace(",", "")) for number in told] == [today]


def test_what_can_run_and_what_is_blocked_is_all_there_is() -> None:
    [(able, of, blocked)] = re.findall(r"^cpu: (\d+) of (\d+) cells can run\n +(\d+) blocked", README, re.MULTILINE)
    assert int(able) + int(blocked) == int(of)
