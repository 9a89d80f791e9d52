"""A run in which no engine answered is no pass, and says which cells did not run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from reports.evidence.unanswered import ANSWERED, Unanswered

OK, FAILED = pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED


def told(*results: tuple[str, str]) -> Unanswered:
    """Return what counts after these tests: cell and status."""
    counts = Unanswered()
    for cell, status in results:
        said = [("cell", cell), ("status", status), ("known_failure", "kf_1")]
        counts.pytest_runtest_logreport(cast(pytest.TestReport, SimpleNamespace(user_properties=said)))
    return counts


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([], OK),
        ([("a", "NOT_RUN_AS_KNOWN")], FAILED),
        ([("a", "NOT_RUN_AS_KNOWN"), ("b", "SKIP_NO_HW")], FAILED),
        ([("", "PASS"), ("a", "NOT_RUN_AS_KNOWN")], FAILED),  # a test without a cell asked no engine
        *([[("a", "NOT_RUN_AS_KNOWN"), ("b", status)], OK] for status in ANSWERED),
    ],
)
def test_a_run_without_any_answer_fails(results: list[tuple[str, str]], code: int) -> None:
    session: Any = SimpleNamespace(exitstatus=OK)
    told(*results).pytest_sessionfinish(session)
    assert session.exitstatus == code


def test_a_worse_end_of_the_run_stays() -> None:
    session: Any = SimpleNamespace(exitstatus=pytest.ExitCode.INTERRUPTED)
    told(("a", "NOT_RUN_AS_KNOWN")).pytest_sessionfinish(session)
    assert session.exitstatus == pytest.ExitCode.INTERRUPTED


@pytest.mark.parametrize(("cells", "head"), [("a", "1 cell did not run"), ("ba", "2 cells did not run"), ("", "")])
def test_the_cells_that_did_not_run_are_listed_with_their_known_failure(cells: str, head: str) -> None:
    lines: list[str] = []
    terminal: Any = SimpleNamespace(section=lines.append, line=lambda text, **_: lines.append(text))
    told(*((c, "NOT_RUN_AS_KNOWN") for c in cells), *((c, "NOT_RUN_AS_KNOWN") for c in cells)).pytest_terminal_summary(
        terminal
    )
    assert lines[1:-1] == [f"{c}  kf_1" for c in sorted(cells)]
    assert not head or lines[-1].startswith(head)
    assert bool(lines) is bool(cells)
