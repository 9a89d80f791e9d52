"""Answers from real launches: one run of pytest for each boot, in a process of its own that ends with us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cli.bisecting.environment import Environments
from cli.bisecting.interrupted import find_last_number
from cli.bisecting.observed import FailureShape, Observed, observe_run
from cli.bisecting.probing import name_requirement, write_matrix
from cli.bisecting.recorded import RecordedRun
from matrix.bisecting.releases import place_cell
from matrix.bisecting.settings import Unit, write_recipe
from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError, HostError
from matrix.model import Cell
from matrix.planning.owed import OwedItem
from matrix.planning.plan import Plan, make_plan
from matrix.yaml.loaded import Matrix
from reports.evidence.files import read_records
from reports.evidence.types import Record

PROBE_S: Final = 4 * 3600.0  # a load of 700 GB, and the tests; the engine's own deadlines are shorter
STOP_S: Final = 60.0  # the ladder by which pytest stops an engine takes 35 s
LINES: Final = 3  # of a log or an error that shows why nothing was recorded
Run = Callable[[Sequence[str], Path], int]  # argv and log -> exit code


@dataclass(slots=True, kw_only=True)
class Launching:
    """Boots the cell on one release after the other. `items`: what is asked; `out`: where everything goes."""

    matrix: Matrix
    cell: Cell
    out: Path
    items: Sequence[OwedItem]
    depth: str
    test: str
    run: Run = field(default_factory=lambda: run_pytest)
    environments: Environments | None = None
    wanted: FailureShape | None = None
    ignored: frozenset[FailureShape] = frozenset()
    count: int = 0  # boots of this search, those that it goes on with included
    number: int = 0  # of the last file below `out`: what an earlier search left is never written over
    earlier: dict[str, list[RecordedRun]] = field(default_factory=dict)  # by version: answers that need no boot

    def __post_init__(self) -> None:
        self.number = find_last_number(self.out)

    def boot(self, version: str, without: Collection[Unit] = ()) -> tuple[Observed, RecordedRun | None]:
        """Boot the cell once on a release, without some units, and say what came of it.

        Trouble of this host is no answer; what is wrong with the matrix is an error.
        """
        # before an earlier answer is taken: answers that are read again count against --boots like boots
        self.count += 1
        # a launch without some settings is a question of its own, which the release's answers do not decide
        if not without and (left := self.earlier.get(version)):
            told = left.pop(0)
            return observe_run(told.records, told.cell, self.test, self.wanted, self.ignored), told
        self.number += 1
        moved = place_cell(self.matrix, self.cell, version)
        try:
            folder = self._prepare(moved, version, without)
            path, code = self._ask(moved, self._place(version, without), folder)
        except HostError as error:
            # the first line says what was tried, and the cause stands behind it: which version the index lacks
            lines = " / ".join([line.strip() for line in str(error).splitlines() if line.strip()][:LINES])
            return Observed(answer="none", why=f"HOST_ERROR {lines}"), None
        records = _read_what_is_there(path)
        if not records:
            return Observed(answer="none", why=self._explain(path, code)), None
        told = RecordedRun(version=version, cell=moved.id, run=records[0].run, path=path, records=records)
        return observe_run(records, moved.id, self.test, self.wanted, self.ignored), told

    def plan_of(self, version: str, cell: Cell | None = None) -> Plan:
        """Plan the cell, or another of the same engine, on a release."""
        return make_plan(self.matrix, place_cell(self.matrix, cell or self.cell, version))

    def _prepare(self, moved: Cell, version: str, without: Collection[Unit]) -> Path:
        plan = self.plan_of(version)
        # absolute: the process that uses the lock runs in the checkout, not where the user stands
        made = self.environments or Environments(folder=self.out.resolve() / "locks")
        # recipes may name versions: what the launcher of one off the axes lacks comes from the cell that was named
        known = {**make_plan(self.matrix, self.cell).values("launcher"), **plan.values("launcher")}
        launcher = {**known, **made.ensure(plan, name_requirement(self.cell, version))}
        recipe = write_recipe(plan, without, launcher)
        return write_matrix(self.out / "matrix", self.matrix, moved, recipe, self.cell)

    def _place(self, version: str, without: Collection[Unit]) -> Path:
        """Return where a run's evidence goes. That of another launch than the cell's is not called evidence: whoever
        asks this folder for answers of the cell must not meet it."""
        name = f"{self.number:03}-{version}"
        return self.out / ("settings" if without else "probes") / (f"{name}.part" if without else f"{name}.jsonl")

    def _ask(self, moved: Cell, path: Path, folder: Path) -> tuple[Path, int]:
        path.parent.mkdir(parents=True, exist_ok=True)
        # evidence is appended to: a leftover of a killed boot would be read as a part of this run
        path.unlink(missing_ok=True)
        places = {"--matrix": folder.resolve(), "--evidence": path.resolve()}  # pytest runs in the checkout
        options = {**places, "--cells": moved.id, "--depth": self.depth}
        words = [f"{name}={value}" for name, value in options.items()]
        asked = [item.nodeid(moved.id) for item in self.items]
        # not pytest itself: a session of its own survives our death, and would keep the GPU; child hears of it
        child = [sys.executable, "-m", "cli.bisecting.child", "-q", "--no-header", *words, *asked]
        return path, self.run(child, path.with_suffix(".log"))

    def _explain(self, path: Path, code: int) -> str:
        try:
            text = path.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        last = " / ".join([line for line in text.splitlines() if line.strip()][-LINES:])
        return f"HOST_ERROR pytest ended with {code} and recorded nothing: {last}"


def _read_what_is_there(path: Path) -> list[Record]:
    try:
        return read_records(path) if path.is_file() else []
    # killed while it wrote its first line: no answer, as with no file
    except ConfigError:
        return []


def run_pytest(argv: Sequence[str], log: Path) -> int:
    """Run pytest in a session of its own and return its exit code. When we are stopped it is interrupted, as by Ctrl-C,
    so that it stops its engine; what outlives that is killed.

    Raises:
        HostError: it did not end in time.
    """
    with log.open("wb") as file:
        process = subprocess.Popen(
            # a session of its own, so that Ctrl-C of the terminal reaches us alone, and we stop it in our order
            argv,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        return process.wait(PROBE_S)
    except subprocess.TimeoutExpired:
        raise HostError(f"the run did not end within {PROBE_S:.0f} s; its output is in {log}") from None
    finally:
        if process.poll() is None:
            _stop_process(process)


def _stop_process(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        # the group: the engine's workers would outlive pytest and hold the GPU for the next boot
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
