"""Names what changed for each test of a cell, and groups tests with the same change.

A test is identified by its node id without the cell, since the cell's id changes with the release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from matrix.judging.status import Status
from reports.evidence.summary import CellRow, SettledTest

Change = Literal["broken", "flaky", "missing", "unknown", "still failing", "fixed", "added", "same"]
ORDER: Final[tuple[Change, ...]] = (
    "broken",
    "flaky",
    "missing",
    "unknown",
    "still failing",
    "fixed",
    "added",
    "same",
)
WORSE: Final[frozenset[Change]] = frozenset({"broken", "flaky"})
UNANSWERED: Final[frozenset[Change]] = frozenset({"missing", "unknown"})
# An unexpected pass is a pass: that the entry must be retired concerns this project and no user of the engine.
GOOD: Final = frozenset({Status.PASS, Status.MEASURED, Status.XPASS})
KNOWN: Final = frozenset({Status.XFAIL, Status.NOT_RUN_AS_KNOWN})
BAD: Final = frozenset({Status.FAIL, Status.CRASH, Status.HANG, Status.FLAKE})
INVALID: Final = frozenset({Status.INVALID_COMBO, Status.INVALID_ENGINE, Status.INVALID_HW})  # nothing to ask
CELL: Final = "CELL"  # in place of the cell's id
OK: Final = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestChange:
    """One test of a pair of cells. None: that side never named the test."""

    __test__ = False  # no test class of pytest

    test: str
    before: Status | None
    after: Status | None
    change: Change
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeGroup:
    """The tests of one cell with the same change and the same reason."""

    change: Change
    tests: tuple[str, ...]
    before: Status | None
    after: Status | None
    message: str


def compare_tests(old: CellRow, new: CellRow) -> tuple[TestChange, ...]:
    """Compare every test that either side names, the worst change first."""
    before, after = _key_tests(old), _key_tests(new)
    started = new.launch is None or new.launch.outcome == OK
    found = [_compare_test(key, before.get(key), after.get(key), started=started) for key in {**before, **after}]
    return tuple(sorted(found, key=lambda each: (ORDER.index(each.change), each.test)))


def group_changes(changes: Sequence[TestChange]) -> tuple[ChangeGroup, ...]:
    """Group the changes to show: every kind but `same`, each with one message."""
    groups: dict[tuple[Change, Status | None, Status | None, str], list[TestChange]] = {}
    for each in changes:
        if each.change != "same":
            groups.setdefault((each.change, each.before, each.after, _first_line(each.message)), []).append(each)
    return tuple(
        ChangeGroup(change=change, tests=tuple(t.test for t in own), before=before, after=after, message=message)
        for (change, before, after, message), own in groups.items()
    )


def name_change(before: Status | None, after: Status | None, *, started: bool = True) -> Change:
    """Name the change of one test. `started`: whether the later engine started; else a test that was not asked failed
    with it."""
    if after is Status.NOT_ASKED and not started:
        after = Status.CRASH
    if after in GOOD:
        return "same" if before in GOOD else "fixed" if before in KNOWN | BAD else "added"
    if after in BAD or after in KNOWN:
        return _name_failure(before, after)
    return "same" if before is after and after in INVALID else "missing"


def _name_failure(before: Status | None, after: Status | None) -> Change:
    # An engine that did not start as known, and starts now, took no answer away by failing a test as known.
    starts = before is Status.NOT_RUN_AS_KNOWN and after is Status.XFAIL
    if before in GOOD or (before in KNOWN and before is not after and not starts):
        return "flaky" if after is Status.FLAKE else "broken"
    if before is Status.FLAKE and after in BAD - {Status.FLAKE}:
        return "broken"
    return "still failing" if before in BAD | KNOWN or before is Status.NOT_ASKED else "unknown"


def _compare_test(key: str, old: SettledTest | None, new: SettledTest | None, *, started: bool) -> TestChange:
    before, after = _read_status(old), _read_status(new)
    change = name_change(before, after, started=started)
    message = "" if change == "same" else new.message if new and new.result else ""
    if new and message and after is Status.FLAKE is not new.status:
        message = f"{_first_line(message)} ({new.told})"
    return TestChange(test=key, before=before, after=after, change=change, message=message)


def _read_status(test: SettledTest | None) -> Status | None:
    """Return the status of one side. Several runs of it that answered both ways make a flake, whichever came last."""
    if test is None or test.status not in BAD:
        return test.status if test else None
    both = {answer.status for answer in test.answers}
    return Status.FLAKE if both & GOOD and test.status is not Status.CRASH else test.status


def _key_tests(row: CellRow) -> Mapping[str, SettledTest]:
    """Map each test to its node id without the cell; a finer id replaces a test function that stands for its ids."""
    return {test.nodeid.replace(row.cell, CELL): test for test in row.tests}


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
