"""A run of pytest in a small world with the evidence plugin: two cells, a test for every outcome, known failures."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from matrix.checkout import CHECKOUT
from matrix.judging.status import Status
from reports.evidence import files as evidence
from reports.evidence.types import Record

CONFTEST = r"""
import pytest
from datetime import date
from pathlib import Path
from matrix.known.failures import KnownOfCell
from matrix.yaml.load import NEVER
from matrix.yaml.loaded import Loaded
from matrix.source import Source
from matrix.recorded import Fails, KnownFailure
from matrix.collection.plugin import KNOWN
from reports.evidence import plugin, redact

pytest_plugins = ["reports.evidence.plugin"]
CELLS = ["a", "b"]
redact.register_secrets("s3cr3t-value")

@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    config = session.config
    if not hasattr(config, "workerinput"):
        cells = [plugin.Declared(id=c, facts={"features": frozenset({"mtp"})}, fingerprint="f" + c) for c in CELLS]
        plugin.declare_run(config, cells=cells, commit="c0ffee", host={"cpu": "x"})

def pytest_generate_tests(metafunc):
    if "cell" in metafunc.fixturenames:
        metafunc.parametrize("cell", CELLS)

def entry(id_, test, signature, expect="always", how="wrong_answer", **fails):
    at = fails.pop("at", "test")
    value = KnownFailure(
        id=id_, when={}, fails=Fails(at=at, test=test, how=how, signature=signature, **fails), expect=expect,
        symptom="loses it", issue="https://example.org/1", source=Source(kind="run", release="1"), owner="somebody",
        added=date(2026, 1, 1), review_by=date(2099, 1, 1),
    )
    return Loaded(value=value, file="known.yaml", line=1, lines={}, condition=NEVER)

KNOWN_HERE = KnownOfCell(entries=(
    entry("kf_1", "test_known_to_fail", r"x\.y: NOT OK"),
    entry("kf_2", "test_known_to_fail_but_passes", r"x\.y: NOT OK"),
    entry("kf_3", "test_intermittent_and_passes", r"x\.y: NOT OK", "intermittent"),
    entry("kf_4", "test_known_to_crash", "no kernel for it", how="exit"),
    entry("kf_5", "test_known_to_fail_on_a_bad_host", "no engine"),
    entry("kf_6", "test_known_to_fail_with_a_bug", "x"),
    entry("kf_7", "test_fails_otherwise", r"another\.check: NOT OK"),
    entry("kf_8", "test_fails_twice", r"x\.y: NOT OK"),
    entry("kf_9", "test_hangs_where_it_should_exit", "no engine", how="exit"),
    entry("kf_10", "test_expected_word_only", "words that were expected"),
    entry("kf_11", "test_fails_in_teardown", "lost at the end", "intermittent"),
))

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if hasattr(item, "callspec"):
            cell = item.callspec.params["cell"]
            item.user_properties += [("cell", cell), ("fingerprint", "f" + cell), ("test", item.originalname)]
            item.stash[KNOWN] = KNOWN_HERE
"""
TESTS = """
import dataclasses
import pytest
from matrix.errors import EngineExited, EngineNotReady, EngineReplyMalformed, HostError
from reports.evidence.finding import Finding
from reports.evidence.plugin import outbox_of

def finding(ok=True, sensitive=True):
    return Finding(check="x.y", ok=ok, expected="1", got="s3cr3t-value", sensitive=sensitive)

@pytest.fixture
def engine(request, evidence):
    error = getattr(request.function, "breaks", None)
    if error:
        raise error("no engine: s3cr3t-value")
    outbox_of(request.config).launch({"cell": request.node.callspec.params["cell"], "outcome": "ok", "launch_s": 0.5})

def breaks(error):
    def mark(function):
        function.breaks = error
        return function
    return mark

def test_passes(cell, engine, evidence):
    evidence.proof("mtp", "proven", "counter", data={"drafted": 7})
    assert evidence.finding(finding()).ok

def test_passes_with_a_note(cell, evidence):
    evidence.finding(dataclasses.replace(finding(), note="slow once"))

def test_records_nothing(cell): pass

def test_proves_beside_the_point(cell, evidence): evidence.proof("mtp", "proven", "counter")

def test_is_blind(cell, evidence):
    evidence.finding(finding(sensitive=False))

def test_contradicts_itself(cell, evidence):
    evidence.finding(finding(ok=False))

def test_measures(cell, evidence):
    evidence.measurement("output_throughput", 12.5, "tok/s", {"concurrency": 1})

def test_fails(cell, evidence):
    found = evidence.finding(finding(ok=False))
    assert found.ok, found.explain()

def test_has_a_bug(cell): raise KeyError("x")

def test_gets_garbage(cell):
    print("\\x1b[2J captured")
    raise EngineReplyMalformed("half a line: \\ud83d \\x1b[2J GREEN", received="half \\ud83d of it")

@breaks(HostError)
def test_on_a_bad_host(cell, engine): pass

@breaks(EngineExited)
def test_on_a_crash(cell, engine): pass

@breaks(EngineNotReady)
def test_on_a_hang(cell, engine): pass

@breaks(ValueError)
def test_on_a_broken_fixture(cell, engine): pass

def test_loses_its_host(cell):
    try: raise HostError("gone")
    except HostError as error: raise AssertionError("consequence") from error

