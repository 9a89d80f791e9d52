"""The plugin in real pytest runs: alone, under xdist, and when interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from junitparser import TestSuite

from matrix.checkout import CHECKOUT
from matrix.judging.status import Status
from reports.evidence import files as evidence
from reports.evidence import junit
from reports.evidence.attempts import link_retries
from reports.evidence.types import CellFacts, End, Expected, Found, Launch, Lost, Measured, Proof, Record, Result, Run
from tests.reports.evidence.xsd import Schema

CONFTEST = r"""
import pytest
from datetime import date
from pathlib import Path
from matrix.known.failures import KnownOfCell
from matrix.yaml.load import NEVER
from matrix.yaml.loaded import Loaded
from matrix.model import Fails, KnownFailure, Source
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
COMMAND = [
    sys.executable,
    "-m",
    "pytest",
    "-p",
    "xdist",
    "-p",
    "no:cacheprovider",
    "--junitxml=junit.xml",
    "--evidence=e.jsonl",
    "-q",
]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """One run of TESTS, without and with xdist; every test below looks at both."""
    where = tmp_path_factory.mktemp("run")
    out, _ = start(where, TESTS, request.param).communicate()
    (where / "out").write_text(out)
    return where


def start(where: Path, tests: str, options: Sequence[str] = (), **more: str) -> subprocess.Popen[str]:
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
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([*COMMAND, *options], cwd=where, env=env, text=True, **pipes)  # type: ignore[call-overload,no-any-return]


both = pytest.mark.parametrize("folder", [(), ("-n2",)], indirect=True, ids=["alone", "xdist"], scope="module")


def records(folder: Path) -> list[Record]:
    return evidence.read_records(folder / "e.jsonl")


def of(kind: type[Record], folder: Path) -> list[Record]:
    return [r for r in records(folder) if type(r) is kind]


@both
def test_every_outcome_becomes_its_status(folder: Path) -> None:
    found = {(r.test, r.cell): r.status for r in records(folder) if isinstance(r, Result)}
    assert found == {(test, cell): status for test, status in STATUSES.items() for cell in "ab"}


@both
def test_the_junit_of_a_run_is_of_our_schema(folder: Path) -> None:
    assert Schema(CHECKOUT / "reports/evidence/junit.xsd").find_problems(folder / "junit.xml") == []


@both
def test_a_run_says_what_it_is_and_is_sealed(folder: Path) -> None:
    whole = records(folder)
    first, last = whole[0], whole[-1]
    assert isinstance(first, Run)
    assert (first.selection, first.commit, first.host) == (("a", "b"), "c0ffee", {"cpu": "x"})
    assert isinstance(last, End)
    assert (last.exit_code, last.interrupted, last.launches) == (1, False, 2)
    assert evidence.is_sealed(whole)
    assert len({r.run for r in whole}) == 1
    assert [r.fingerprint for r in whole if isinstance(r, CellFacts)] == ["fa", "fb"]


def test_a_run_says_also_the_options_of_its_environment(tmp_path: Path) -> None:
    start(tmp_path, TESTS, ["-q"], PYTEST_ADDOPTS="-k 'test_passes and a'").communicate()
    [first] = of(Run, tmp_path)
    assert isinstance(first, Run)
    assert first.argv[-3:] == ("-q", "-k", "test_passes and a")


@both
def test_what_must_report_is_what_was_collected(folder: Path) -> None:
    expected = {r.cell: set(r.tests) for r in records(folder) if isinstance(r, Expected)}
    assert expected == {c: {f"test_suite.py::{t}[{c}]" for t in STATUSES} for c in "ab"}


@both
@pytest.mark.parametrize(("kind", "count"), [(Found, 26), (Measured, 2), (Proof, 4), (Launch, 2)])
def test_what_a_test_records_arrives_with_its_identity(folder: Path, kind: type[Record], count: int) -> None:
    found = of(kind, folder)
    assert len(found) == count
    assert {r.cell for r in found} == {"a", "b"}
    if kind is not Launch:  # recorded through the outbox, as a session fixture would
        assert all(r.test and r.nodeid.startswith("test_suite.py::") and r.fingerprint == f"f{r.cell}" for r in found)


@both
def test_the_message_of_a_failure_is_its_own_words(folder: Path) -> None:
    said = {r.test: r.message for r in records(folder) if isinstance(r, Result)}
    assert said["test_fails"].splitlines()[0] == "x.y: NOT OK"
    assert "\nassert " not in said["test_fails"]
    assert said["test_on_a_crash"] == "EngineExited: no engine: ***"
    assert said["test_elsewhere"] == "SKIP_NO_HW: needs 4 GPUs"


