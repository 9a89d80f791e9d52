"""matrix/ran.json: what it says comes back as it was written, and a red run is no working one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from matrix.recommending.ran import FILE, LastRun, dump_ran, parse_ran, read_ran

ONE = LastRun(
    cell="a.b.c.d", rig="a", release="b", checkpoint="c", features=(), fingerprint="f", file="x", date="", host="h"
)


def test_the_committed_file_survives_a_round_trip() -> None:
    found = read_ran()
    assert parse_ran(json.loads(dump_ran(found))) == found
    assert dump_ran(found) == FILE.read_text("utf-8")


def test_a_run_that_was_cut_is_no_working_one_and_one_without_its_speeds_is() -> None:
    whole = replace(ONE, counts={"PASS": 26})
    assert replace(whole, missing=2).worked and replace(whole, missing=2).describe() == "26 PASS, 2 not asked on h, "
    assert not replace(whole, missing=3, cut=True).worked and not replace(whole, missing=3, cut=True).failed
    assert replace(whole, counts={"PASS": 2, "FAIL": 1}, missing=3, cut=True).failed


@pytest.mark.parametrize(
    ("counts", "refuted", "worked"),
    [
        ({"PASS": 2, "XFAIL": 1}, (), True),
        ({"PASS": 2}, ("mtp",), False),
        ({"PASS": 2, "FAIL": 1}, (), False),
        ({"PASS": 2, "HOST_ERROR": 1}, (), False),
        ({"XFAIL": 26}, (), False),
        ({}, (), False),
    ],
)
def test_a_run_worked_when_something_passed_and_nothing_was_red(
    counts: dict[str, int], refuted: tuple[str, ...], worked: bool
) -> None:
    assert replace(ONE, counts=counts, refuted=refuted).worked is worked
