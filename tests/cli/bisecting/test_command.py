"""`glm-matrix bisect` on recorded evidence: the planted release, a draft, a text and a folder; else why not."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from cli.bisecting import command, ending
from cli.bisecting.launching import Launching
from cli.bisecting.observed import Observed, observe_run
from cli.bisecting.recorded import RecordedRun
from matrix.bisecting.settings import Unit
from matrix.bisecting.steps import compare_steps
from matrix.errors import ConfigError, HostError
from matrix.model import Cell
from matrix.planning.plan import Plan, make_plan
from reports.evidence.files import read_records
from tests.cli.bisecting.runs import CELL, OTHER, TEST, make_run, name_cell, write_run

VERSIONS = ("0.5.17", "0.5.18", "0.5.19", "0.5.20", "0.5.21", "0.5.22", "0.5.23")
STEPS = cache(compare_steps)
RANGE = ("--good", "sglang==0.5.17", "--bad", "0.5.23", "--test", TEST)


@pytest.fixture(autouse=True)
def _lint_is_slow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lint plans the whole matrix anew: only the test about it waits for it."""
    monkeypatch.setattr(command, "compare_steps", STEPS)  # the same few releases in every test
    if "lint" not in request.node.name:
        monkeypatch.setattr(ending, "lint_entry", lambda *_: [])


def record_runs(folder: Path, first_bad: str, *, seed: int = 0, each: int = 8, fails: float = 0.8) -> None:
    """Write runs of every release; a bad one passes 20 % of the time."""
    random, number = Random(seed), 0
    for _ in range(each):
        for version in VERSIONS:
            bad = VERSIONS.index(version) >= VERSIONS.index(first_bad) and random.random() < fails
            write_run(folder, number, make_run(version, "FAIL" if bad else "PASS"))
            number += 1


def ask(folder: Path, *more: str) -> int:
    return command.main([CELL, *RANGE, "--evidence", str(folder), "--out", str(folder / "out"), *more])