@both
def test_a_reply_that_cannot_be_read_is_kept_and_obeyed_by_nothing(folder: Path) -> None:
    kept = {r.cell: r for r in records(folder) if isinstance(r, Found) and r.check == "protocol.reply"}
    assert {(c, r.ok, r.got) for c, r in kept.items()} == {(c, False, "half \ud83d of it") for c in "ab"}
    case = next(c for s in junit.load_junit(folder / "junit.xml") for c in s if c.name == "test_gets_garbage[a]")
    told = f"{case.result[0].text} {case.result[0].message} {(folder / 'out').read_text()}"
    assert "\\ud83d \\x1b[2J GREEN" in told
    assert not {"\x1b", "\ud83d"} & set(told)


@both
def test_known_failures_are_named(folder: Path) -> None:
    named = {r.test: r.known_failure for r in records(folder) if isinstance(r, Result) and r.known_failure}
    assert named == {
        "test_known_to_fail": "kf_1", "test_known_to_fail_but_passes": "kf_2", "test_known_to_crash": "kf_4",
    }  # fmt: skip


@both
def test_what_excuses_a_failure_is_recorded_with_the_words_that_fit(folder: Path) -> None:
    found = {r.test: (r.at, r.how, r.matched) for r in records(folder) if isinstance(r, Result) and r.matched}
    assert found == {
        "test_known_to_fail": ("test", "wrong_answer", "x.y: NOT OK"),
        "test_known_to_crash": ("test", "exit", "RuntimeError: no kernel for it"),
    }


@both
@pytest.mark.parametrize(
    ("test", "why"),
    [
        ("test_fails_otherwise", r"kf_7: its signature 'another\\.check: NOT OK' fits nothing that was said"),
        ("test_fails_twice", r"kf_8: its signature 'x\\.y: NOT OK' fits nothing that was said in 1 of 2 findings"),
        ("test_hangs_where_it_should_exit", "kf_9: shows as exit, this as hang"),
        ("test_expected_word_only", "kf_10: its signature 'words that were expected' fits nothing that was said"),
    ],
)
def test_a_failure_says_which_entries_do_not_fit_and_why(folder: Path, test: str, why: str) -> None:
    said = {r.test: r.message for r in records(folder) if isinstance(r, Result)}
    assert why in said[test]
    assert not said[test].startswith("Known failures")  # its own cause comes first


@both
def test_junit_is_complete_and_has_a_suite_per_launch(folder: Path) -> None:
    assert junit.find_problems(folder / "junit.xml", records(folder)) == []
    suites = {s.name: _properties(s) for s in junit.load_junit(folder / "junit.xml")}
    assert set(suites) == {"a", "b", junit.NO_CELL}
    assert suites["a"]["commit"] == "c0ffee"
    cases = [c for s in junit.load_junit(folder / "junit.xml") for c in s]
    assert {junit.read_properties(c).get("status") for c in cases if c.name == "test_on_a_crash[a]"} == {"CRASH"}
    noted = {c.name: note for c in cases if (note := junit.read_properties(c).get("note"))}
    assert noted == {f"test_passes_with_a_note[{c}]": "x.y: slow once" for c in "ab"}


def _properties(suite: TestSuite) -> dict[str, str]:
    return {p.name: p.value for p in suite.properties()}  # type: ignore[no-untyped-call]


@both
def test_the_host_under_an_xfail_mark_fails_the_run(folder: Path) -> None:
    case = next(
        c for s in junit.load_junit(folder / "junit.xml") for c in s if c.name == "test_marked_on_a_bad_host[a]"
    )
    assert "not the expected failure" in str(case.result[0].text)


@both
def test_no_secret_is_written(folder: Path) -> None:
    assert "s3cr3t" not in (folder / "e.jsonl").read_text()
    assert "s3cr3t" not in (folder / "junit.xml").read_text()


FULL = """
import resource, signal
def pytest_sessionstart():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that may not grow: as on a full disk, only EFBIG
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
"""


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_disk_that_is_full_ends_the_run_once_without_a_traceback(tmp_path: Path, options: Sequence[str]) -> None:
    (tmp_path / "full.py").write_text(FULL)
    run = start(tmp_path, TESTS, ("-p", "full", *options), PYTHONPATH=f"{CHECKOUT}{os.pathsep}{tmp_path}")
    out, _ = run.communicate()
    assert run.returncode == pytest.ExitCode.INTERRUPTED
    assert "INTERNALERROR" not in out
    assert "Traceback" not in out
    assert out.count("HOST_ERROR: e.jsonl: evidence cannot be written") == 1
    assert "--evidence FILE" in out
    whole = records(tmp_path)
    assert whole
    assert not any(isinstance(r, Lost | End) for r in whole)


