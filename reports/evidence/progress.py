"""Tells, while a run lasts, which cells are done, with what verdict, and about how long the rest takes.

Dots say nothing to somebody who waits for an engine. One line a cell does, with and without xdist.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from matrix.judging.status import Status, worst_status
from reports.evidence.run_header import identity_of

CELL_OF: Final = re.compile(r"\[([^\]]+)\]$")  # a worker sends node ids only
MINUTE_S: Final = 60.0


@dataclass(slots=True)
class CellProgress:
    """One cell: node ids still to be answered, and what came of the others."""

    owed: set[str]
    statuses: list[Status] = field(default_factory=list)
    spent_s: float = 0.0


class ProgressCounter:
    """Counts the tests of each cell in the process that ends the run; prints a line when a cell has none left."""

    def __init__(self) -> None:
        self.terminal: pytest.TerminalReporter | None = None  # pytest makes its reporter after it configures us
        self.cells: dict[str, CellProgress] = {}
        self.begun_s = time.monotonic()

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
        """Begin the clock; the same test from a second worker is the same test."""
        self.begun_s = time.monotonic()
        for cell, nodeid in found:
            self.cells.setdefault(cell, CellProgress(set())).owed.add(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        said = dict(report.user_properties)
        asked = self.cells.get(str(said.get("cell", "")))
        if asked is None or report.nodeid not in asked.owed:
            return
        asked.spent_s += report.duration
        if report.when == "teardown" and "status" in said:
            asked.owed.discard(report.nodeid)
            asked.statuses.append(Status(str(said["status"])))
            if not asked.owed:
                self._print_cell(str(said["cell"]), asked)

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
        """Scale the time so far by the tests that are left: engines beside each other count as they run."""
        left = sum(len(c.owed) for c in self.cells.values())
        answered = sum(len(c.statuses) for c in self.cells.values())
        if left:
            rest_s = (time.monotonic() - self.begun_s) * left / answered
            yield f"; about {show_duration(rest_s)} left"


def show_duration(seconds: float) -> str:
    """Print a duration as a person says it: `31 s`, `4 min`, `2.5 h`."""
    if seconds < 2 * MINUTE_S:
        return f"{seconds:.0f} s"
    minutes = seconds / MINUTE_S
    return f"{minutes:.0f} min" if minutes < 2 * MINUTE_S else f"{minutes / MINUTE_S:.1f} h"
