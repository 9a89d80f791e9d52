"""Every plan of the real matrix gets a verdict, in seconds."""

from __future__ import annotations

import json

import pytest

from matrix.planning.expand import expand_matrix
from matrix.planning.plan import make_plan
from matrix.preflight.__main__ import main
from matrix.preflight.plans import judge_plan, make_row
from matrix.preflight.snapshot import snapshot_for
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()


def test_every_runnable_plan_is_accepted_or_honestly_unknown() -> None:
    """A rejected plan must not be runnable: a rule, a recipe or a pin is missing when this fails."""
    cells = {(c.release.id, c.features, c.checkpoint.id, c.rig.gpu.id): c for c in expand_matrix(MATRIX).runnable}
    rejected = [str(r) for c in cells.values() if (r := judge_plan(make_plan(MATRIX, c))).verdict == "reject"]
    assert not rejected, "\n".join(rejected[:5])


def test_unknown_is_only_said_of_releases_that_nobody_can_read() -> None:
    for cell in {c.release.id: c for c in expand_matrix(MATRIX).runnable}.values():
        snapshot = snapshot_for(cell.release.id)
        readable = snapshot is not None and snapshot.complete and bool(snapshot.flags)
        assert (judge_plan(make_plan(MATRIX, cell)).verdict != "unknown") == readable, cell.id


def test_the_table_has_a_row_per_plan_and_names_what_decided() -> None:
    fork = next(c for c in expand_matrix(MATRIX).runnable if c.release.id == "sglang_fork_003")
    planned = make_plan(MATRIX, fork)
    cell, verdict, why = make_row(planned, judge_plan(planned))
    assert (cell, verdict) == (fork.id, "unknown")
    assert "fork_only: --moe-runner-backend" in why


def test_the_command_says_why_in_one_report_and_counts_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    cell = "sm90x8.vllm_0_16_0.glm5_fp8.baseline"
    assert main([cell]) == 1
    assert "error   pin: vllm_0_16_0 takes transformers" in capsys.readouterr().out
    assert main([cell, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "reject"
    assert main(["sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4*"]) == 0
    assert " accept" in capsys.readouterr().out.partition("plans: ")[2]


def test_an_accepted_line_of_a_cell_that_is_not_run_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """The parser takes IndexCache on SM120; nothing would read it."""
    inert = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.indexcache"
    assert main([inert]) == 0
    shown = capsys.readouterr().out
    assert "INVALID_COMBO: On SM120" in shown and f"glm-matrix why-not {inert}" in shown
    assert main([inert, inert.replace("indexcache", "baseline")]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [("INVALID_COMBO: nsa_exclusion" in line) for line in rows[1:3]] == [
        "indexcache" in line for line in rows[1:3]
    ]
    assert main([inert, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["not_run"] == "INVALID_COMBO"


def test_a_cell_that_does_not_exist_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err
