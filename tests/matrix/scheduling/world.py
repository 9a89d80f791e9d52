"""Launch groups of a few cells, grouped once for the tests of this room."""

from __future__ import annotations

from functools import cache

from matrix.model import Cell
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, make_plan
from matrix.scheduling.groups import Grouped, group_cells
from matrix.yaml.load import load_matrix

BIG = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline"
CANARY = "sm120x1.sglang_0_5_10_post1.canary_reap160.baseline"


@cache
def list_cells(text: str) -> tuple[Cell, ...]:
    """List the runnable cells whose id contains the text."""
    return tuple(c for c in expand_matrix(load_matrix()).runnable if text in c.id)


def plan_of(cell_id: str) -> Plan:
    return make_plan(load_matrix(), next(c for c in list_cells(cell_id) if c.id == cell_id))


@cache
def grouped_478b() -> Grouped:
    return group_cells(load_matrix(), list_cells("sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4"))
