"""The plan of a run: its totals, and the JSON that back ends read."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from matrix.errors import ConfigError
from matrix.scheduling.place import MachineKind
from matrix.scheduling.run_plan import RunPlan, dump_run_plan, find_machine, make_run_plan, parse_run_plan
from tests.matrix.scheduling.world import grouped_478b


@cache
def whole() -> RunPlan:
    return make_run_plan(grouped_478b(), {}, matrix_sha256="m", depth="quick")


def as_data() -> Any:
    return json.loads(json.dumps(dump_run_plan(whole())))


def test_the_machine_is_the_largest_rig_of_the_selection() -> None:
    assert find_machine(grouped_478b().groups).slots == 4
    assert [s.machine.name for s in whole().schedules] == ["rtx_pro_6000_96gb"]


def test_sharing_launches_and_packing_them_is_cheaper_than_a_launch_for_each() -> None:
    plan = whole()
    assert plan.naive_s > plan.per_cell_s > plan.makespan_s - sum(g.estimate_s for g in plan.groups if not g.asked)
    assert plan.gpu_hours == pytest.approx(sum(g.gpus * g.estimate_s for g in plan.groups) / 3600)


def test_back_ends_read_what_was_written() -> None:
    data = as_data()
    read = parse_run_plan(data, "plan.json")
    assert (read.digest, read.depth, read.matrix_sha256) == (whole().digest, "quick", "m")
    for got, wrote in zip(read.groups, whole().groups, strict=True):
        assert (got.id, got.needs, got.cells, got.pytest_words) == (
            wrote.id,
            wrote.needs,
            wrote.cells,
            wrote.pytest_words,
        )
        assert got.estimate_s == pytest.approx(wrote.estimate_s, abs=0.2)
    assert len(data["machines"][0]["timeline"]) == len(data["groups"])


def _set(data: Any, key: str, value: Any) -> Any:
    return {**data, key: value}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: [], "no run plan"),
        (lambda d: {}, "no run plan"),
        (lambda d: _set(d, "schema", 2), "newer than this checkout's 1"),
        (lambda d: _set(d, "depth", "deep"), "expected one of first, quick, full, release, got 'deep'"),
        (lambda d: {k: v for k, v in d.items() if k != "groups"}, "a run plan lacks 'groups'"),
        (lambda d: _set(d, "groups", d["groups"][:-1]), "the plan was changed"),
        (lambda d: _set(d, "groups", [_set(d["groups"][0], "tier", "half"), *d["groups"][1:]]), "got 'half'"),
    ],
)
def test_a_file_that_is_no_plan_is_one_error(change: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_run_plan(change(as_data()), "plan.json")


def test_a_machine_that_is_too_small_is_an_error() -> None:
    with pytest.raises(ConfigError, match="more GPUs than rtx_pro_6000_96gb has"):
        make_run_plan(
            grouped_478b(),
            {"rtx_pro_6000_96gb": MachineKind(name="rtx_pro_6000_96gb", slots=2)},
            matrix_sha256="",
            depth="quick",
        )
