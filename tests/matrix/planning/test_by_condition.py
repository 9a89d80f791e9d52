"""Cells by conditions and rigs: the same ones as of the whole matrix, with nothing else planned."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.condition import compile_condition
from matrix.planning.by_condition import AllOf, AnyOf, ConditionNarrowing, RigNarrowing
from matrix.planning.by_id import compile_globs
from matrix.planning.expand import Narrowing, expand_matrix, expand_narrowly, list_runnable
from matrix.planning.narrowing import compile_narrowing
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
WORLD = expand_matrix(MATRIX)
WHENS: list[dict[str, Any]] = [
    {},
    {"rig": "cpu", "engine": "llamacpp", "canary": True},
    {"sm": [100, 120], "features": ["mtp"]},
    {"gpus": 4, "without": ["mtp", "indexcache"], "version": "<0.5.15", "engine": "sglang"},
    {"any_feature": False, "interconnect": "none"},
    {"feature_count": [2], "family": "glm51", "gpu": "rtx_pro_6000_96gb", "form": "recommended"},
]
CLAIMED = [loaded.condition for loaded in MATRIX.claims]


@pytest.mark.parametrize("when", WHENS, ids=str)
def test_the_cells_are_those_for_which_the_condition_holds_in_the_order_of_the_matrix(when: dict[str, Any]) -> None:
    condition = compile_condition(when)
    expected = [c.id for c in WORLD.runnable if condition(c.facts)]
    assert expected
    assert [c.id for c in list_runnable(MATRIX, ConditionNarrowing(conditions=(condition,)))] == expected


def test_of_several_conditions_any_may_hold() -> None:
    expected = [c.id for c in WORLD.runnable if any(condition(c.facts) for condition in CLAIMED)]
    assert [c.id for c in list_runnable(MATRIX, ConditionNarrowing(conditions=tuple(CLAIMED)))] == expected


def ways() -> list[Narrowing]:
    return [
        ConditionNarrowing(conditions=(compile_condition(WHENS[2]),)),
        compile_globs(["sm120x4.*"]),
        compile_narrowing(MATRIX, "vllm and mtp"),
    ]


def test_ways_to_narrow_are_joined() -> None:
    sets = [[c.id for c in list_runnable(MATRIX, way) if way.keeps_cell(c)] for way in ways()]
    both = [c.id for c in WORLD.runnable if all(c.id in own for own in sets)]
    either = [c.id for c in WORLD.runnable if any(c.id in own for own in sets)]
    assert 0 < len(both) < len(either)
    assert [c.id for c in list_runnable(MATRIX, AllOf(parts=ways()))] == both
    assert [c.id for c in list_runnable(MATRIX, AnyOf(parts=ways()))] == either


@pytest.mark.parametrize("rigs", [("cpu",), ("cpu", "sm120x4"), ()], ids=str)
def test_of_rigs_every_combination_is_judged_and_no_other(rigs: tuple[str, ...]) -> None:
    found = expand_narrowly(MATRIX, RigNarrowing(rigs=frozenset(rigs)))
    assert [c.id for c in found.runnable] == [c.id for c in WORLD.runnable if c.rig.id in rigs]
    counts = {c.id: n for c, _, n in WORLD.excluded.iterate_groups() if c.rig.id in rigs}
    assert {c.id: n for c, _, n in found.excluded.iterate_groups()} == counts
