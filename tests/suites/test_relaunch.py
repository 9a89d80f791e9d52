"""Whole pytest runs of the throughput suite, on stubs of which some launches are slow."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from matrix.errors import EngineExited
from matrix.judging.status import Status
from reports.board import terminal as table
from reports.board.text import make_view
from reports.compare.baselines import read_baseline
from reports.evidence import junit
from reports.evidence.files import EvidenceWriter
from reports.evidence.summary import make_board
from reports.evidence.types import Found, Measured
from reports.evidence.types import Run as RunRecord
from suites.checks.boots import CheckedBoot
from suites.test_boots import _boot_again
from tests.fixtures.launch.docker.docker_plans import CANARY
from tests.pytest_forkserver import run_pytest
from tests.suites.left import RunLeft

SINGLE = "test_single_stream_speed"
# The baseline is half as fast as a healthy stub, and a slow one a third: what a busy host adds does not matter.
FACTORS = {"median_tpot_ms": 2.0, "wave_output_throughput": 0.5}


def list_judged(left: RunLeft) -> list[Found]:
    return [r for r in left.records if isinstance(r, Found) and r.check.startswith("throughput.not_slower")]


def run(folder: Path, launches: str, *words: str | Path, attached: bool = False) -> RunLeft:
    own = {"GLM_TEST_LAUNCHES": launches, "GLM_TEST_ATTACHED": "yes" * attached}
    done = run_pytest(
        "-p",
        "tests.suites.stub_launches",
        "suites/test_throughput.py",
        "-q",
        "--cells",
        CANARY,
        "--evidence",
        folder / "e.jsonl",
        "--junitxml",
        folder / "junit.xml",
        *words,
        env=own,
    )
    return RunLeft(folder, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five launches, slower than a healthy stub and faster than a slow one."""
    folder = tmp_path_factory.mktemp("healthy")
    healthy = run(folder, "-", "-k", SINGLE)
    assert healthy.statuses == {SINGLE: Status.PASS}, healthy.said
    measured = [r for r in healthy.records if isinstance(r, Measured) and r.name in FACTORS]
    host = next(r.host for r in healthy.records if isinstance(r, RunRecord))
    for launch in range(5):
        with EvidenceWriter(folder / "b.jsonl", f"r{launch}") as writer:
            values = ((r, r.value * FACTORS[r.name] * (1 + launch / 1000)) for r in measured)
            writer.append([{"kind": "run", "host": host}])
            writer.append(
                {
                    "kind": "measurement",
                    "cell": r.cell,
                    "fingerprint": r.fingerprint,
                    "name": r.name,
                    "value": v,
                    "unit": r.unit,
                    "conditions": r.conditions,
                }
                for r, v in values
            )
    return folder / "b.jsonl"


@pytest.fixture(scope="module")
def slow_once(baseline: Path, tmp_path_factory: pytest.TempPathFactory) -> RunLeft:
    """Both of quick's tests, the first launch slow."""
    return run(tmp_path_factory.mktemp("slow_once"), "slow_decode -", "--baseline", baseline)


def test_slow_once_passes_and_the_test_after_it_is_asked_of_the_new_engine(slow_once: RunLeft) -> None:
    assert set(slow_once.statuses.values()) == {Status.PASS}, slow_once.said
    assert len(slow_once.statuses) == 2
    first, second = slow_once.launches
    assert (first.message, second.test) == ("", SINGLE)
    assert second.message.startswith("launched again: throughput.not_slower.")


def test_slow_once_is_said_in_every_report(slow_once: RunLeft) -> None:
    notes = [f.note for f in list_judged(slow_once)]
    assert notes and all(" of the baseline, " in n and n.endswith(" on a fresh launch") for n in notes)
    cases = [c for s in junit.load_junit(slow_once.folder / "junit.xml") for c in s if c.name.startswith(SINGLE)]
    assert "on a fresh launch" in junit.read_properties(cases[0])["note"]
    shown = table.render_markdown(make_view(make_board(slow_once.records)))
    assert "Green, with a note" in shown and notes[0] in shown


def test_the_next_baseline_takes_each_launch_as_one_value(slow_once: RunLeft) -> None:
    measured = [r for r in slow_once.records if isinstance(r, Measured) and r.test == SINGLE]
    tpot = [r for r in measured if r.name == "median_tpot_ms"]
    assert [r.conditions.get("attempt") for r in tpot] == [None, 2]
    later = read_baseline([slow_once.folder / "e.jsonl"])
    assert later.list_launches(CANARY, "median_tpot_ms", tpot[0].conditions) == [r.value for r in tpot]


