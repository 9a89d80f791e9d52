"""A run that is killed in the middle, and the run that asks the rest: real pytest in a small world."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from matrix.planning.owed import CELL, OwedItem
from reports.evidence import continuing
from reports.evidence.continuing import CONTINUED, Continued
from reports.evidence.files import read_records
from reports.evidence.run_header import DECLARATION, Declaration
from reports.evidence.types import End, Launch, Record, Result, Run
from reports.expected import ExpectedCell
from reports.gate.gate import judge_evidence
from reports.gate.policy import Policy
from reports.gate.requirement import Requirement
from tests.reports.evidence import small_run

CONFTEST = (
    small_run.CONFTEST.replace(
        "@pytest.hookimpl(tryfirst=True)\ndef pytest_runtestloop", "def pytest_collection_finish"
    )
    .replace('["reports.evidence.plugin"]', '["reports.evidence.continuing", "reports.evidence.plugin"]')
    .replace('commit="c0ffee"', 'commit=os.environ["COMMIT"], matrix_sha256="m", depth="quick"')
    .replace("import pytest\n", "import os\nimport pytest\n", 1)
)
TESTS = """
import os, signal
import pytest
from reports.evidence.finding import Finding
from reports.evidence.plugin import outbox_of

@pytest.fixture
def engine(request, evidence):
    who = {"cell": request.node.callspec.params["cell"], "fingerprint": "f" + request.node.callspec.params["cell"]}
    outbox_of(request.config).launch({**who, "outcome": "ok", "launch_s": 0.5, "stub": True})

def saw(evidence, ok=True):
    assert evidence.finding(Finding(check="x.y", ok=ok, expected="1", got="2")).ok, "x.y: NOT OK"

def test_boots(cell, engine, evidence): saw(evidence)

def test_fails(cell, evidence): saw(evidence, ok=cell != "a")

def test_dies(cell, engine, evidence):
    if os.environ.get("DIE") == cell:
        os.kill(os.getpid(), signal.SIGKILL)
    saw(evidence)
"""
NAMES = ("test_boots", "test_fails", "test_dies")


def run(folder: Path, *options: str, **env: str) -> int:
    started = small_run.start(folder, TESTS, options, COMMIT="c0ffee", **env)
    started.communicate(timeout=60)
    return started.returncode


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whole run, one that is killed in cell b, its continuation, and one more that finds nothing left."""
    folder = tmp_path_factory.mktemp("night")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_run, "CONFTEST", CONFTEST)
        assert run(folder, "--evidence=whole.jsonl") == 1
        assert run(folder, "--evidence=killed.jsonl", DIE="b") == -signal.SIGKILL
        assert run(folder, "--continue=killed.jsonl", "--evidence=rest.jsonl") == 0
        both = ("--continue=killed.jsonl", "--continue=rest.jsonl")
        assert run(folder, *both, "--evidence=nothing.jsonl") == 0
    return folder


def asked(folder: Path, name: str) -> list[str]:
    return [f"{r.test}[{r.cell}]" for r in read_records(folder / name) if isinstance(r, Result)]


def reasons(folder: Path, *names: str) -> set[str]:
    records: list[Record] = [r for name in names for r in read_records(folder / name)]
    owed = [OwedItem(pattern=f"test_suite.py::{t}[{CELL}]") for t in NAMES]
    expected = [
        ExpectedCell(id=c, fingerprint=f"f{c}", owed=tuple(i.nodeid(c) for i in owed), suites=(), tests=NAMES)
        for c in "ab"
    ]
    policy = Policy(title="Both", require=(Requirement(glob="*"),), max_age_h=24)
    now = max(r.t for r in records) + timedelta(minutes=1)
    return {str(r) for r in judge_evidence(policy, expected, records, now=now).reasons}


def test_the_continuation_asks_exactly_what_the_killed_run_left(night: Path) -> None:
    killed, rest = asked(night, "killed.jsonl"), asked(night, "rest.jsonl")
    assert rest == ["test_dies[b]"]
    assert sorted(killed + rest) == sorted(asked(night, "whole.jsonl"))
    assert not any(isinstance(r, End) for r in read_records(night / "killed.jsonl"))


def test_together_they_are_judged_as_the_whole_run_is(night: Path) -> None:
    """The failure of cell a stands, the stub is told, and nothing is said of a run that never ended."""
    whole = reasons(night, "whole.jsonl")
    assert any("test_fails" in r and "FAIL" in r for r in whole)
    assert reasons(night, "killed.jsonl", "rest.jsonl") == whole
    assert any("never ended" in r for r in reasons(night, "killed.jsonl"))


def test_nothing_left_is_a_run_that_vouches_for_the_others(night: Path) -> None:
    assert asked(night, "nothing.jsonl") == []
    (start,) = [r for r in read_records(night / "nothing.jsonl") if isinstance(r, Run)]
    assert len(start.continues) == 2
    assert reasons(night, "killed.jsonl", "rest.jsonl", "nothing.jsonl") == reasons(night, "whole.jsonl")
    assert any("give its file too" in r for r in reasons(night, "killed.jsonl", "nothing.jsonl"))


def test_an_engine_is_launched_only_for_the_cells_that_are_left(night: Path) -> None:
    assert [r.cell for r in read_records(night / "rest.jsonl") if isinstance(r, Launch)] == ["b"]


START = Run(t=datetime.now(UTC), run="r1", commit="c0ffee", matrix_sha256="m", depth="quick", dirty=False)


def session(said: dict[str, object], start: Run = START) -> Any:
    stash = pytest.Stash()
    stash[CONTINUED] = Continued(starts=(start,))
    stash[DECLARATION] = Declaration(run=dict(said))
    return SimpleNamespace(config=SimpleNamespace(stash=stash))


SAID = {"commit": "c0ffee", "matrix_sha256": "m", "depth": "quick", "dirty": False, "diff_sha256": ""}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"commit": "deadbeef"}, "run r1 is of another commit: c0ffee, today deadbeef"),
        ({"matrix_sha256": ""}, "of another matrix: m, today not recorded"),
        ({"depth": "full"}, "of another depth: quick, today full"),
        ({"diff_sha256": "abc"}, "of another set of changes: not recorded, today abc"),
    ],
)
def test_a_run_of_another_source_is_not_continued(change: dict[str, object], told: str) -> None:
    continuing.pytest_runtestloop(session(SAID))
    with pytest.raises(pytest.UsageError, match=told):
        continuing.pytest_runtestloop(session(SAID | change))


def test_a_run_does_not_write_over_what_it_continues(tmp_path: Path) -> None:
    option = SimpleNamespace(continue_files=["night.jsonl"], evidence=str(tmp_path / "night.jsonl"))
    config: Any = SimpleNamespace(option=option, invocation_params=SimpleNamespace(dir=tmp_path))
    with pytest.raises(pytest.UsageError, match=r"name another: --evidence=rest\.jsonl"):
        continuing.pytest_configure(config)
