"""Prevents a run without any answer from looking like a pass: it lists the cells that did not run, as known, and exits
with 1.

pytest counts such tests as skipped. The gate's policy decides whether they may be missing.
"""

from __future__ import annotations

import pytest

from matrix.judging.status import Status

ANSWERED = frozenset({Status.PASS, Status.MEASURED, Status.XFAIL, Status.NOT_EVIDENCE, Status.XPASS, Status.FAIL})


class Unanswered:
    """Counts the statuses of all tests of a run, in the process that ends it."""

    def __init__(self) -> None:
        self.not_run: dict[str, str] = {}  # cell -> known failure
        self.answered: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        said = dict(report.user_properties)
        cell, status = str(said.get("cell", "")), said.get("status", "")
        if cell and status == Status.NOT_RUN_AS_KNOWN:
            self.not_run.setdefault(cell, str(said.get("known_failure", "")))
        elif cell and status in ANSWERED:
            self.answered.add(cell)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Exit with 1 where no engine answered: no test asked anything, so nothing passed."""
        if self.not_run and not self.answered and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.not_run:
            return
        count = len(self.not_run)
        terminalreporter.section("did not run, as known")
        for cell, known in sorted(self.not_run.items()):
            terminalreporter.line(f"{cell}  {known}")
        what = f"{count} cell{'s' if count != 1 else ''} did not run, as known"
        terminalreporter.line(
            f"{what}; no engine answered, so nothing was asked of them. The gate decides.", yellow=True
        )
