"""A run is an answer about its release only where its engine answered, and only of the failure that is searched for."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.bisecting.observed import FailureShape, list_shapes, observe_run
from reports.evidence.files import read_records
from tests.cli.bisecting.runs import OTHER, TEST, WRONG, make_run, name_cell, write_run

DIED = FailureShape("", "before_ready", "exit", "KeyError")
NEEDLE = FailureShape(TEST, "test", "wrong_answer", "needle.found")


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
    assert observe_run(hang, cell, TEST).shape == FailureShape(TEST, "test", "hang", "needle.found")
    assert (found := observe_run(hang, cell, TEST, NEEDLE)).answer == "none" and "it fails otherwise" in found.why
    same = read_records(write_run(tmp_path, 1, make_run("0.5.20", "FAIL", WRONG)))
    assert observe_run(same, cell, TEST, NEEDLE).answer == "bad"
    assert observe_run(same, name_cell("0.5.21"), TEST).answer == "none"
    assert observe_run(same, cell, "test_other").answer == "none"
    stub = read_records(write_run(tmp_path, 2, make_run("0.5.20", "PASS", stub=True)))
    assert (found := observe_run(stub, cell, TEST)).answer == "none" and "stub" in found.why


def test_a_cell_is_judged_by_the_failure_that_is_searched_for(tmp_path: Path) -> None:
    """All tests of a cell are asked; one of them fails on every release, for a known reason."""
    cell = name_cell("0.5.20")
    fields = make_run("0.5.20", "PASS")
    known = {
        **make_run("0.5.20", "XFAIL", OTHER)[-1],
        "test": "test_other",
        "nodeid": f"suites/test_x.py::test_other[{cell}]",
    }
    records = read_records(write_run(tmp_path, 0, [*fields, known]))
    assert observe_run(records, cell).answer == "bad"
    assert observe_run(records, cell, wanted=NEEDLE).answer == "good"
    assert observe_run(records, cell, ignored=list_shapes(records, cell)).answer == "good"
    assert observe_run(records, cell, wanted=FailureShape("test_absent", "test", "exit", "")).answer == "none"
    assert observe_run(records, cell, wanted=DIED).answer == "good"


@pytest.mark.parametrize(
    ("message", "how", "answer"),
    [
        ("EngineExited: it ended\nKeyError: 'layers.1'", "exit", "bad"),
        ("EngineExited: it ended\ntorch.OutOfMemoryError: no memory", "exit", "none"),
        ("EngineNotReady: no new line for 600 s", "hang", "none"),
    ],
    ids=["the same", "another cause", "another kind"],
)
def test_a_launch_that_fails_for_another_cause_is_no_answer(
    tmp_path: Path, message: str, how: str, answer: str
) -> None:
    cell = name_cell("0.5.20")
    *fields, result = make_run("0.5.20", "CRASH")
    died = {**result, "at": "before_ready", "how": how, "message": message}
    records = read_records(write_run(tmp_path, 0, [*fields, died]))
    assert observe_run(records, cell, TEST, DIED).answer == answer
    assert observe_run(records, cell, TEST, NEEDLE).answer == "none"


def test_an_engine_whose_version_was_accepted_by_name_is_no_answer(tmp_path: Path) -> None:
    records = read_records(write_run(tmp_path, 0, make_run("0.5.20", "PASS", cautions={"version": "0.5.19"})))
    assert (found := observe_run(records, name_cell("0.5.20"))).answer == "none" and "another version" in found.why
