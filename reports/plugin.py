"""Evidence as a pytest plugin. The process that runs a test says what became of it; only the controller writes.

Under xdist a worker's records travel on the test report (`report.evidence`), so nothing is shared and nothing is lost
when a worker dies later. Without xdist the one process is both.

For other plugins:

    declare(config, cells=[Declared(...)], host={...})   on the controller, before the first test: what this run is
    outbox(config).launch({"cell": ..., "outcome": "ok", "launch_s": 3.1})   from a session fixture
    run_id(config)                                       the same text in every process of the run
    evidence                                             fixture: .finding() .measurement() .proof() .launch()

A test belongs to a cell when its `user_properties` hold ("cell", id); ("fingerprint", hex) and ("test", name) go with
it. Tests without a cell leave no evidence. An interrupted run (Ctrl-C, SIGTERM) keeps what was gathered.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from matrix.errors import HostError
from matrix.status import Status, worst
from reports import junit, outcome, redact
from reports.collector import Evidence, Outbox
from reports.evidence import EvidenceWriter, digest
from reports.record import plain

__all__ = ["Declared", "Evidence", "Outbox", "declare", "identity", "outbox", "run_id"]

OUT = "reports/out/evidence.jsonl"
IDENTITY = ("cell", "fingerprint", "test")
KNOWN_FAILURE = re.compile(r"([\w.-]+): ")  # a known failure's xfail reason begins with its id


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One cell of this run, as its `cell` record will say it."""

    id: str
    facts: Mapping[str, Any]
    fingerprint: str
    script: str = ""


@dataclass(kw_only=True)
class Declaration:
    """Everything `declare` was told, until the run's first records are written."""

    cells: dict[str, Declared] = field(default_factory=dict)
    expected: dict[str, list[str]] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    written: bool = False


@dataclass(kw_only=True)
class Phases:
    """What the phases of one item have come to so far."""

    evidence: Evidence | None = None
    statuses: list[tuple[Status, str]] = field(default_factory=list)
    duration_s: float = 0.0
    known_failure: str = ""


DECLARATION = pytest.StashKey[Declaration]()
OUTBOX = pytest.StashKey[Outbox]()
PHASES = pytest.StashKey[Phases]()
HANDLER = pytest.StashKey[Any]()
RECORDER = pytest.StashKey["Recorder"]()


def declare(
    config: pytest.Config,
    *,
    cells: Sequence[Declared],
    expected: Mapping[str, Sequence[str]] | None = None,
    **run: Any,
) -> None:
    """Say which cells this run is about, before its first test; may be called more than once.

    `expected` (cell id -> node ids or test names) adds to what collection finds by itself. `run` holds fields of the
    `run` record: host, versions, matrix_sha256, commit. In an xdist worker this does nothing.
    """
    known = config.stash.setdefault(DECLARATION, Declaration())
    if known.written:
        raise RuntimeError("declare() comes too late: the run's first records are written")
    known.cells.update({c.id: c for c in cells})
    for cell, tests in (expected or {}).items():
        known.expected.setdefault(cell, []).extend(tests)
    known.run.update(run)


def outbox(config: pytest.Config) -> Outbox:
    """Where this process leaves records until the next test report takes them along."""
    return config.stash[OUTBOX]


def run_id(config: pytest.Config) -> str:
    return config.stash[OUTBOX].run_id


def identity(item: pytest.Item) -> dict[str, str]:
    """Cell, fingerprint, test and node id of an item; empty for a test that belongs to no cell."""
    found = {k: str(v) for k, v in item.user_properties if k in IDENTITY}
    return {**found, "nodeid": item.nodeid} if "cell" in found else {}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("matrix", "GLM-5 serving matrix")
    group.addoption("--evidence", default=OUT, metavar="FILE", help=f"where this run's facts go (default {OUT})")


