"""The vocabulary of outcomes, shared by suites, evidence, reports and the gate.

A cell's summary is its worst status (see `worst_status`). What each means for a person: docs/explanation/verdicts.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Status(StrEnum):
    """What became of one test of one cell, or of the cell as a whole."""

    PASS = "PASS"  # noqa: S105
    MEASURED = "MEASURED"  # a number was recorded and nothing was asserted (no baseline yet)
    XFAIL = "XFAIL"  # failed as a known failure says it must
    NOT_RUN_AS_KNOWN = "NOT_RUN_AS_KNOWN"  # the launch failed exactly as a known failure says: nothing was asked
    SKIP_NO_HW = "SKIP_NO_HW"  # this host does not have the rig
    INVALID_HW = "INVALID_HW"  # the combination cannot exist on this GPU
    INVALID_ENGINE = "INVALID_ENGINE"  # the engine release cannot do it
    INVALID_COMBO = "INVALID_COMBO"  # parts exclude each other (patch and feature, say)
    NOT_EVIDENCE = "NOT_EVIDENCE"  # it ran, but could not have seen the feature
    NOT_ASKED = "NOT_ASKED"  # the engine did not start, which the cell's first test tells
    MISSING = "MISSING"  # expected and absent
    FLAKE = "FLAKE"  # failed, then passed in another attempt
    HOST_ERROR = "HOST_ERROR"  # this machine's fault
    TEST_ERROR = "TEST_ERROR"  # our fault
    XPASS = "XPASS"  # a known failure passed: retire the entry
    HANG = "HANG"
    CRASH = "CRASH"
    FAIL = "FAIL"

    # Enum's own hash is a Python function, and each set of statuses calls it: 5 % of a board of 500 cells.
    __hash__ = str.__hash__


# Worst first. A real failure outranks everything: it must not hide behind a host error in the same cell.
SEVERITY: tuple[Status, ...] = (
    Status.FAIL,
    Status.CRASH,
    Status.HANG,
    Status.XPASS,
    Status.TEST_ERROR,
    Status.HOST_ERROR,
    Status.FLAKE,
    Status.NOT_ASKED,
    Status.MISSING,
    Status.NOT_RUN_AS_KNOWN,
    Status.NOT_EVIDENCE,
    Status.INVALID_COMBO,
    Status.INVALID_ENGINE,
    Status.INVALID_HW,
    Status.SKIP_NO_HW,
    Status.XFAIL,
    Status.MEASURED,
    Status.PASS,
)

GREEN: frozenset[Status] = frozenset({Status.PASS, Status.XFAIL, Status.MEASURED})

# What an engine answered to a test, for questions about releases: that a failure is known does not make it a success. A
# status of neither set (HOST_ERROR, NOT_ASKED, ...) is no answer.
ANSWERED_GOOD: frozenset[Status] = frozenset({Status.PASS, Status.MEASURED, Status.XPASS})
ANSWERED_BAD: frozenset[Status] = frozenset(
    {Status.FAIL, Status.CRASH, Status.HANG, Status.FLAKE, Status.XFAIL, Status.NOT_RUN_AS_KNOWN}
)


def worst_status(statuses: Iterable[Status]) -> Status:
    """Return the worst of the statuses; MISSING when there are none (nothing ran is red)."""
    found = set(statuses)
    return next((s for s in SEVERITY if s in found), Status.MISSING)
