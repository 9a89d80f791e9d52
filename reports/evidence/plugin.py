"""Collects evidence as a pytest plugin. The process that runs a test reports its outcome; only the controller writes.

Under xdist a worker's records travel on the test report (`report.evidence`), so nothing is shared and nothing is lost
when a worker dies later. Without xdist the one process is both.

For other plugins:

    declare_run(config, cells=[Declared(...)], host={...})   on the controller, before the first test: what this run is
    outbox_of(config).launch({"cell": ..., "outcome": "ok", "launch_s": 3.1})   from a session fixture
    run_id(config)                                       the same text in every process of the run
    evidence                                             fixture: .finding() .measurement() .proof() .launch()

A test belongs to a cell when its `user_properties` hold ("cell", id); ("fingerprint", hex) and ("test", name) go with
it. Tests without a cell leave no evidence. An interrupted run (Ctrl-C, SIGTERM) keeps what was gathered.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from matrix.errors import ConfigError, HostError, MatrixError
from matrix.judging.status import Status, worst_status
from matrix.output.places import locate_evidence
from reports.evidence import outcome, redact
from reports.evidence.defuse import defuse_for_terminal, defuse_line
from reports.evidence.excuse import PhaseOutcome, settle_phase
from reports.evidence.finding import Finding
from reports.evidence.interrupts import Interrupts
from reports.evidence.outbox import Evidence, Outbox
from reports.evidence.progress import ProgressCounter
from reports.evidence.run_header import OUTBOX, Declared, declare_run, identity_of, outbox_of, run_id
from reports.evidence.unanswered import Unanswered
from reports.evidence.vocabulary import find_ordinary
from reports.evidence.xdist import Recorder, Worker

__all__ = ["Declared", "Evidence", "Outbox", "declare_run", "identity_of", "outbox_of", "run_id"]

RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z\.[0-9a-f]{6}")


@dataclass(kw_only=True)
class Phases:
    """What the phases of one item have reported so far."""

    evidence: Evidence | None = None
    told: list[PhaseOutcome] = field(default_factory=list)
    duration_s: float = 0.0

    @property
    def findings(self) -> Sequence[Finding]:
        return self.evidence.findings if self.evidence else ()


class Delivery:
    """Tells the outbox which reports pytest has logged in this process."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.outbox.confirm(getattr(report, "evidence", ""))


PHASES = pytest.StashKey[Phases]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("matrix", "GLM-5 serving matrix")
    written = str(locate_evidence())
    group.addoption(
        "--evidence",
        default=written,
        metavar="FILE",
        help=f"where this run's facts go, its engines' logs beside it (default {written})",
    )
    group.addoption(
        "--retry-of",
        default="",
        metavar="RUN",
        help="ask again what this run (its id, e.g. 20261126T020541Z.73627f)"
        " asked: what it answers supersedes what that run answered, and both are told",
    )


def pytest_configure(config: pytest.Config) -> None:
    if (retried := config.option.retry_of) and not RUN_ID.fullmatch(retried):
        raise pytest.UsageError(f"--retry-of {retried!r}: expected a run's id, e.g. 20261126T020541Z.73627f (`Runs`)")
    try:
        redact.register_environment(os.environ, find_ordinary)
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from error
    workerinput = getattr(config, "workerinput", None)
    config.stash[OUTBOX] = Outbox(workerinput["run_id"] if workerinput else _new_run_id())
    if workerinput is None:
        config.pluginmanager.register(Recorder(config), "evidence-recorder")
        config.pluginmanager.register(Unanswered(), "unanswered-cells")
        config.pluginmanager.register(ProgressCounter(config), "cell-progress")
    else:
        config.pluginmanager.register(Worker(config), "evidence-worker")
    config.pluginmanager.register(Delivery(config.stash[OUTBOX]), "evidence-delivery")
    interrupts = Interrupts()
    config.pluginmanager.register(interrupts, "interrupts")
    interrupts.take(signal.SIGTERM, signal.SIG_DFL)
    config.add_cleanup(interrupts.restore)