@pytest.mark.parametrize("first_bad", ["0.5.20", "0.5.23"])
def test_a_planted_regression_that_flakes_is_found_in_recorded_runs(
    tmp_path: Path, first_bad: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record_runs(tmp_path, first_bad, seed=7)
    write_run(tmp_path, 990, make_run("0.5.20", "HOST_ERROR"))
    write_run(tmp_path, 991, make_run("0.5.21", "FAIL"), cut=True)
    assert ask(tmp_path, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    before = VERSIONS[VERSIONS.index(first_bad) - 1]
    assert (told["verdict"], told["first_bad"], told["last_good"]) == ("found", [first_bad], before)
    assert told["probability"] >= 0.95 and "r991" in told["left_out"][0]
    out = tmp_path / "out"
    (entry,) = yaml.safe_load((out / "known_failure.yaml").read_text())["known_failures"]
    assert entry["when"]["version"] == (f">={first_bad},<=0.5.23" if first_bad != "0.5.23" else "==0.5.23")
    assert (entry["source"]["release"], entry["fails"]["test"]) == (f"sglang=={first_bad}", TEST)
    assert f"sglang {before} (sm120x4): good" in (out / "issue.md").read_text()
    assert (out / "repro" / "reproduction.json").is_file()


def test_the_draft_passes_lint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_runs(tmp_path, "0.5.21", each=8)
    assert ask(tmp_path, "--owner", "a maintainer") == 0
    said = capsys.readouterr().out
    assert "FIRST BAD: sglang==0.5.21; last good 0.5.20" in said
    assert "lint of the draft" not in said and "known_failure.yaml" in said


def write_all(folder: Path, statuses: dict[str, list[tuple[str, Any]]]) -> None:
    number = 0
    for version, own in statuses.items():
        for status, failure in own:
            write_run(folder, number, make_run(version, status, **({"failure": failure} if failure else {})))
            number += 1


@pytest.mark.parametrize(
    ("statuses", "code", "said"),
    [
        (
            {"0.5.17": [("FAIL", None)] * 4, "0.5.23": [("FAIL", None)] * 4},
            1,
            "NOT SO: 0.5.17, named as good, fails already",
        ),
        (
            {"0.5.17": [("PASS", None)] * 9, "0.5.23": [("PASS", None)] * 9},
            1,
            "NOT SO: 0.5.23, named as bad, does not fail",
        ),
        ({"0.5.17": [("PASS", None)], "0.5.23": [("FAIL", None)]}, 3, "UNDECIDED: nothing more can be asked"),
        (
            {"0.5.17": [("PASS", None)] * 9, "0.5.20": [("HANG", OTHER)] * 9, "0.5.23": [("FAIL", None)] * 9},
            0,
            "no answer of 0.5.20: it fails otherwise",
        ),
        (
            {"0.5.17": [("HOST_ERROR", None)] * 9, "0.5.23": [("FAIL", None)] * 9},
            3,
            "doubt: 0.5.17, an end of the range, gave no answer",
        ),
    ],
    ids=["good fails", "bad passes", "too few", "another failure", "host errors"],
)
def test_what_cannot_be_said_is_not_said(
    tmp_path: Path,
    statuses: dict[str, list[tuple[str, Any]]],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_all(tmp_path, statuses)
    assert ask(tmp_path) == code
    assert said in capsys.readouterr().out


def test_the_budget_that_ended_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_runs(tmp_path, "0.5.20", each=2)
    assert ask(tmp_path, "--boots", "3") == 3
    assert "UNDECIDED: the boots are used up" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--good", "0.5.23"), "both ends are one release"),
        (("--bad", "0.5.99"), "no release 0.5.99 of SGLang is known"),
        (("--test", "test_nothing_at_all"), "owes no such test at depth quick"),
        (("--test", "test_answers_right_under_load"), "it is asked from --depth full on"),
        (("--test", "needle"), "several tests are called so: test_finds_the_needle_beyond_index_topk, test_finds"),
        (("--fails-at-least", "0.1", "--false-alarms", "0.2"), "false alarms < failures of a bad release"),
        (("--evidence", "/nowhere.jsonl"), "/nowhere.jsonl"),
    ],
)
def test_a_wrong_word_is_named(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")):
        command.main([CELL, *RANGE, *words])


def test_evidence_without_the_cell_and_a_host_without_the_rig_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no evidence is in it"):
        ask(tmp_path)
    write_run(tmp_path, 0, make_run("0.5.20", "PASS"), cut=True)
    with pytest.raises(ConfigError, match=r"no run of sm120x4.*1 runs are left out"):
        ask(tmp_path)
    with pytest.raises(HostError, match="this host is not sm120x4"):
        command.main([CELL, *RANGE])


def test_a_dry_run_says_what_changed_and_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([CELL, *RANGE, "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["releases"] == list(VERSIONS) and told["expected_boots"] >= 3
    assert max(told["prior"], key=told["prior"].get) == "0.5.19"


OWN = "cpu.llamacpp_2026_10_11549.canary_bf16.indexcache"
OLDER = ("1.1", "1.2", "1.3", "1.4")


class Planted(Launching):
    """Boots nothing: releases from 1.3 on lose the needle where the pattern is set, and fail otherwise everywhere."""

    def boot(self, version: str, without: Collection[Unit] = ()) -> tuple[Observed, RecordedRun | None]:
        self.count += 1
        status = "FAIL" if version >= "1.3" and not any("pattern" in str(u) for u in without) else "PASS"
        fields = make_run(version, status)
        if not self.test:  # every test is asked, and another one fails on each release
            fields.append({**make_run(version, "XFAIL", OTHER)[-1], "test": "test_other", "nodeid": "x::test_other"})
        self.out.mkdir(parents=True, exist_ok=True)
        path = write_run(self.out, self.count, fields)
        cell, records = name_cell(version), read_records(path)
        observed = observe_run(records, cell, self.test, self.wanted, self.ignored)
        return observed, RecordedRun(version=version, cell=cell, run=records[0].run, path=path, records=records)

    def plan_of(self, version: str, cell: Cell | None = None) -> Plan:
        return make_plan(self.matrix, cell or self.cell)


@pytest.mark.parametrize("words", [("--test", TEST), ()], ids=["one test", "all tests"])
def test_real_launches_are_asked_for_the_release_and_then_for_the_settings(
    tmp_path: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "Launching", Planted)
    given = ("--good", "1.1", "--bad", "1.4", "--releases", ",".join(OLDER), "--out", str(tmp_path))
    assert command.main([OWN, *given, *words]) == 0
    told = capsys.readouterr()
    assert "FIRST BAD: llamacpp==1.3; last good 1.2" in told.out
    assert f"the failure: {TEST} (test, wrong_answer, needle.found)" in told.out
    assert "smallest failing set" in told.out and "config index_topk_pattern=FFSS" in told.out
    assert "more boots" in told.err
    assert "Smallest failing set: config index_topk_pattern=FFSS" in (tmp_path / "known_failure.yaml").read_text()