@pytest.mark.skip(reason="SKIP_NO_HW: needs 4 GPUs")
def test_elsewhere(cell): pass

@pytest.mark.skip(reason="PASS: a skip cannot be green")
def test_skipped_as_pass(cell): pass

@pytest.mark.skip(reason="no reason worth the name")
def test_skipped(cell): pass

def judge(evidence, *findings):
    for found in findings:
        evidence.finding(found)
    assert all(f.ok for f in findings), "\\n".join(f.explain() for f in findings)

def test_known_to_fail(cell, evidence): judge(evidence, finding(ok=False), finding())

def test_known_to_fail_but_passes(cell, evidence): judge(evidence, finding())

def test_intermittent_and_passes(cell, evidence): judge(evidence, finding())

def test_known_to_crash(cell, evidence):
    error = EngineExited("it ended")
    error.log_excerpt = "RuntimeError: no kernel for it"
    raise error

@breaks(HostError)
def test_known_to_fail_on_a_bad_host(cell, engine): pass

def test_known_to_fail_with_a_bug(cell): raise KeyError("x")

def test_fails_otherwise(cell, evidence): judge(evidence, finding(ok=False))

def test_fails_twice(cell, evidence):
    judge(evidence, finding(ok=False), dataclasses.replace(finding(ok=False), check="another.check"))

@breaks(EngineNotReady)
def test_hangs_where_it_should_exit(cell, engine): pass

def test_expected_word_only(cell, evidence):
    judge(evidence, dataclasses.replace(finding(ok=False), expected="words that were expected"))

@pytest.fixture
def lossy():
    yield
    raise EngineReplyMalformed("lost at the end")

def test_fails_in_teardown(cell, lossy): pass

@pytest.mark.xfail(reason="kf_1: a mark is no known failure", strict=True)
@breaks(HostError)
def test_marked_on_a_bad_host(cell, engine): pass

@pytest.fixture
def leaky():
    yield
    raise ValueError("teardown")

def test_whose_teardown_breaks(cell, leaky): pass

def test_without_a_cell(): pass
"""
STATUSES = {
    "test_passes": Status.PASS,
    "test_passes_with_a_note": Status.PASS,
    "test_records_nothing": Status.NOT_EVIDENCE,
    "test_proves_beside_the_point": Status.NOT_EVIDENCE,
    "test_is_blind": Status.NOT_EVIDENCE,
    "test_contradicts_itself": Status.FAIL,
    "test_measures": Status.MEASURED,
    "test_fails": Status.FAIL,
    "test_has_a_bug": Status.TEST_ERROR,
    "test_gets_garbage": Status.FAIL,
    "test_on_a_bad_host": Status.HOST_ERROR,
    "test_on_a_crash": Status.CRASH,
    "test_on_a_hang": Status.HANG,
    "test_on_a_broken_fixture": Status.TEST_ERROR,
    "test_loses_its_host": Status.HOST_ERROR,
    "test_elsewhere": Status.SKIP_NO_HW,
    "test_skipped_as_pass": Status.MISSING,
    "test_skipped": Status.MISSING,
    "test_known_to_fail": Status.XFAIL,
    "test_known_to_fail_but_passes": Status.XPASS,
    "test_intermittent_and_passes": Status.PASS,
    "test_known_to_crash": Status.XFAIL,
    "test_known_to_fail_on_a_bad_host": Status.HOST_ERROR,
    "test_known_to_fail_with_a_bug": Status.TEST_ERROR,
    "test_fails_otherwise": Status.FAIL,
    "test_fails_twice": Status.FAIL,
    "test_hangs_where_it_should_exit": Status.HANG,
    "test_expected_word_only": Status.FAIL,
    "test_fails_in_teardown": Status.FAIL,
    "test_marked_on_a_bad_host": Status.HOST_ERROR,
    "test_whose_teardown_breaks": Status.TEST_ERROR,
}
OPTIONS = ("-p", "xdist", "-p", "no:cacheprovider", "--junitxml=junit.xml", "--evidence=e.jsonl", "-q")
# Every test that takes `folder` looks at both runs of TESTS: without and with xdist.
both = pytest.mark.parametrize("folder", [(), ("-n2",)], indirect=True, ids=["alone", "xdist"], scope="session")


def start(where: Path, tests: str, options: Sequence[str] = (), **more: str) -> subprocess.Popen[str]:
    return _spawn(where, tests, options, more, None)


def start_group(where: Path, tests: str, options: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start a run as timeout(1) and a shell do: the run and its workers are a process group."""
    return _spawn(where, tests, options, {}, 0)


def _spawn(
    where: Path, tests: str, options: Sequence[str], more: Mapping[str, str], group: int | None
) -> subprocess.Popen[str]:
    (where / "conftest.py").write_text(CONFTEST)
    (where / "pytest.ini").write_text("[pytest]\nxfail_strict = true\n")
    (where / "test_suite.py").write_text(tests)
    env = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT),
        "PYTEST_ADDOPTS": "",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        **more,
    }
    command = [sys.executable, "-m", "pytest", *OPTIONS, *options]
    return subprocess.Popen(
        command,
        cwd=where,
        env=env,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=group,
    )


def records(folder: Path) -> list[Record]:
    return evidence.read_records(folder / "e.jsonl")


def of(kind: type[Record], folder: Path) -> list[Record]:
    return [r for r in records(folder) if type(r) is kind]
