"""The lines of progress, fed with reports as pytest and xdist send them."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from reports.evidence.progress import ProgressCounter, show_duration

A, B = "cpu.x.a.baseline", "cpu.x.b.mtp"
IDS = (f"suites/test_boot.py::t[{A}]", f"suites/test_boot.py::u[{A}]", f"suites/test_boot.py::t[{B}]")


class Terminal:
    def __init__(self, verbosity: int = 0) -> None:
        self.verbosity = verbosity
        self.lines: list[str] = []
        writer = SimpleNamespace(width_of_current_line=0)
        self.config = SimpleNamespace(get_terminal_writer=lambda: writer)

    def write_line(self, text: str) -> None:
        self.lines.append(text)


def report(nodeid: str, status: str, *, when: str = "teardown", duration: float = 10.0) -> Any:
    cell = nodeid.partition("[")[2].rstrip("]")
    said = [("cell", cell), *([("status", status)] if when == "teardown" else [])]
    return SimpleNamespace(nodeid=nodeid, when=when, duration=duration, user_properties=said)


def watched(
    monkeypatch: pytest.MonkeyPatch, ids: Sequence[str] = IDS, verbosity: int = 0
) -> tuple[ProgressCounter, Terminal]:
    """Return a run under two workers, whose clock stands at 0 s when they have collected and at 40 s afterwards."""
    clock = iter([0.0, 0.0, 0.0])
    monkeypatch.setattr("reports.evidence.progress.time.monotonic", lambda: next(clock, 40.0))
    one, terminal = ProgressCounter(), Terminal(verbosity)
    one.terminal = terminal  # type: ignore[assignment]
    for _ in range(2):
        one.pytest_xdist_node_collection_finished(None, ids)
    return one, terminal


def test_a_line_names_the_cell_its_worst_status_and_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    one, terminal = watched(monkeypatch)
    one.pytest_runtest_logreport(report(IDS[0], "", when="call"))
    one.pytest_runtest_logreport(report(IDS[0], "FAIL"))
    assert terminal.lines == []
    one.pytest_runtest_logreport(report(IDS[1], "PASS"))
    assert terminal.lines == [f"cell 1 of 2: {A} FAIL (2 tests, 30 s); about 20 s left"]
    one.pytest_runtest_logreport(report(IDS[2], "PASS"))
    assert terminal.lines[1] == f"cell 2 of 2: {B} PASS (1 test, 10 s)"


def test_a_test_that_is_told_twice_or_has_no_cell_counts_once_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    one, terminal = watched(monkeypatch)
    for _ in range(2):
        one.pytest_runtest_logreport(report(IDS[0], "PASS"))
    one.pytest_runtest_logreport(SimpleNamespace(nodeid="x", when="teardown", duration=1, user_properties=[]))  # type: ignore[arg-type]
    assert terminal.lines == [] and one.cells[A].statuses == ["PASS"]


@pytest.mark.parametrize(("ids", "verbosity"), [(IDS[:2], 0), (IDS, -2)])
def test_one_cell_and_a_silent_run_print_nothing(
    monkeypatch: pytest.MonkeyPatch, ids: Sequence[str], verbosity: int
) -> None:
    one, terminal = watched(monkeypatch, ids, verbosity)
    for nodeid in ids:
        one.pytest_runtest_logreport(report(nodeid, "PASS"))
    assert terminal.lines == []


def test_durations_are_said_as_a_person_says_them() -> None:
    assert [show_duration(s) for s in (0.4, 119, 125, 7000, 9000)] == ["0 s", "119 s", "2 min", "117 min", "2.5 h"]


def test_a_line_does_not_go_on_behind_dots(monkeypatch: pytest.MonkeyPatch) -> None:
    one, terminal = watched(monkeypatch)
    terminal.config.get_terminal_writer().width_of_current_line = 7
    one.pytest_runtest_logreport(report(IDS[2], "PASS"))
    assert terminal.lines[0] == "" and terminal.lines[1].startswith("cell 1 of 2")
