"""`glm-matrix plan` from its words to its exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from matrix.scheduling.run_plan import parse_run_plan
from matrix.yaml.load import load_matrix
from reports.planning import command
from reports.planning.changes import Changed
from tests.matrix.scheduling.world import BIG, list_cells
from tests.reports import origin
from tests.reports.world import seal, write

GLOB = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.*"


def planned(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    command.main([*words, "--json"])
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    return data


def test_the_json_is_what_back_ends_read(capsys: pytest.CaptureFixture[str]) -> None:
    read = parse_run_plan(planned(capsys, "--cells", BIG), "plan.json")
    assert [g.tier for g in read.groups] == ["canary", "dummy", "full"]


def test_a_pull_request_runs_pairs_and_says_who_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    whole, few = (planned(capsys, "--rig", "sm120x4", "--tiers", "full", *w) for w in ([], ["--pairwise"]))
    left = few["left_out"]
    assert len(few["groups"]) < len(whole["groups"])
    assert [one["by"] for one in left] == ["pairwise"]


def test_a_budget_cuts_the_night(capsys: pytest.CaptureFixture[str]) -> None:
    data = planned(capsys, "--cells", GLOB, "--budget", "1h")
    assert data["makespan_s"] <= 3600
    assert data["left_out"]


def test_machines_are_as_said(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--cells", GLOB, "--gpus", "8", "--hosts", "2", "--memory", "1TB", "--read-speed", "10GB/s")
    data = planned(capsys, *words)
    (machine,) = data["machines"]
    assert machine["machine"] == {"name": "rtx_pro_6000_96gb", "slots": 8, "count": 2, "memory_bytes": 10**12}
    assert "10 GB/s, as you said" in json.dumps(data["groups"])


def test_only_what_changed_is_planned(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_changed", lambda *_: Changed(why={BIG: "its launch changed"}, files=()))
    data = planned(capsys, "--cells", GLOB, "--changed-since", "main", "--tiers", "full")
    (group,) = data["groups"]
    assert group["cells"] == [BIG]
    assert data["left_out"][0]["by"] == "unchanged"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rig", "sm12x4"], "sm120x4"),
        (["--cells", BIG, "--gpus", "2"], "more GPUs than rtx_pro_6000_96gb has"),
        (["--cells", BIG, "--evidence", "/nowhere.jsonl"], "cannot be read"),
    ],
)
def test_bad_input_is_one_message(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(words) == 2
    assert said in capsys.readouterr().err


def test_nothing_left_to_plan_is_told_by_the_exit_code(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.main(["--cells", BIG, "--budget", "1s"]) == 1
    assert "left out:" in capsys.readouterr().out


def test_a_folder_of_earlier_runs_times_launches_and_says_what_is_done(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (cell,) = list_cells(BIG)
    (tmp_path / "deep").mkdir()
    records = seal(origin.green(load_matrix(), [cell], whole=True))
    (tmp_path / "deep" / "night.jsonl").write_bytes(write(records))
    words = ("--cells", BIG, "--tiers", "full", "--evidence", str(tmp_path))
    timed = planned(capsys, *words)
    assert timed["groups"][0]["estimate"]["load"]["source"] == "night.jsonl, run r1"
    again = planned(capsys, *words, "--rerun", "all")
    assert "of another commit" in again["why"][BIG]
    assert again["commands"] == [f"pytest --cells {BIG}"]
    assert planned(capsys, *words, "--rerun", "missing")["left_out"][0]["why"] == "nothing of it is missing"


def test_a_rerun_without_evidence_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--cells", BIG, "--rerun", "all"]) == 2
    assert "name them with --evidence FILE" in capsys.readouterr().err


def test_the_words_start_it_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--cells", BIG, "--words"]) == 0
    assert capsys.readouterr().out == f"--cells {BIG} --depth quick\n"