def test_tests_without_cells_leave_no_evidence(tmp_path: Path) -> None:
    start(tmp_path, "def test_x(): pass", ["--collect-only"]).communicate()
    assert not (tmp_path / "e.jsonl").exists()


def test_a_file_that_another_run_writes_stops_the_run_before_its_first_test(tmp_path: Path) -> None:
    with evidence.EvidenceWriter(tmp_path / "e.jsonl", "other"):
        process = start(tmp_path, "def test_x(cell): raise SystemExit('ran')")
        out, _ = process.communicate()
    assert process.returncode == pytest.ExitCode.USAGE_ERROR
    assert "is being written by another run" in out
    assert "Traceback" not in out


def test_a_worker_that_dies_is_our_error_and_the_rest_is_kept(tmp_path: Path) -> None:
    tests = "import os\ndef test_ok(cell): pass\ndef test_dies(cell): cell == 'b' and os._exit(9)\n"
    out, _ = start(tmp_path, tests, ["-n1"]).communicate()
    found = {(r.test, r.cell): r for r in records(tmp_path) if isinstance(r, Result)}
    assert {k: r.status for k, r in found.items()} == {
        ("test_ok", "a"): Status.NOT_EVIDENCE, ("test_ok", "b"): Status.NOT_EVIDENCE,
        ("test_dies", "a"): Status.NOT_EVIDENCE, ("test_dies", "b"): Status.TEST_ERROR,
    }, out  # fmt: skip
    assert "crashed while running" in found["test_dies", "b"].message
    assert evidence.is_sealed(records(tmp_path))


HANGS = """
import time
def test_ok(cell): pass
def test_hangs(cell):
    while cell == "b": time.sleep(0.05)  # its worker ends with the controller
"""


def test_a_killed_run_says_what_it_did_not_come_to(tmp_path: Path) -> None:
    """Its host was taken away, say: the cells that were through are judged, and what the others owe is known."""
    process = start(tmp_path, HANGS, ["-n2"])
    until = time.monotonic() + 60
    while not ((file := tmp_path / "e.jsonl").exists() and b'"kind":"expected"' in file.read_bytes()):
        assert time.monotonic() < until and process.poll() is None, "no worker told what it had collected"
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert {r.cell: len(r.tests) for r in of(Expected, tmp_path) if isinstance(r, Expected)} == {"a": 2, "b": 2}
    assert not evidence.is_sealed(records(tmp_path))


WAITS = """
import sys
def test_ok(cell): pass
def test_waits(cell, evidence, capsys):
    evidence.measurement("m", 1, "s")
    with capsys.disabled(): print("WAITING", flush=True)
    sys.__stdin__.readline()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interrupted_run_keeps_what_was_gathered(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, WAITS, ["-s"])
    assert process.stdout is not None
    while "WAITING" not in (line := process.stdout.readline()):
        assert line, "the run ended before it waited"
    process.send_signal(number)
    process.communicate()
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    whole = records(tmp_path)
    assert [r.test for r in whole if isinstance(r, Result)] == ["test_ok", "test_ok"]
    assert [r.name for r in whole if isinstance(r, Measured)] == ["m"]
    assert isinstance(whole[-1], End)
    assert whole[-1].interrupted
    assert evidence.is_sealed(whole)


ONCE = "import os\ndef test_it(cell): assert os.environ.get('WELL'), 'the code is not in the reply'\n"


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_retry_says_which_run_it_asks_again(tmp_path: Path, options: Sequence[str]) -> None:
    start(tmp_path, ONCE, options).communicate()
    (first,) = of(Run, tmp_path)
    start(tmp_path, ONCE, [*options, f"--retry-of={first.run}"], WELL="1").communicate()
    (second,) = of(Run, tmp_path)
    assert isinstance(second, Run) and second.retry_of == first.run
    earlier = evidence.read_records(tmp_path / "e.previous.jsonl")
    told = link_retries([*earlier, *records(tmp_path)])
    assert not told.retried and "the matrix of neither was recorded" in "".join(
        told.problems
    )  # not in this small world
    xml = junit.load_junit(tmp_path / "junit.xml")
    assert {junit.read_properties(c)["run"] for s in xml for c in s} == {second.run}


def test_what_is_no_run_cannot_be_asked_again(tmp_path: Path) -> None:
    out, _ = start(tmp_path, ONCE, ["--retry-of=evidence.jsonl"]).communicate()
    assert "--retry-of 'evidence.jsonl': expected a run's id, e.g. 20261126T020541Z.73627f" in out
    assert not (tmp_path / "e.jsonl").exists()
