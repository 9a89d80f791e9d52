from __future__ import annotations

import json
from pathlib import Path

import pytest

from ci import plan, runners
from ci.plan import PlannedGroup, PlannedJob
from ci.runners import Runner
from matrix.hardware import Rig
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import make_plan as plan_cell
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix
from tests.ci.world import SERVED
from tests.matrix.world import write


@pytest.fixture
def matrix(tmp_path: Path) -> Matrix:
    return load_matrix(write(tmp_path))


def test_cells_with_equal_fingerprints_share_a_group(matrix: Matrix) -> None:
    cells = expand_matrix(matrix).runnable
    groups = plan.group_by_launch(matrix, cells)
    assert [c.id for g in groups for c in g.cells] != []
    assert len({g.fingerprint for g in groups}) == len(groups)
    for group in groups:
        assert {plan_cell(matrix, c).fingerprint for c in group.cells} == {group.fingerprint}
    assert sorted(c.id for g in groups for c in g.cells) == sorted(c.id for c in cells)


def test_most_gpus_start_first(matrix: Matrix) -> None:
    gpus = [g.rig.gpus for g in plan.group_by_launch(matrix, expand_matrix(matrix).runnable)]
    assert gpus == sorted(gpus, reverse=True)
    assert len(set(gpus)) > 1


def test_a_launch_group_is_one_job_and_a_rig_that_nobody_runs_is_said_and_not_planned(matrix: Matrix) -> None:
    groups = plan.group_by_launch(matrix, expand_matrix(matrix).runnable)
    planned = plan.pack_jobs(groups, SERVED)
    assert [len(j.groups) for j in planned] == [1] * len(planned)
    assert {j.rig.id for j in planned} == {"sm120x1", "sm120x4"}  # 3 GPUs do not divide 8 heads
    [line] = plan.list_unserved(groups, SERVED)
    assert line.startswith("not planned: ") and line.endswith("cells on cpu: runs on a laptop")


def test_a_job_tells_the_workflow_what_it_needs(matrix: Matrix) -> None:
    groups = [g for g in plan.group_by_launch(matrix, expand_matrix(matrix).runnable) if g.rig.id == "sm120x4"]
    job = plan.pack_jobs(groups, SERVED)[0].as_json()
    assert job["runs_on"] == ["gpu", "x4"] and job["host"] == "big" and job["timeout_min"] == 30
    assert job["mark"] == "sm120" and job["gpus"] == 4 and job["models"] == "/m" and job["launches"] == 1
    assert job["cells"].split() == [c.id for c in groups[0].cells]


def many(matrix: Matrix, rig: Rig, count: int) -> list[PlannedGroup]:
    cell = expand_matrix(matrix).runnable[0]
    return [PlannedGroup(fingerprint=f"{rig.id}-{i}", rig=rig, cells=(cell,)) for i in range(count)]


@pytest.mark.parametrize(
    ("per_rig", "jobs", "launches_per_job"),
    [((100, 100), 200, 1), ((101, 1), 52, 2), ((90, 90, 90), 135, 2), ((0, 0), 0, 0), ((301,), 76, 4)],
)
def test_githubs_limits_are_kept_by_putting_more_launches_into_a_job(
    matrix: Matrix, per_rig: tuple[int, ...], jobs: int, launches_per_job: int
) -> None:
    gpu = matrix.gpus["big"]
    rigs = [Rig(id=f"r{i}", gpu=gpu, gpus=1) for i in range(len(per_rig))]
    served = {r.id: Runner(labels=("x",), host=r.id, launch_timeout_min=9, models="/m") for r in rigs}
    groups = [g for rig, n in zip(rigs, per_rig, strict=True) for g in many(matrix, rig, n)]
    planned: tuple[PlannedJob, ...] = plan.pack_jobs(groups, served)
    assert len(planned) == jobs
    assert max((len(j.groups) for j in planned), default=0) == launches_per_job
    assert sorted(g.fingerprint for j in planned for g in j.groups) == sorted(g.fingerprint for g in groups)
    assert all(len({g.rig.id for g in j.groups}) == 1 for j in planned)
    assert len({j.id for j in planned}) == jobs
    assert all(j.timeout_min == 9 * len(j.groups) for j in planned)


def test_rigs_of_one_machine_share_its_queue(matrix: Matrix) -> None:
    rigs = [Rig(id=f"r{i}", gpu=matrix.gpus["big"], gpus=1) for i in range(2)]
    served = {r.id: Runner(labels=("x",), host="same", launch_timeout_min=9, models="/m") for r in rigs}
    planned = plan.pack_jobs([g for rig in rigs for g in many(matrix, rig, 60)], served)
    assert len(planned) <= plan.MAX_QUEUED


def test_the_github_format_is_three_lines_that_fromjson_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main(["--format", "github", "-m", "sm120x4 and sglang"]) == 0
    groups, empty, depth = capsys.readouterr().out.splitlines()
    assert (empty, depth) == ("empty=false", "depth=quick")
    assert {j["rig"] for j in json.loads(groups.removeprefix("groups="))} == {"sm120x4"}


def test_an_empty_plan_says_so_instead_of_being_an_invalid_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main(["--format", "github", "-m", "cpu"]) == 0
    out, err = capsys.readouterr()
    assert out == "groups=[]\nempty=true\ndepth=quick\n"
    assert "cells on cpu: " in err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["-m", "sm12O"], "did you mean 'sm120'"),
        (["--rig", "sm120x5"], "did you mean 'sm120x"),
        (["--cells", "nothing*"], "matches no cell"),
        (["--policy", "ci/gates/no_such.yaml"], "cannot be read"),
    ],
)
def test_a_word_that_matches_nothing_is_bad_input(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan.main(words) == 2
    assert hint in capsys.readouterr().err


def test_a_policy_plans_exactly_the_cells_that_its_gate_will_ask_for(capsys: pytest.CaptureFixture[str]) -> None:
    from reports.gate import policy

    path = Path("ci/gates/sm120.yaml")
    matrix = load_matrix()
    assert plan.main(["--policy", str(path), "--format", "json"]) == 0
    planned = [c for job in json.loads(capsys.readouterr().out) for c in job["cells"].split()]
    served = runners.load_runners(matrix.rigs)
    wanted = {c.id for c in policy.expect_cells(*policy.load_policy(path), matrix)}
    assert all(served[c.rig.id].serves for c in expand_matrix(matrix).runnable if c.id in wanted)
    assert sorted(planned) == sorted(wanted)
