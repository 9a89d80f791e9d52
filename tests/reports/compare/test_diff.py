"""What changed between two runs."""

from __future__ import annotations

import pytest

from reports.compare import diff
from reports.evidence.types import Record
from tests.reports import world
from tests.reports.world import PLAIN, Json


def typed(*fields: Json) -> list[Record]:
    return world.typed(world.with_evidence(fields))


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("PASS", "FAIL", "broken"),
        ("PASS", "HOST_ERROR", "broken"),
        ("XFAIL", "XPASS", "broken"),
        ("FAIL", "PASS", "fixed"),
        ("PASS", None, "missing"),
        (None, "PASS", "added"),
        (None, "FAIL", "broken"),
        ("PASS", "FLAKE", "flaky"),
        ("FAIL", "CRASH", "changed"),
        ("MEASURED", "PASS", "changed"),
    ],
)
def test_a_change_has_a_name(before: str | None, after: str | None, change: str) -> None:
    old, new = (typed(*([world.result(PLAIN, "boot", s)] if s else [])) for s in (before, after))
    assert [d.change for d in diff.compare_runs(old, new)] == [change]


def test_equal_runs_have_no_difference() -> None:
    assert diff.compare_runs(world.seal(world.green()), world.seal(world.green(), "r2")) == []
    assert diff.render_differences([]) == "no difference"


def test_an_expected_test_that_did_not_report_is_missing() -> None:
    new = world.typed([{"kind": "expected", "cell": PLAIN, "tests": [world.nodeid("boot", PLAIN)]}])
    assert [d.change for d in diff.compare_runs(world.typed([world.result(PLAIN, "boot")]), new)] == ["missing"]


def test_the_worst_changes_come_first_and_are_summed_up() -> None:
    old = typed(world.result(PLAIN, "boot"), world.result(PLAIN, "needle", "FAIL"))
    new = typed(world.result(PLAIN, "boot", "CRASH"), world.result(PLAIN, "needle"))
    lines = diff.render_differences(diff.compare_runs(old, new)).splitlines()
    assert [line.split()[0] for line in lines] == ["broken", "fixed", "1"]
    assert lines[-1] == "1 broken, 1 fixed"