def _new_run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{secrets.token_hex(3)}"


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> Evidence:
    """Return the recorder of this test's findings, measurements and proofs."""
    found = Evidence(outbox_of(request.config), identity_of(request.node))
    request.node.stash.setdefault(PHASES, Phases()).evidence = found
    return found


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    who, box = identity_of(item), outbox_of(item.config)
    if not who:
        # a test without a cell must not hand its records to the next test's report
        box.drain()
        return report
    if report.when == "setup":
        box.take_back()  # of earlier attempts and tests every report is logged by now, or never
    phases = item.stash.setdefault(PHASES, Phases())
    error = call.excinfo.value if call.excinfo else None
    if reply := outcome.find_unreadable_reply(error):
        (phases.evidence or Evidence(box, who)).finding(reply)
    _drop_traceback(item, report, error)
    _judge_phase(item, phases, report, error)
    _clean_report(report)
    if report.when == "teardown":
        status = worst_status(t.status for t in phases.told)
        told = next(t for t in phases.told if t.status is status)
        result = {"status": status, "message": told.message, **told.fields}
        box.add("result", {**who, **result, "duration_s": round(phases.duration_s, 3)})
        report.user_properties.append(("status", str(status)))  # JUnit knows only failure, error and skipped
        report.user_properties.append(("run", box.run_id))
        report.user_properties += [("known_failure", told.known_failure)] if told.known_failure else []
        report.user_properties += [("note", f"{f.check}: {f.note}") for f in phases.findings if f.note]
        del item.stash[PHASES]  # a test that is run again starts anew
    report.evidence = box.send()  # type: ignore[attr-defined]
    return report


def _judge_phase(item: pytest.Item, phases: Phases, report: pytest.TestReport, error: BaseException | None) -> None:
    status = outcome.status_of(report, error, phases.evidence)
    if status in outcome.OURS and report.skipped and hasattr(report, "wasxfail"):
        # pytest counts any exception under an xfail marker as the expected one; the host's and ours are not
        report.outcome = "failed"
        report.longrepr = f"{status}, not the expected failure: {outcome.make_message(report, error)}\n{error!r}"
        del report.wasxfail
    if status is Status.FAIL and report.passed:
        # what a test records is its answer, whether or not it asserts that
        report.outcome, report.longrepr = "failed", outcome.make_message(report, error, status)
    phases.told.append(settle_phase(item, report, error, status, phases.findings))
    phases.duration_s += report.duration


def _drop_traceback(item: pytest.Item, report: pytest.TestReport, error: BaseException | None) -> None:
    """Show what a host lacks, or why an engine did not start, without the calls that met it: they are no reader's.

    `--tb` of any kind shows them.
    """
    ours = isinstance(error, HostError) or (isinstance(error, MatrixError) and report.when == "setup")
    if ours and report.failed and item.config.option.tbstyle == "auto":
        report.longrepr = outcome.make_message(report, error)


def _clean_report(report: pytest.TestReport) -> None:
    """Remove secrets, control characters and endless texts from what the terminal and JUnit show; a report without
    them keeps its colours."""
    report.sections = [(title, _clean_text(text)) for title, text in report.sections]
    report.user_properties = [
        (k, defuse_line(v) if isinstance(v, str) else v)
        for k, v in ((k, redact.redact_data(v)) for k, v in report.user_properties)
    ]
    if isinstance(report.longrepr, tuple):
        path, line, why = report.longrepr
        report.longrepr = (path, line, _clean_text(why))
    elif report.longrepr and (text := str(report.longrepr)) != (cleaned := _clean_text(text)):
        report.longrepr = cleaned


def _clean_text(text: str) -> str:
    return defuse_for_terminal(redact.redact_text(text))