def test_slow_twice_fails_with_both_ratios(baseline: Path, tmp_path: Path) -> None:
    found = run(tmp_path, "slow_decode slow_decode", "--baseline", baseline, "-k", SINGLE)
    assert found.statuses == {SINGLE: Status.FAIL}, found.said
    assert len(found.launches) == 2
    bad = [f for f in list_judged(found) if not f.ok]
    assert bad and all(" on a fresh launch" in f.detail and not f.note for f in bad)
    assert " on a fresh launch" in found.said


def test_what_is_not_slow_is_launched_once(baseline: Path, tmp_path: Path) -> None:
    found = run(tmp_path, "-", "--baseline", baseline)
    assert set(found.statuses.values()) == {Status.PASS}, found.said
    assert len(found.launches) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"cell": "sm90x1_h100.vllm_0_26_0.canary_bf16.baseline"},
            "it holds no launch of a selected cell: it is of sm90x1",
        ),
        ({"fingerprint": "0123456789abcdef"}, "5 launches of another plan (0123456789abcdef, and not "),
        ({"fingerprint": ""}, "5 launches of which the plan was not recorded"),
        (
            {"host": {"gpus": [{"name": "NVIDIA H100 80GB HBM3"}]}},
            "5 launches on other hardware (NVIDIA H100 80GB HBM3, ",
        ),
        ({"host": {}}, "5 launches of which the host was not recorded"),
    ],
)
def test_a_baseline_of_something_else_is_refused_with_its_cause_before_an_engine_is_loaded(
    change: dict[str, object], why: str, baseline: Path, tmp_path: Path
) -> None:
    lines = [json.loads(line) for line in baseline.read_text().splitlines()]
    changed = [{k: change.get(k, v) for k, v in line.items()} for line in lines]
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(line) + "\n" for line in changed))
    found = run(tmp_path, "-", "--baseline", tmp_path / "b.jsonl")
    assert why in found.said and "b.jsonl" in found.said
    assert not (tmp_path / "e.jsonl").exists() or not found.launches


def test_a_baseline_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "there is no such file or folder" in run(tmp_path, "-", "--baseline", tmp_path / "none.jsonl").said


def test_an_earlier_release_that_nobody_knows_is_refused_before_an_engine_is_loaded(tmp_path: Path) -> None:
    found = run(tmp_path, "-", "--baseline-release", "sglang_0_5_71")
    assert "there is no release 'sglang_0_5_71'; did you mean 'sglang_0_5_17'" in found.said
    assert not (tmp_path / "e.jsonl").exists() or not found.launches


def test_a_run_says_what_it_was_held_against(slow_once: RunLeft, baseline: Path) -> None:
    started = next(r for r in slow_once.records if isinstance(r, RunRecord))
    assert started.baselines == (hashlib.sha256(baseline.read_bytes()).hexdigest(),)


def test_a_fresh_launch_that_does_not_come_up_speaks_for_the_test(baseline: Path, tmp_path: Path) -> None:
    found = run(tmp_path, "slow_decode exits", "--baseline", baseline)
    assert found.statuses == {SINGLE: Status.CRASH, "test_speed_under_load": Status.NOT_ASKED}, found.said
    assert [r.outcome for r in found.launches] == ["ok", "EngineExited"]
    assert found.launches[1].message.startswith("launched again: ")


def test_somebody_elses_engine_is_not_launched_again(baseline: Path, tmp_path: Path) -> None:
    found = run(tmp_path, "slow_decode -", "--baseline", baseline, "-k", SINGLE, attached=True)
    assert found.statuses == {SINGLE: Status.FAIL}, found.said
    assert len(found.launches) == 1
    assert "not measured on a fresh launch: the engine is somebody else's" in found.said


def test_a_boot_that_ended_behind_its_last_answer_is_a_wrong_one_and_the_next_is_launched() -> None:
    ended, launched = EngineExited("it died idle"), object()
    answers: list[Any] = [ended, launched]

    def reboot(why: str) -> Any:
        if isinstance(answer := answers.pop(0), Exception):
            raise answer
        return answer

    told: list[Any] = [(CheckedBoot(number=1), {})]
    assert _boot_again(reboot, "boot 2 of 2", told) is launched
    assert told[0][0].wrong == "it ended by itself: it died idle"
    ended.at, answers[:] = "relaunch", [ended]
    with pytest.raises(EngineExited):
        _boot_again(reboot, "boot 2 of 2", told)
