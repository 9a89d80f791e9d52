"""Both ends of the wire when something ends early: a worker, the run, or the room on the disk."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from matrix.checkout import CHECKOUT
from matrix.judging.status import Status
from reports.evidence import files as evidence
from reports.evidence import xdist
from reports.evidence.run_header import DECLARATION, Declaration
from reports.evidence.source_state import SourceState
from reports.evidence.types import End, Expected, Lost, Measured, Result
from tests.reports.evidence.small_run import TESTS, of, records, start

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


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_file_that_another_run_writes_stops_the_run_before_its_first_test(
    tmp_path: Path, options: Sequence[str]
) -> None:
    """A worker writes what it keeps beside the file, so that the file must be this run's by then."""
    tests = "from pathlib import Path\ndef setup_module():\n    Path('ran').touch()\ndef test_x(cell): pass\n"
    with evidence.EvidenceWriter(tmp_path / "e.jsonl", "other"):
        process = start(tmp_path, tests, options)
        out, _ = process.communicate()
    assert process.returncode == pytest.ExitCode.USAGE_ERROR
    assert not (tmp_path / "ran").exists()
    assert "is being written by another run" in out
    assert "Traceback" not in out


def test_evidence_and_junit_are_two_files(tmp_path: Path) -> None:
    process = start(tmp_path, "def test_x(cell): raise SystemExit('ran')", ["--junitxml=e.jsonl"])
    out, _ = process.communicate()
    assert process.returncode == pytest.ExitCode.USAGE_ERROR, out
    assert "--evidence and --junitxml are one file, " in out


def test_a_worker_that_dies_is_our_error_and_the_rest_is_kept(tmp_path: Path) -> None:
    tests = "import os\ndef test_ok(cell): pass\ndef test_dies(cell): cell == 'b' and os._exit(9)\n"
    out, _ = start(tmp_path, tests, ["-n1"]).communicate()
    found = {(r.test, r.cell): r for r in records(tmp_path) if isinstance(r, Result)}
    assert {k: r.status for k, r in found.items()} == {
        ("test_ok", "a"): Status.NOT_EVIDENCE,
        ("test_ok", "b"): Status.NOT_EVIDENCE,
        ("test_dies", "a"): Status.NOT_EVIDENCE,
        ("test_dies", "b"): Status.TEST_ERROR,
    }, out
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


CLEAN = SourceState(commit="c0ffee" * 7, dirty=False)
DIRTY = replace(CLEAN, dirty=True, diff_sha256="ab" * 32)


@pytest.mark.parametrize(
    ("begun", "ended", "said"),
    [
        (CLEAN, CLEAN, {"changed": False, "source": "c0ffeec0ffee"}),
        (CLEAN, DIRTY, {"changed": True, "source": "c0ffeec0ffee+abababababab"}),
        (DIRTY, replace(DIRTY, diff_sha256="cd" * 32), {"changed": True, "source": "c0ffeec0ffee+cdcdcdcdcdcd"}),
        (CLEAN, replace(CLEAN, commit="deed"), {"changed": True, "source": "deed"}),
        (SourceState(), CLEAN, {}),  # the start is not known
        (CLEAN, SourceState(), {}),  # git is gone
        (None, CLEAN, {}),  # no run was declared
    ],
)
def test_the_end_says_whether_the_source_is_still_that_of_the_start(
    begun: SourceState | None, ended: SourceState, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Path] = []

    def read(_: Path, written: Sequence[Path]) -> SourceState:
        asked.extend(written)
        return ended

    monkeypatch.setattr(xdist, "read_source_state", read)
    stash = {} if begun is None else {DECLARATION: Declaration(run=asdict(begun))}
    option = SimpleNamespace(evidence="e.jsonl", xmlpath=None)
    config: Any = SimpleNamespace(stash=stash, option=option, invocation_params=SimpleNamespace(dir=tmp_path))
    assert xdist.Recorder(config)._compare_source() == said
    names = ["e.jsonl", ".e.jsonl.lock", "e.kept", "e.previous", "logs"]
    assert asked in ([], [tmp_path / name for name in names])
