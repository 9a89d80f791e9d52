"""A run of the server is a process of its own: what it is given reaches it, and nothing of it reaches the next."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.pytest_forkserver import Finished, run_pytest

TESTS = """
import builtins, os, sys, time

def test_is_alone():
    assert os.environ["GLM_TEST_SAID"] == "so"
    assert sys.argv[1:2] == ["-q"] and not sys.stdin.read()
    assert not hasattr(builtins, "left_here")
    builtins.left_here = True
    os.environ["GLM_TEST_SAID"] = "otherwise"

def test_takes_for_ever():
    print("began", flush=True)
    time.sleep(600)
"""


def run(folder: Path, test: str, **more: float) -> Finished:
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_x.py").write_text(TESTS)
    own = ("-q", "-s", "-c", folder / "pytest.ini", f"{folder / 'test_x.py'}::{test}")
    return run_pytest(*own, env={"GLM_TEST_SAID": "so"}, **more)


def test_runs_share_nothing_and_one_that_takes_too_long_is_killed_alone(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired) as late:
        run(tmp_path, "test_takes_for_ever", timeout_s=1.0)
    assert late.value.timeout == 1.0
    for _ in range(2):
        found = run(tmp_path, "test_is_alone")
        assert found.returncode == 0, found.stdout


def test_a_usage_error_is_said_and_counted_as_pytest_does() -> None:
    found = run_pytest("--no-such-option")
    assert (found.returncode, found.stdout) == (pytest.ExitCode.USAGE_ERROR, "")
    assert "unrecognized arguments: --no-such-option" in found.stderr
