"""Programs that other people read JUnit with agree on ours: how many tests, which failed, and why.

`make test-junit` installs them from a lock; without them nothing is read here. Allure's own reader is among them.
Actions of GitHub (dorny/test-reporter, mikepenz/action-junit-report) are in no package registry; GitLab, Jenkins and
Buildkite read JUnit inside their servers. Those are not among them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from matrix.checkout import CHECKOUT
from reports.gate import gate
from reports.gate.junit import render_verdict
from tests.reports import world
from tests.reports.test_pages import failing
from tests.reports.world import EXPECTED, NOW, PLAIN, POLICY

INSTALLED = CHECKOUT / ".cache" / "junit"
READ = Path(__file__).with_name("consumers") / "read.mjs"
RUN = CHECKOUT / "docs" / "evidence" / "sm90-h100" / "canaries.junit.xml"
NAMES = tuple(json.loads(READ.with_name("package.json").read_text())["dependencies"])
EVIL = "</failure><script>alert(1)</script>]]> \x1b[2J"


@cache
def read_by_all(path: Path) -> Any:
    node = shutil.which("node")
    if node is None or not (INSTALLED / "node_modules").is_dir():
        pytest.skip("the programs are not here (make test-junit installs them)")
    return json.loads(subprocess.run([node, READ, INSTALLED, path], check=True, capture_output=True, text=True).stdout)


@pytest.mark.parametrize("name", NAMES)
def test_the_counts_of_a_run_are_ours(name: str) -> None:
    found = read_by_all(RUN)[name]
    skipped_apart = 31 if name == "test-results-parser" else 0  # its total leaves out what was skipped
    assert (found["tests"] + skipped_apart, found["failed"], found["skipped"]) == (1_439, 30, 31)


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the gate's verdict on a cell that fails, with hostile text in everything it says."""
    path = tmp_path_factory.mktemp("junit") / "gate.junit.xml"
    found = gate.judge_evidence(POLICY, EXPECTED, world.seal(failing(EVIL)), now=NOW)
    path.write_bytes(render_verdict(found))
    return path


@pytest.mark.parametrize("name", NAMES)
def test_the_verdict_has_a_failure_a_red_cell_and_its_reason(name: str, verdict: Path) -> None:
    found = read_by_all(verdict)[name]
    assert found["failed"] >= 1 and found["failed"] < found["tests"]
    assert any("came to FAIL" in message for message in found["messages"]), PLAIN
