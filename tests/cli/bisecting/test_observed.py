"""A run is an answer about its release only where its engine answered, and only of the failure that is searched for."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.bisecting.observed import Shape, observe_run
from reports.evidence.files import read_records
from tests.cli.bisecting.runs import OTHER, TEST, WRONG, make_run, name_cell, write_run

NEEDLE = Shape(TEST, "test", "wrong_answer", "needle.found")


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        ("PASS", "good"),
        ("MEASURED", "good"),
        ("XPASS", "good"),
        ("FAIL", "bad"),
        ("XFAIL", "bad"),
        ("HOST_ERROR", "none"),
        ("NOT_ASKED", "none"),
        ("TEST_ERROR", "none"),
        ("NOT_EVIDENCE", "none"),
        ("MISSING", "none"),
        ("SKIP_NO_HW", "none"),
    ],
)
def test_each_status_is_a_good_answer_a_bad_one_or_none(tmp_path: Path, status: str, answer: str) -> None:
    records = read_records(write_run(tmp_path, 0, make_run("0.5.20", status)))
    assert observe_run(records, name_cell("0.5.20"), TEST).answer == answer
    assert observe_run(records, name_cell("0.5.20")).answer == answer


def test_another_failure_another_cell_another_test_and_a_stub_are_no_answers(tmp_path: Path) -> None:
    cell = name_cell("0.5.20")
    hang = read_records(write_run(tmp_path, 0, make_run("0.5.20", "HANG", OTHER)))
    assert observe_run(hang, cell, TEST).shape == Shape(TEST, "test", "hang", "needle.found")
    assert (found := observe_run(hang, cell, TEST, NEEDLE)).answer == "none" and "it fails otherwise" in found.why
    same = read_records(write_run(tmp_path, 1, make_run("0.5.20", "FAIL", WRONG)))
    assert observe_run(same, cell, TEST, NEEDLE).answer == "bad"
    assert observe_run(same, name_cell("0.5.21"), TEST).answer == "none"
    assert observe_run(same, cell, "test_other").answer == "none"
    stub = read_records(write_run(tmp_path, 2, make_run("0.5.20", "PASS", stub=True)))
    assert (found := observe_run(stub, cell, TEST)).answer == "none" and "stub" in found.why
