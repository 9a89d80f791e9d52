"""Whole pytest runs on engines that end by themselves: one test is CRASH, and a fresh launch answers the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.judging.status import Status
from reports.board import terminal as table
from reports.board.text import make_view
from reports.evidence.summary import make_board
from reports.evidence.types import Result
from reports.replay.run import replay_evidence
from tests.fixtures.launch.docker.docker_plans import CANARY
from tests.fixtures.llamacpp.serving import needs_canary
from tests.pytest_forkserver import run_pytest
from tests.suites.left import RunLeft

STUBS = "tests.suites.stub_launches"
KILLER = "tests.suites.killing"
# What a stub that knows no answers is asked after the first test fails, whatever the host does beside it: it was asked.
FIRST, FACTS, CHOICE = "test_answers_first_token", "test_knows_facts", "test_obeys_tool_choice"
ASKED = f"{FIRST} or {FACTS} or {CHOICE}"


def run(folder: Path, *words: str, plugin: str = STUBS, asked: str = ASKED, **env: str) -> RunLeft:
    own = ("-p", plugin, "suites", "-q", "--cells", CANARY, "-k", asked, f"--evidence={folder / 'e.jsonl'}")
    done = run_pytest(*own, *words, env=env)
    return RunLeft(folder, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> RunLeft:
    """Return a run of three tests, of which the first meets the end of the engine."""
    return run(tmp_path_factory.mktemp("crashed"), GLM_TEST_LAUNCHES="dies_1 -")


def test_who_met_the_crash_keeps_it_and_the_rest_is_asked_of_a_fresh_launch(crashed: RunLeft) -> None:
    assert crashed.statuses == {FIRST: Status.CRASH, FACTS: Status.FAIL, CHOICE: Status.FAIL}, crashed.said
    told = next(r for r in crashed.records if isinstance(r, Result) and r.test == FIRST)
    assert told.message.startswith("EngineExited: RuntimeError: no kernel left")
    first, second = crashed.launches
    assert (first.data, second.test) == ({}, FACTS)
    assert (second.data["number"], second.data["after"]) == (2, "crash")
    assert second.message == "launch 2, after a crash: RuntimeError: no kernel left"


def test_both_are_told_in_the_reports(crashed: RunLeft) -> None:
    shown = table.render_markdown(make_view(make_board(crashed.records)))
    assert "no kernel left" in shown.partition("## Launched again after a crash")[0]
    assert "launch 2, after a crash: RuntimeError: no kernel left" in shown


def test_a_crash_is_judged_again_from_what_was_kept(crashed: RunLeft) -> None:
    """No reply says that an engine ended beside it, so the tape does."""
    found = replay_evidence([crashed.path])
    assert found.agrees and found.tests == 3, found


def test_a_second_crash_is_every_later_tests(tmp_path: Path) -> None:
    found = run(tmp_path, GLM_TEST_LAUNCHES="dies_1 dies_1 -")
    assert set(found.statuses.values()) == {Status.CRASH}, found.said
    assert [each.data.get("number") for each in found.launches] == [None, 2]


def test_a_fresh_launch_that_does_not_come_up_is_told_once(tmp_path: Path) -> None:
    found = run(tmp_path, GLM_TEST_LAUNCHES="dies_1 exits")
    assert found.statuses == {FIRST: Status.CRASH, FACTS: Status.CRASH, CHOICE: Status.NOT_ASKED}, found.said
    second = next(r for r in found.records if isinstance(r, Result) and r.test == FACTS)
    assert second.at == "relaunch"  # no entry about a launch excuses it


def test_a_person_can_turn_it_off(tmp_path: Path) -> None:
    found = run(tmp_path, "--no-relaunch", GLM_TEST_LAUNCHES="dies_1 -")
    assert set(found.statuses.values()) == {Status.CRASH} and len(found.launches) == 1, found.said


def test_somebody_elses_engine_is_not_launched_again(tmp_path: Path) -> None:
    found = run(tmp_path, GLM_TEST_LAUNCHES="dies_1 -", GLM_TEST_ATTACHED="yes")
    assert set(found.statuses.values()) == {Status.CRASH} and len(found.launches) == 1, found.said


@needs_canary
def test_a_real_engine_that_is_killed_is_launched_once_more(tmp_path: Path) -> None:
    """llama.cpp, killed with SIGKILL while a test asks it."""
    found = run(tmp_path, plugin=KILLER, asked=f"{FIRST} or {FACTS}", GLM_TEST_KILLED_IN=FIRST)
    assert found.statuses == {FIRST: Status.CRASH, FACTS: Status.PASS}, found.said
    told = next(r for r in found.records if isinstance(r, Result) and r.test == FIRST)
    assert "137 (SIGKILL)" in told.message
    first, second = found.launches
    assert (first.log, second.data["number"]) != (second.log, 1) and "137 (SIGKILL)" in second.message
    assert replay_evidence([found.path]).agrees