def pytest_configure(config: pytest.Config) -> None:
    redact.register_environment(os.environ)
    workerinput = getattr(config, "workerinput", None)
    config.stash[OUTBOX] = Outbox(workerinput["run_id"] if workerinput else _new_run_id())
    if workerinput is None:
        config.stash[RECORDER] = Recorder(config)
        config.pluginmanager.register(config.stash[RECORDER], "evidence-recorder")
    else:
        config.pluginmanager.register(Worker(config), "evidence-worker")
    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        config.stash[HANDLER] = signal.signal(signal.SIGTERM, _interrupt)


def pytest_unconfigure(config: pytest.Config) -> None:
    if HANDLER in config.stash:
        signal.signal(signal.SIGTERM, config.stash[HANDLER])


def _new_run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{secrets.token_hex(3)}"


def _interrupt(signum: int, _: object) -> None:
    """SIGTERM (scancel, a cancelled CI job) runs no teardown in plain pytest; as Ctrl-C it does."""
    raise KeyboardInterrupt(signal.Signals(signum).name)


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> Evidence:
    """Where this test records findings, measurements and proofs."""
    found = Evidence(outbox(request.config), identity(request.node))
    request.node.stash.setdefault(PHASES, Phases()).evidence = found
    return found


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    who, box = identity(item), outbox(item.config)
    if not who:
        box.drain()
        return report
    phases = item.stash.setdefault(PHASES, Phases())
    _judge(phases, report, call.excinfo.value if call.excinfo else None)
    _clean(report)
    if report.when == "teardown":
        status = worst(s for s, _ in phases.statuses)
        message = next((m for s, m in phases.statuses if s is status), "")
        known = phases.known_failure if status in (Status.XFAIL, Status.XPASS) else ""
        result = {"status": status, "message": message, "known_failure": known}
        box.add("result", {**who, **result, "duration_s": round(phases.duration_s, 3)})
        report.user_properties.append(("status", str(status)))  # JUnit knows only failure, error and skipped
        del item.stash[PHASES]  # a test that is run again starts anew
    report.evidence = box.drain()  # type: ignore[attr-defined]
    return report


def _judge(phases: Phases, report: pytest.TestReport, error: BaseException | None) -> None:
    status = outcome.status_of(report, error, phases.evidence)
    if hasattr(report, "wasxfail") and (named := KNOWN_FAILURE.match(outcome.reason(report))):
        phases.known_failure = named[1]
    if status is Status.XPASS:
        named = KNOWN_FAILURE.match(outcome.reason(report).removeprefix(outcome.STRICT_XPASS).strip())
        phases.known_failure = named[1] if named else ""
    if status in outcome.OURS and report.skipped and hasattr(report, "wasxfail"):
        # pytest counts any exception under an xfail marker as the expected one; the host's and ours are not
        report.outcome = "failed"
        report.longrepr = f"{status}, not the expected failure: {outcome.headline(report, error)}\n{error!r}"
        del report.wasxfail
    phases.statuses.append((status, outcome.headline(report, error) if status is not Status.PASS else ""))
    phases.duration_s += report.duration


def _clean(report: pytest.TestReport) -> None:
    """No secret goes to the terminal or JUnit; a report without one keeps its colours."""
    report.sections = [(title, redact.text(text)) for title, text in report.sections]
    report.user_properties = [(k, redact.data(v)) for k, v in report.user_properties]
    if isinstance(report.longrepr, tuple):
        path, line, why = report.longrepr
        report.longrepr = (path, line, redact.text(why))
    elif report.longrepr and (text := str(report.longrepr)) != (cleaned := redact.text(text)):
        report.longrepr = cleaned


