"""Runs patched cells without one patch (`pytest --without-patch NAME`), to see whether it is still needed.

A cell that passes without its patch is an unexpected pass: red, until the patch is retired or the test is found that
it is for. The verdict itself is `matrix.judging.plan_without.removal_verdict`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from matrix.collection.options import WITHOUT_PATCH
from matrix.judging.plan_without import Removal, removal_verdict
from matrix.judging.status import GREEN, Status

SEEN = pytest.StashKey[dict[str, list[Status]]]()


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption(WITHOUT_PATCH) and not hasattr(config, "workerinput"):
        config.stash[SEEN] = {}
        config.pluginmanager.register(RemovalWatch(config), "patch-removal")


class RemovalWatch:
    """Collects each cell's statuses on the controller and judges them at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        properties = dict(report.user_properties)
        if report.when == "teardown" and "cell" in properties and "status" in properties:
            status = Status(str(properties["status"]))
            self.config.stash[SEEN].setdefault(str(properties["cell"]), []).append(status)

    def iterate_removals(self) -> Iterator[tuple[str, Removal]]:
        patch = str(self.config.getoption(WITHOUT_PATCH))
        for cell, statuses in self.config.stash[SEEN].items():
            yield cell, removal_verdict(patch, statuses)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Invert the exit code: failures without the patch mean that it is still needed."""
        found = [removal.status for _, removal in self.iterate_removals()]
        if found and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            green = all(status in GREEN for status in found)
            session.exitstatus = pytest.ExitCode.OK if green else pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section(f"without {self.config.getoption(WITHOUT_PATCH)}")
        for cell, removal in self.iterate_removals():
            terminalreporter.line(f"{cell}: {removal.verdict} ({removal.status}): {removal.detail}")
