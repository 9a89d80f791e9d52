"""`make try` and `make matrix` judge what this run left, and never what an earlier one did."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from matrix.checkout import CHECKOUT

STARTED = "#!/bin/sh\nsleep 0.1\necho '{}' > \"$STARTED\"\nexit 1\n"
REFUSED = "#!/bin/sh\nexit 4\n"


def make(target: str, out: Path, pytest_does: str) -> subprocess.CompletedProcess[str]:
    """Run a target with a Python of ours, which stands for pytest, in a checkout whose environment is there."""
    program = out / "python"
    program.write_text(pytest_does)
    program.chmod(0o755)
    evidence = out / ("try.jsonl" if target == "try" else "evidence.jsonl")
    command = ["make", "-s", "-o", ".venv/bin/glm-matrix", target, f"OUT={out}", f"PY={program}"]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "STARTED": str(evidence)}
    return subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("target", ["try", "matrix"])
def test_a_run_that_did_not_begin_is_not_judged_by_an_earlier_one(tmp_path: Path, target: str) -> None:
    for name in ("try.jsonl", "evidence.jsonl"):
        (tmp_path / name).write_text("{}\n")
    done = make(target, tmp_path, REFUSED)
    assert done.returncode == 2
    assert "nothing to judge" in done.stderr and "not of this run" in done.stderr
    assert "GREEN" not in done.stdout and not (tmp_path / "gate.junit.xml").exists()


def test_a_run_that_began_is_judged(tmp_path: Path) -> None:
    done = make("try", tmp_path, STARTED)
    assert "nothing to judge" not in done.stderr
    assert "try.jsonl" in done.stderr  # the report read it, and says what is wrong with it


@pytest.mark.parametrize("target", ["try", "matrix"])
def test_where_nothing_can_be_written_the_way_to_another_folder_is_told(tmp_path: Path, target: str) -> None:
    (tmp_path / "file").touch()
    command = ["make", "-s", "-o", ".venv/bin/glm-matrix", target, f"OUT={tmp_path / 'file' / 'out'}"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and f"another folder: make {target} OUT=FOLDER" in done.stderr


@pytest.mark.parametrize("target", ["try", "matrix"])
def test_a_second_run_into_a_folder_elsewhere_begins(tmp_path: Path, target: str) -> None:
    """pytest takes a word that is an existing path for a place of tests: it would look for our options there."""
    seen = tmp_path / "words"
    make(target, tmp_path, f"#!/bin/sh\n[ \"$2\" = pytest ] && printf '%s\\n' \"$@\" > '{seen}'\nexit 4\n")
    words = seen.read_text().splitlines()
    assert f"--evidence={tmp_path}/{'try' if target == 'try' else 'evidence'}.jsonl" in words
    assert not [w for w in words if w.startswith(str(tmp_path))]
