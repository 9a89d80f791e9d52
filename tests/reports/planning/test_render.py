"""A plan as text."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from matrix.scheduling.groups import LeftOut
from matrix.scheduling.place import MachineKind
from matrix.scheduling.run_plan import RunPlan, dump_run_plan, make_run_plan
from reports.planning.render import format_time, list_left_out, render_plan
from tests.matrix.scheduling.world import BIG, grouped_478b

GPU = "rtx_pro_6000_96gb"


@cache
def plan() -> RunPlan:
    machine = MachineKind(name=GPU, slots=4, memory_bytes=10**12)
    return make_run_plan(grouped_478b(), {GPU: machine}, matrix_sha256="", depth="quick")


def test_the_table_has_a_line_for_each_checkpoint_of_a_tier() -> None:
    text = render_plan(plan())
    lines = text.splitlines()
    assert lines[0].startswith(f"plan {plan().digest}, depth quick: ")
    assert "4 x NVIDIA RTX PRO 6000 Blackwell 96 GB" in text
    assert [line.split()[2] for line in lines if "glm51_478b_nvfp4  " in line] == ["dummy", "full"]
    assert "where the durations come from" in text
    assert "vllm#46367" in text


def test_the_budget_of_sequential_tests_is_stated() -> None:
    assert "at most 1,000,000 tokens (--token-budget)" in render_plan(plan())
    release = replace(plan(), depth="release")
    assert "at most 60,000,000 tokens" in render_plan(release) and dump_run_plan(release)["token_budget"] == 60_000_000


def test_wide_has_a_line_for_each_launch_and_says_which_load_is_warm() -> None:
    text = render_plan(plan(), wide=True)
    assert sum(g.id[:8] in text for g in plan().groups) == len(plan().groups)
    assert "s warm" in text


def test_a_cost_is_shown_only_where_a_price_is_said() -> None:
    assert "as you said" not in render_plan(plan())
    assert f"{plan().gpu_hours * 3:,.2f} at 3 for a GPU-hour, as you said" in render_plan(plan(), price=3.0)


def test_memory_that_is_not_stated_is_told() -> None:
    unknown = make_run_plan(grouped_478b(), {}, matrix_sha256="", depth="quick")
    assert "--memory is not stated" in render_plan(unknown)
    assert "--memory is not stated" not in render_plan(plan())


def test_what_is_left_out_stands_with_its_reason_once() -> None:
    left = [LeftOut(cells=(f"{n}", BIG), why="8 h are full", by="budget") for n in range(3)]
    lines = list(list_left_out(left))
    assert lines[0] == "     6 cells: 8 h are full"
    assert lines[1].endswith("and 3 more")
    assert len(lines) == 2
    assert "left out:" in render_plan(replace(plan(), left_out=tuple(left)))


def test_hours_may_be_more_than_a_day() -> None:
    assert [format_time(s) for s in (0, 59, 3660, 90_000)] == ["0:00", "0:01", "1:01", "25:00"]
