"""Describes tests with more than one answer, in the words of every report, whether or not a run was a retry."""

from __future__ import annotations

from collections.abc import Iterable

from reports.evidence.summary import CellRow, SettledTest


def tell_asked_again(rows: Iterable[CellRow]) -> tuple[tuple[str, str], ...]:
    """Describe each test with more than one answer; tests of a cell with equal answers are one entry."""
    found: list[tuple[str, str]] = []
    for row in rows:
        for tests in group_alike(t for t in row.tests if t.attempts):
            found.append((f"{row.cell}: {name_tests(tests)}", tests[0].told))
    return tuple(found)


def group_alike(tests: Iterable[SettledTest]) -> list[list[SettledTest]]:
    """Group tests whose answers have the same statuses in the same runs. A test that the engine failed is its own
    group."""
    alike: dict[str, list[SettledTest]] = {}
    for test in tests:
        own = test.nodeid if test.attempts and test.attempts.failed else ""
        alike.setdefault(" ".join([own, *(f"{r.run} {r.status}" for r in test.answers)]), []).append(test)
    return list(alike.values())


def name_tests(tests: list[SettledTest]) -> str:
    """Name a group of tests: `test_boots`, or `26 tests (test_boots, ...)`."""
    return tests[0].name if len(tests) == 1 else f"{len(tests)} tests ({tests[0].name}, ...)"
