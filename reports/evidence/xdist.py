"""Implements both ends of the wire: what a worker sends when it is done, and the controller that writes the file.

    worker: test -> Evidence -> Outbox --drain, pack--> report.evidence -------------.
    worker ends: what the outbox still holds --pack--> workeroutput["evidence"] ------+--> Recorder --> EvidenceWriter
    controller, or the only process: declare_run -> Declaration -> run, cell, expected -'

The file is opened before the first engine starts. The declared run and its cells are written in front of the first
record that arrives; `expected` follows when the first worker ends, since only workers collect; without xdist it follows
at once.
"""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from matrix import variables
from matrix.checkout import CHECKOUT
from matrix.errors import HostError
from matrix.judging.status import GREEN, Status, worst_status
from reports.evidence import junit, redact
from reports.evidence.continuing import CONTINUED, is_continuing
from reports.evidence.files import CANNOT_WRITE, EvidenceWriter, digest_value
from reports.evidence.outbox import unpack_records
from reports.evidence.run_header import (
    DECLARATION,
    IDENTITY,
    Declaration,
    Declared,
    identity_of,
    list_written,
    outbox_of,
    run_id,
)
from reports.evidence.source_state import SourceState, read_source_state
from reports.evidence.types import SCHEMA, as_json_data


class Worker:
    """The xdist worker's half: sends what must reach the controller without a test report."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        found = [who for item in session.items if (who := identity_of(item))]
        self.config.workeroutput["evidence_items"] = found  # type: ignore[attr-defined]

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None, None, None]:
        yield
        outbox_of(self.config).take_back()
        self.config.workeroutput["evidence"] = outbox_of(self.config).send()  # type: ignore[attr-defined]


class Recorder:
    """The controller's half, or the only process: holds the writer."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.items: dict[str, dict[str, str]] = {}  # node id -> identity
        self.crashed: list[pytest.TestReport] = []
        self.writer: EvidenceWriter | None = None
        self.begun_s = 0.0
        self.said = False  # what must report, by a worker that collected it
        self.lost = ""  # why nothing can be written any more
        self.statuses: dict[str, list[Status]] = {}  # node id -> of each time that the test was run

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["run_id"] = run_id(self.config)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self.config.option.collectonly:
            return
        self.items.update({item.nodeid: who for item in session.items if (who := identity_of(item))})

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Take the file before the first engine starts; declarations made later in this hook are still written."""
        wanted = self.items or DECLARATION in self.config.stash
        if wanted and not self.config.option.collectonly:
            self._open_writer()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """Take the file before a worker begins a test, and not with its first report: workers write the replies that
        are kept beside the file themselves, and those of an earlier run move away when it is taken."""
        if ids and DECLARATION in self.config.stash and not self.config.option.collectonly:
            self._open_writer()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when not in ("setup", "call", "teardown"):  # xdist's word for a test that its worker did not survive
            self.crashed.append(report)
            return
        who = {k: str(v) for k, v in report.user_properties if k in IDENTITY}
        if "cell" in who:
            self.items[report.nodeid] = {**who, "nodeid": report.nodeid}
        self._append_records(unpack_records(getattr(report, "evidence", "")))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Write what all tests must report when the first worker finishes: a run that is killed later can still be
        judged."""
        output = getattr(node, "workeroutput", {})
        items = {who["nodeid"]: who for who in output.get("evidence_items", ())}
        self.items.update(items)
        self._append_records(
            [*unpack_records(output.get("evidence", "")), *(self._list_expected() if items and not self.said else ())]
        )
        self.said |= bool(items)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        with self._host_errors():
            yield
        if self.lost:
            return
        outbox_of(self.config).take_back()
        self._append_records(outbox_of(self.config).drain())
        if session.exitstatus == pytest.ExitCode.OK and any(worst_status(s) not in GREEN for _, s in self._asked_again):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED  # pytest knows the last attempt only
        if self.writer is None and is_continuing(self.config) and session.exitstatus == pytest.ExitCode.OK:
            with self._host_errors():
                self._open_writer()
        if self.writer is None:
            return
        late = () if self.said or self._collects_itself else self._list_expected()
        code = int(session.exitstatus)
        with self._host_errors():
            self.writer.append([*self._make_opening(), *self._list_crashes(), *late])
            self.writer.end(
                exit_code=code,
                interrupted=code == pytest.ExitCode.INTERRUPTED,
                duration_s=time.monotonic() - self.begun_s,
                **self._compare_source(),
            )
            self.writer.close()
            if xml := getattr(self.config.option, "xmlpath", None):
                junit.finish_junit(Path(xml), self.writer.path)

    def _compare_source(self) -> dict[str, Any]:
        """Compare the source with what it was before the first test: a file that was saved meanwhile was run by some
        tests and not by others. Nothing is said where the start is not known."""
        said = self.config.stash[DECLARATION].run if DECLARATION in self.config.stash else {}
        if said.get("dirty") is None:
            return {}
        now = read_source_state(CHECKOUT, list_written(self.config))
        if now.dirty is None:
            return {}
        before = SourceState(commit=said["commit"], dirty=said["dirty"], diff_sha256=said["diff_sha256"])
        return {"changed": now != before, "source": str(now)}

    @contextmanager
    def _host_errors(self) -> Iterator[None]:
        """End the run, once and without a traceback, on a host that cannot write: engines are still stopped afterwards.

        Raises:
            pytest.exit.Exception: evidence, or what pytest itself writes at the end, does not reach the disk.
        """
        try:
            yield
        except (HostError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in CANNOT_WRITE:
                raise
            if self.lost:
                return  # said once; what follows from it (pytest's own file) is no news
            self.lost = str(error)
            pytest.exit(f"HOST_ERROR: {self.lost}", returncode=pytest.ExitCode.INTERRUPTED)

    @property
    def _collects_itself(self) -> bool:
        return not self.config.pluginmanager.hasplugin("dsession")

    def _open_writer(self) -> EvidenceWriter:
        if self.writer is None:
            self.begun_s = time.monotonic()
            self._refuse_one_file_for_two()
            try:
                derived = bool(getattr(self.config.option, "replay", None))
                path = Path(self.config.option.evidence)
                self.writer = EvidenceWriter(path, run_id(self.config), fresh=True, durable=not derived)
            except HostError as error:
                raise pytest.UsageError(str(error)) from None
        return self.writer

    def _refuse_one_file_for_two(self) -> None:
        """Refuse a JUnit file where the evidence goes: pytest writes it last, over everything."""
        own, xml = Path(self.config.option.evidence), getattr(self.config.option, "xmlpath", None)
        if xml and own.resolve() == Path(xml).resolve():
            raise pytest.UsageError(f"--evidence and --junitxml are one file, {own}: name two")

    @property
    def _asked_again(self) -> list[tuple[str, list[Status]]]:
        """The tests that a plugin ran more than once, e.g. for `--reruns`."""
        return [(nodeid, statuses) for nodeid, statuses in self.statuses.items() if len(statuses) > 1]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name the tests that were run more than once: pytest shows the last attempt, and a gate counts the worst."""
        if not (again := self._asked_again):
            return
        terminalreporter.section("run more than once in this run")
        for nodeid, statuses in again:
            terminalreporter.line(f"{nodeid}: {', '.join(statuses)}")
        terminalreporter.line("The worst counts. To ask a failed test again: --retry-of RUN", yellow=True)

    def _append_records(self, records: Sequence[Mapping[str, Any]]) -> None:
        for each in records:
            if each["kind"] == "result":
                self.statuses.setdefault(str(each.get("nodeid")), []).append(Status(each["status"]))
        if records and not self.lost:
            with self._host_errors():
                self._open_writer().append([*self._make_opening(), *records])

    def _make_opening(self) -> list[dict[str, Any]]:
        """Make the records of the run, its cells and what they must report, once."""
        known = self.config.stash.setdefault(DECLARATION, Declaration())
        if known.written:
            return []
        known.written = True
        versions = {"python": platform.python_version(), "pytest": pytest.__version__, **known.run.get("versions", {})}
        run = {
            "kind": "run",
            "argv": list_words(self.config),
            "selection": list(known.cells),
            "xdist": not self._collects_itself,
            "schema": SCHEMA,
            "retry_of": self.config.option.retry_of,
            "continues": dict(self.config.stash[CONTINUED].digests) if is_continuing(self.config) else {},
            **known.run,
            "versions": versions,
        }
        cells = (_make_cell_record(c) for c in known.cells.values())
        return [as_json_data(run), *cells, *(self._list_expected() if self._collects_itself else ())]

    def _list_expected(self) -> list[dict[str, Any]]:
        """List what must report: the collected and the declared tests. Under xdist, workers send it when they
        finish."""
        tests = {c: list(t) for c, t in self.config.stash[DECLARATION].expected.items()}
        for nodeid, who in self.items.items():
            tests.setdefault(who["cell"], []).append(nodeid)
        return [{"kind": "expected", "cell": c, "tests": sorted(set(t))} for c, t in sorted(tests.items())]

    def _list_crashes(self) -> Iterator[dict[str, Any]]:
        for report in self.crashed:
            who = self.items.get(report.nodeid, {"nodeid": report.nodeid})
            yield {"kind": "result", **who, "status": Status.TEST_ERROR, "message": str(report.longrepr)}


def list_words(config: pytest.Config) -> list[str]:
    """List the words that started this run. A replay says so wherever its option stood: in `-o addopts=`, in a file of
    words (`@file`) or of settings (`-c`), where the gate would not look for it."""
    words = [*sys.argv, *shlex.split(os.environ.get(variables.PYTEST_ADDOPTS.name, ""))]
    replayed = getattr(config.option, "replay", None)
    return [*words, f"--replay={replayed}"] if replayed and not any(w.startswith("--replay") for w in words) else words


def _make_cell_record(cell: Declared) -> dict[str, Any]:
    content = redact.redact_record(
        as_json_data({"facts": cell.facts, "script": cell.script})
    )  # as it will stand in the file
    return {
        "kind": "cell",
        "cell": cell.id,
        "fingerprint": cell.fingerprint,
        **content,
        "sha256": digest_value(content),
    }
