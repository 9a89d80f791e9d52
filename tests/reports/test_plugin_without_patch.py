"""A run without a patch asks one question, and its exit code answers that question."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from matrix.judging.status import Status
from reports.plugin_without_patch import SEEN, RemovalWatch


class Config:
    """What the watch asks of pytest's."""

    def __init__(self) -> None:
        self.stash = pytest.Stash()
        self.stash[SEEN] = {}

    def getoption(self, name: str) -> str:
        return "some_patch"


def watched(*statuses: Status) -> RemovalWatch:
    watch = RemovalWatch(cast(Any, Config()))
    for status in statuses:
        for when in ("setup", "call", "teardown"):
            properties = [("cell", "a.b.c.d"), *([("status", str(status))] if when == "teardown" else [])]
            watch.pytest_runtest_logreport(cast(Any, SimpleNamespace(when=when, user_properties=properties)))
    return watch


def exit_of(watch: RemovalWatch, code: int) -> int:
    session = SimpleNamespace(exitstatus=code)
    watch.pytest_sessionfinish(cast(Any, session))
    return int(session.exitstatus)


def test_tests_that_break_without_the_patch_show_that_it_is_needed_and_that_is_green() -> None:
    watch = watched(Status.PASS, Status.CRASH)
    assert [(cell, r.verdict) for cell, r in watch.iterate_removals()] == [("a.b.c.d", "needed")]
    assert exit_of(watch, pytest.ExitCode.TESTS_FAILED) == pytest.ExitCode.OK


def test_a_cell_that_passes_without_its_patch_is_an_unexpected_pass() -> None:
    watch = watched(Status.PASS, Status.PASS)
    assert [r.status for _, r in watch.iterate_removals()] == [Status.XPASS]
    assert exit_of(watch, pytest.ExitCode.OK) == pytest.ExitCode.TESTS_FAILED


def test_host_trouble_decides_nothing_and_is_not_green() -> None:
    watch = watched(Status.PASS, Status.HOST_ERROR)
    assert [r.verdict for _, r in watch.iterate_removals()] == ["unknown"]
    assert exit_of(watch, pytest.ExitCode.OK) == pytest.ExitCode.TESTS_FAILED


def test_an_interrupted_run_stays_interrupted() -> None:
    assert exit_of(watched(Status.CRASH), pytest.ExitCode.INTERRUPTED) == pytest.ExitCode.INTERRUPTED
