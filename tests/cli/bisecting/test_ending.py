"""What a found regression leaves: an entry in the failure's own shape, or why there can be none."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cli.bisecting.ending import Regression, draft_entry, find_failure, make_condition
from cli.bisecting.observed import observe_run
from cli.bisecting.recorded import RecordedRun
from matrix.bisecting.releases import place_cell
from matrix.signature import find_vague_matches
from matrix.upgrading.of_cells import find_cell
from matrix.yaml.load import load_matrix
from reports.evidence.files import read_records
from tests.cli.bisecting.runs import CELL, DIED, UNTOLD, WRONG, make_run, name_cell, write_run
from tests.reports.world import Json

TODAY = date(2026, 11, 29)


def draft(
    folder: Path, status: str, failure: Json, last_good: str = "0.5.19"
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Draft the entry of a failure on 0.5.20, bad up to 0.5.23."""
    path = write_run(folder, 0, make_run("0.5.20", status, failure))
    told = RecordedRun(version="0.5.20", cell=name_cell("0.5.20"), run="r000", path=path, records=read_records(path))
    shape = observe_run(told.records, told.cell).shape
    matrix = load_matrix()
    assert shape is not None
    regression = Regression(
        cell=place_cell(matrix, find_cell(matrix, CELL), "0.5.20"),
        versions=("0.5.20", "0.5.21", "0.5.23") if last_good < "0.5.20" else ("0.5.20", "0.5.17"),
        last_good=last_good,
        always=status != "FAIL",
        told=told,
        shape=shape,
        probability=0.97,
        boots=9,
    )
    found, _ = find_failure(regression, [told])
    assert found is not None
    return draft_entry(matrix, regression, found, owner="somebody", issue="", today=TODAY)


def test_a_launch_that_ends_is_an_entry_about_the_launch(tmp_path: Path) -> None:
    entry, why = draft(tmp_path, "CRASH", DIED)
    fails = entry["fails"]
    assert not why and (fails["at"], fails["how"], entry["expect"]) == ("before_ready", "exit", "always")
    assert fails["signature"] == r"KeyError: '[^'\n]*' on rank [\d.e+-]+" and "test" not in fails
    assert not list(find_vague_matches(fails["signature"]))


def test_what_no_check_says_can_be_no_known_failure(tmp_path: Path) -> None:
    entry, why = draft(tmp_path, "FAIL", UNTOLD)
    assert not entry and "no known failure can excuse this" in why[0] and "rules.yaml" in why[0]


@pytest.mark.parametrize(
    ("last_good", "span", "fixed"),
    [("0.5.19", ">=0.5.20,<=0.5.23", "open"), ("0.5.21", ">=0.5.17,<=0.5.20", "0.5.21, seen")],
    ids=["a regression", "since when it works"],
)
def test_the_range_is_what_was_seen_in_either_direction(tmp_path: Path, last_good: str, span: str, fixed: str) -> None:
    entry, _ = draft(tmp_path, "FAIL", WRONG, last_good)
    assert (entry["when"]["version"], entry["fixed"], entry["expect"]) == (span, fixed, "intermittent")
    assert entry["symptom"].startswith("Since" if fixed == "open" else "Up to")
    assert entry["review_by"] > entry["added"] == TODAY


def test_one_bad_release_is_a_range_of_one() -> None:
    cell = find_cell(load_matrix(), CELL)
    assert make_condition(cell, ("0.5.23",))["version"] == "==0.5.23"