class Worker:
    """The xdist worker's half: what must reach the controller without a test report."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        found = [who for item in session.items if (who := identity(item))]
        self.config.workeroutput["evidence_items"] = found  # type: ignore[attr-defined]

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None, None, None]:
        yield
        self.config.workeroutput["evidence"] = outbox(self.config).drain()  # type: ignore[attr-defined]


class Recorder:
    """The controller's half, or the only process: holds the writer."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.items: dict[str, dict[str, str]] = {}  # node id -> identity
        self.crashed: list[pytest.TestReport] = []
        self.writer: EvidenceWriter | None = None
        self.begun_s = 0.0

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["run_id"] = run_id(self.config)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items.update({item.nodeid: who for item in session.items if (who := identity(item))})

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Take the file before the first engine starts; what is declared later in this hook is still written."""
        wanted = self.items or DECLARATION in self.config.stash
        if wanted and not self.config.option.collectonly:
            self._open()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when not in ("setup", "call", "teardown"):  # xdist's word for a test that its worker did not survive
            self.crashed.append(report)
            return
        who = {k: str(v) for k, v in report.user_properties if k in IDENTITY}
        if "cell" in who:
            self.items[report.nodeid] = {**who, "nodeid": report.nodeid}
        self._append(getattr(report, "evidence", []))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        output = getattr(node, "workeroutput", {})
        self.items.update({who["nodeid"]: who for who in output.get("evidence_items", ())})
        self._append(output.get("evidence", ()))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        yield
        self._append(outbox(self.config).drain())
        if self.writer is None:
            return
        late = () if self._collects_itself else self._expected()
        self.writer.append([*self._opening(), *self._crashes(), *late])
        code = int(session.exitstatus)
        self.writer.end(
            exit_code=code,
            interrupted=code == pytest.ExitCode.INTERRUPTED,
            duration_s=time.monotonic() - self.begun_s,
        )
        self.writer.close()
        if xml := getattr(self.config.option, "xmlpath", None):
            junit.finish(Path(xml), self.writer.path)

    @property
    def _collects_itself(self) -> bool:
        return not self.config.pluginmanager.hasplugin("dsession")

    def _open(self) -> EvidenceWriter:
        if self.writer is None:
            self.begun_s = time.monotonic()
            try:
                self.writer = EvidenceWriter(Path(self.config.option.evidence), run_id(self.config), fresh=True)
            except HostError as error:
                raise pytest.UsageError(str(error)) from None
        return self.writer

    def _append(self, records: Sequence[Mapping[str, Any]]) -> None:
        if records:
            self._open().append([*self._opening(), *records])

    def _opening(self) -> list[dict[str, Any]]:
        """The run, its cells and what they must report, once."""
        known = self.config.stash.setdefault(DECLARATION, Declaration())
        if known.written:
            return []
        known.written = True
        versions = {"python": platform.python_version(), "pytest": pytest.__version__, **known.run.get("versions", {})}
        run = {
            "kind": "run", "argv": sys.argv, "selection": list(known.cells), "xdist": not self._collects_itself,
            **known.run, "versions": versions,
        }  # fmt: skip
        cells = (_cell(c) for c in known.cells.values())
        return [plain(run), *cells, *(self._expected() if self._collects_itself else ())]

    def _expected(self) -> list[dict[str, Any]]:
        """What must report: what was collected and what was declared. Under xdist workers say it when they finish."""
        tests = {c: list(t) for c, t in self.config.stash[DECLARATION].expected.items()}
        for nodeid, who in self.items.items():
            tests.setdefault(who["cell"], []).append(nodeid)
        return [{"kind": "expected", "cell": c, "tests": sorted(set(t))} for c, t in sorted(tests.items())]

    def _crashes(self) -> Iterator[dict[str, Any]]:
        for report in self.crashed:
            who = self.items.get(report.nodeid, {"nodeid": report.nodeid})
            yield {"kind": "result", **who, "status": Status.TEST_ERROR, "message": str(report.longrepr)}


def _cell(cell: Declared) -> dict[str, Any]:
    content = plain({"facts": cell.facts, "script": cell.script})
    return {"kind": "cell", "cell": cell.id, "fingerprint": cell.fingerprint, **content, "sha256": digest(content)}
