"""The lines of progress, fed with reports as pytest and xdist send them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from reports.evidence.progress import ProgressCounter, show_duration
from reports.evidence.run_header import DECLARATION, Declaration, Declared

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


class Clock:
    """Stands still until a test moves it."""

    now = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("reports.evidence.progress.time.monotonic", lambda: made.now)
    return made


def watched(
    ids: Sequence[str] = IDS, verbosity: int = 0, launches: Mapping[str, str] | None = None
) -> tuple[ProgressCounter, Terminal]:
    """Return a run under two workers that have collected; `launches` gives cells a common one."""
    declared = {c: Declared(id=c, facts={}, fingerprint=f) for c, f in (launches or {}).items()}
    config: Any = SimpleNamespace(stash={DECLARATION: Declaration(cells=declared)})
    one, terminal = ProgressCounter(config), Terminal(verbosity)
    one.terminal = terminal  # type: ignore[assignment]
    for _ in range(2):
        one.pytest_xdist_node_collection_finished(None, ids)
    return one, terminal


def answer(one: ProgressCounter, nodeid: str, status: str = "PASS", *, setup: float = 0.0, call: float = 10.0) -> None:
    for when, duration in (("setup", setup), ("call", call), ("teardown", 0.0)):
        one.pytest_runtest_logreport(report(nodeid, status, when=when, duration=duration))


def test_a_line_names_the_cell_its_worst_status_and_what_is_left(clock: Clock) -> None:
    one, terminal = watched()
    one.pytest_runtest_logstart(IDS[0])
    answer(one, IDS[0], "FAIL", setup=40.0)
    assert terminal.lines == []
    one.pytest_runtest_logstart(IDS[1])
    answer(one, IDS[1])
    # Another engine to start, and one test.
    assert terminal.lines == [f"cell 1 of 2: {A} FAIL (2 tests, 60 s); about 50 s left"]
    answer(one, IDS[2])
    assert terminal.lines[1] == f"cell 2 of 2: {B} PASS (1 test, 10 s)"


def test_a_worker_that_replaces_another_adds_nothing(clock: Clock) -> None:
    one, terminal = watched()
    for nodeid in IDS[:2]:
        answer(one, nodeid)
    one.pytest_xdist_node_collection_finished(None, IDS)
    answer(one, IDS[2])
    assert [line.partition(":")[0] for line in terminal.lines] == ["cell 1 of 2", "cell 2 of 2"]
    assert "left" not in terminal.lines[1]


def test_launches_beside_one_another_are_awaited_together(clock: Clock) -> None:
    ids = [f"suites/test_boot.py::t[cpu.x.{n}]" for n in range(9)]
    one, terminal = watched(ids)
    for nodeid in ids[:4]:  # four at once
        one.pytest_runtest_logstart(nodeid)
    clock.now = 110.0
    answer(one, ids[0], setup=100.0)
    # The mean start is 107.5 s, three still begin: 3 x 7.5 s of those and 5 x 117.5 s, by four at once.
    assert terminal.lines[0].endswith("; about 3 min left") and one.most_at_once == 4
    clock.now = 300.0
    answer(one, ids[1], setup=290.0)
    assert terminal.lines[1].endswith("; about 5 min left")  # 5 x 257.5 s / 4: two still start after 300 s


def test_cells_of_one_launch_wait_for_one_start(clock: Clock) -> None:
    one, terminal = watched(launches={A: "f", B: "f"})
    for nodeid in IDS[:2]:
        one.pytest_runtest_logstart(nodeid)
        answer(one, nodeid, setup=100.0 * (nodeid == IDS[0]))
    assert terminal.lines == [f"cell 1 of 2: {A} PASS (2 tests, 2 min); about 10 s left"]
    assert one.clocks["f"].is_running
    answer(one, IDS[2])
    assert not one.clocks["f"].is_running and terminal.lines[1].startswith("cell 2 of 2")


def test_a_test_that_its_worker_did_not_survive_is_answered(clock: Clock) -> None:
    one, terminal = watched()
    crash = SimpleNamespace(nodeid=IDS[2], when="???", duration=0.0, user_properties=[])
    one.pytest_runtest_logreport(crash)  # type: ignore[arg-type]
    assert terminal.lines[0].startswith(f"cell 1 of 2: {B} TEST_ERROR (1 test, 0 s)")


def test_a_test_that_is_told_twice_or_has_no_cell_counts_once_or_not() -> None:
    one, terminal = watched()
    for _ in range(2):
        one.pytest_runtest_logreport(report(IDS[0], "PASS"))
    one.pytest_runtest_logreport(SimpleNamespace(nodeid="x", when="teardown", duration=1, user_properties=[]))  # type: ignore[arg-type]
    assert terminal.lines == [] and one.cells[A].statuses == ["PASS"]


@pytest.mark.parametrize(("ids", "verbosity"), [(IDS[:2], 0), (IDS, -2)])
def test_one_cell_and_a_silent_run_print_nothing(ids: Sequence[str], verbosity: int) -> None:
    one, terminal = watched(ids, verbosity)
    for nodeid in ids:
        one.pytest_runtest_logreport(report(nodeid, "PASS"))
    assert terminal.lines == []


def test_durations_are_said_as_a_person_says_them() -> None:
    assert [show_duration(s) for s in (0.4, 119, 125, 7000, 9000)] == ["0 s", "119 s", "2 min", "117 min", "2.5 h"]


def test_a_line_does_not_go_on_behind_dots() -> None:
    one, terminal = watched()
    terminal.config.get_terminal_writer().width_of_current_line = 7
    one.pytest_runtest_logreport(report(IDS[2], "PASS"))
    assert terminal.lines[0] == "" and terminal.lines[1].startswith("cell 1 of 2")
