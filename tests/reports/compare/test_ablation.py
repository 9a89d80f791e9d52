"""What a feature changes is told for pairs of cells that differ by it alone."""

from __future__ import annotations

from typing import Any

from reports.compare.ablation import find_ablations, render_ablations
from tests.reports import world
from tests.reports.world import PLAIN, WITH_MTP


def measured(cell: str, value: float, name: str = "median_tpot_ms", **conditions: Any) -> dict[str, Any]:
    where = {"concurrency": 1, "output_len": 48, **conditions}
    return {"kind": "measurement", "cell": cell, "name": name, "value": value, "unit": "ms", "conditions": where}


def told(*numbers: dict[str, Any]) -> list[str]:
    return [str(a) for a in find_ablations(world.typed([*world.green(), *numbers]))]


def test_a_feature_is_compared_with_the_cell_without_it() -> None:
    found = told(measured(PLAIN, 8.0), measured(PLAIN, 10.0), measured(WITH_MTP, 4.5, client_fit=False))
    assert found == [f"{WITH_MTP}: mtp makes median_tpot_ms 0.50 x 9 (concurrency 1, output_len 48)"]


def test_other_conditions_and_other_names_are_no_pair() -> None:
    assert told(measured(PLAIN, 8.0, concurrency=2), measured(WITH_MTP, 4.0)) == []
    assert told(measured(PLAIN, 8.0, name="launch_s"), measured(WITH_MTP, 4.0, name="launch_s")) == []
    assert told(measured(WITH_MTP, 4.0)) == []


def test_nothing_to_compare_is_said() -> None:
    assert render_ablations([]) == "no two cells here differ by one feature and measured the same"
