"""What is wrong with a release's parsers is one answer: `check`, `recommend` and `show` tell the same of a launch."""

from __future__ import annotations

import json

import pytest

from matrix.checking.command import main as check
from matrix.parsers.faults import find_faults_of_plan, find_parser_faults
from matrix.parsers.summary import read_summary
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, make_plan
from matrix.recommending.choose import rank_launches
from matrix.serving.container import render_compose
from matrix.serving.places import ServingPlaces
from matrix.serving.script import render_serving_script
from matrix.serving.systemd import render_unit
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
CELLS = {c.id: c for c in expand_matrix(MATRIX).runnable}
VLLM = "sm120x4.vllm_0_33_0.glm51_478b_nvfp4.mtp"
TRTLLM = "sm120x4.trtllm_1_3_0rc26.glm51_478b_nvfp4.baseline"


def plan_of(cell_id: str) -> Plan:
    return make_plan(MATRIX, CELLS[cell_id])


def test_every_surface_tells_the_same_of_a_launch(capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_of(VLLM)
    [found] = find_faults_of_plan(plan)
    line = plan.argv(model="zai-org/GLM-5.1-FP8", host="127.0.0.1", port="8000")
    check(["--rig", "sm120x4", "--release", "vllm==0.33.0", "--json", "--", *line])
    told = capsys.readouterr().out
    assert all(worst in told for worst in (f"in {found.count} of them", found.pair, *found.worst)), json.dumps(told)
    [launch] = rank_launches(MATRIX, [plan.cell], {})
    assert launch.faults == (found,)
    for text in (
        render_serving_script(plan, ServingPlaces()),
        render_compose(plan),
        render_unit(plan, ServingPlaces()),
    ):
        assert f"# tool calls  {found.describe()}\n" in text and f"{found.command} shows each" in text


def test_a_release_whose_parsers_did_not_run_says_nothing() -> None:
    assert find_faults_of_plan(plan_of(TRTLLM)) == []
    assert list(find_parser_faults("vllm_9_9_9", "vllm==9.9.9", "glm47")) == []
    assert list(find_parser_faults("vllm_0_33_0", "vllm==0.33.0", None)) == []


def test_calls_that_only_drafts_lose_are_lost_where_something_drafts() -> None:
    drafts = [
        (release, pair)
        for release, pairs in read_summary().items()
        for pair, said in pairs.items()
        if "drafts" in said["severe"] and not {"whole", "token"} & set(said["severe"])
    ]
    assert drafts
    for release, pair in drafts:
        [found] = find_parser_faults(release, release, pair.partition("+")[0])
        assert found.loses_calls(draft=True) and not found.loses_calls(draft=False)
