"""Tells, while a run lasts, which cells are done, with what verdict, and about how long the rest takes.

Dots say nothing to somebody who waits for an engine. One line a cell does, with and without xdist: the process that
ends the run counts the cells of all workers, also of those that replace others and collect everything once more.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from matrix.judging.status import Status, worst_status
from reports.evidence.run_header import DECLARATION, identity_of
from reports.evidence.time_left import LaunchClock, estimate_rest

CELL_OF: Final = re.compile(r"\[([^\]]+)\]$")  # a worker sends node ids only
PHASES: Final = ("setup", "call", "teardown")  # xdist reports a test that its worker did not survive as none of them
MINUTE_S: Final = 60.0


@dataclass(slots=True)
class CellProgress:
    """One cell: node ids still to be answered, and what came of the others."""

    owed: set[str] = field(default_factory=set)
    statuses: list[Status] = field(default_factory=list)
    spent_s: float = 0.0


class ProgressCounter:
    """Counts the tests of each cell in the process that ends the run; prints a line when a cell has none left."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.terminal: pytest.TerminalReporter | None = None  # pytest makes its reporter after it configures us
        self.cells: dict[str, CellProgress] = {}
        self.cell_of: dict[str, str] = {}  # node id -> cell
        self.clocks: dict[str, LaunchClock] = {}
        self.most_at_once = 1

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.terminal = session.config.pluginmanager.getplugin("terminalreporter")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.config.option.collectonly:
            return
        self._count((who["cell"], item.nodeid) for item in session.items if (who := identity_of(item)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        self._count((found[1], nodeid) for nodeid in ids if (found := CELL_OF.search(nodeid)))

    def _count(self, found: Iterable[tuple[str, str]]) -> None:
        """Add tests; the same test from another worker is the same test, whether or not it is answered already."""
        for cell, nodeid in found:
            if nodeid not in self.cell_of:
                self.cell_of[nodeid] = cell
                self.cells.setdefault(cell, CellProgress()).owed.add(nodeid)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if (cell := self.cell_of.get(nodeid)) is not None and nodeid in self.cells[cell].owed:
            self._clock(cell).begin_test(time.monotonic())
            self.most_at_once = max(self.most_at_once, sum(c.is_running for c in self.clocks.values()))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        cell = self.cell_of.get(report.nodeid, "")
        asked = self.cells.get(cell)
        if asked is None or report.nodeid not in asked.owed:
            return
        asked.spent_s += report.duration
        self._clock(cell).add_phase(report.when, report.duration)
        status = dict(report.user_properties).get("status") if report.when == "teardown" else None
        if report.when not in PHASES:
            status = Status.TEST_ERROR
        if status is not None:
            asked.owed.discard(report.nodeid)
            asked.statuses.append(Status(str(status)))
            self._clock(cell).end_test(is_last=not asked.owed and not self._still_owes(self._launch_of(cell)))
            if not asked.owed:
                self._print_cell(cell, asked)

    def _launch_of(self, cell: str) -> str:
        """Return the fingerprint of the cell's plan: cells that share it share an engine."""
        # Looked up when it is needed: without xdist the cells are declared after they are collected.
        declaration = self.config.stash.get(DECLARATION, None)
        declared = declaration.cells.get(cell) if declaration else None
        return declared.fingerprint if declared else cell

    def _still_owes(self, launch: str) -> bool:
        return any(asked.owed and self._launch_of(cell) == launch for cell, asked in self.cells.items())

    def _clock(self, cell: str) -> LaunchClock:
        return self.clocks.setdefault(self._launch_of(cell), LaunchClock())

    def _print_cell(self, cell: str, asked: CellProgress) -> None:
        done = sum(not c.owed for c in self.cells.values())
        if self.terminal is None or self.terminal.verbosity < -1 or len(self.cells) == 1:
            return  # one cell has pytest's own summary
        count = f"{len(asked.statuses)} test{'s' if len(asked.statuses) != 1 else ''}"
        if self.terminal.config.get_terminal_writer().width_of_current_line:  # dots: `ensure_newline` knows of none
            self.terminal.write_line("")
        self.terminal.write_line(
            f"cell {done} of {len(self.cells)}: {cell} {worst_status(asked.statuses)}"
            f" ({count}, {show_duration(asked.spent_s)})" + "".join(self._say_rest())
        )

    def _say_rest(self) -> Iterator[str]:
        owed: dict[str, int] = {}
        for cell, asked in self.cells.items():
            if asked.owed:
                launch = self._launch_of(cell)
                owed[launch] = owed.get(launch, 0) + len(asked.owed)
        if owed:
            rest_s = estimate_rest(self.clocks, owed, at_once=self.most_at_once, now=time.monotonic())
            yield f"; about {show_duration(rest_s)} left"


def show_duration(seconds: float) -> str:
    """Print a duration as a person says it: `31 s`, `4 min`, `2.5 h`."""
    if seconds < 2 * MINUTE_S:
        return f"{seconds:.0f} s"
    minutes = seconds / MINUTE_S
    return f"{minutes:.0f} min" if minutes < 2 * MINUTE_S else f"{minutes / MINUTE_S:.1f} h"
