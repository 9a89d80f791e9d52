"""A policy chooses among the cells that it may mean: the same ones as among all, and what is wrong is still named."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError
from matrix.planning.expand import expand_matrix
from matrix.yaml.load import load_matrix
from reports.gate import policy, requirement
from reports.gate.requirement import Requirement, compile_requirement, list_candidates

MATRIX = load_matrix()
SHIPPED = sorted((CHECKOUT / "ci" / "gates").rglob("*.yaml"))
WRONG = [
    Requirement(when={"rig": "cpu", "without": ["mtpp"]}),  # nothing has it, so everything is without it
    Requirement(when={"rig": ["cpu", "sm120x44"]}),  # one of two values
    Requirement(when={"rigg": "cpu"}),
    Requirement(glob="cpu.llamacpp_*.canary_bf17.*"),
    Requirement(marks="cpu and (vllm"),
    Requirement(when={"rig": "cpu"}, marks="sm120"),
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_a_shipped_policy_requires_what_it_would_of_all_cells(path: Path) -> None:
    required = policy.load_policy(path)[0].require
    among_all = [[c.id for c in filter(compile_requirement(r), expand_matrix(MATRIX).runnable)] for r in required]
    few = list_candidates(MATRIX, required)
    assert [[c.id for c in filter(compile_requirement(r), few)] for r in required] == among_all


def test_of_a_policy_for_one_rig_no_other_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirement, "expand_matrix", None)
    found, doc = policy.load_policy(CHECKOUT / "ci/gates/cpu.yaml")
    assert {cell.facts["rig"] for cell in policy.expect_cells(found, doc, MATRIX)} == {"cpu"}


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_may_be_wrong_is_judged_by_all_cells(wrong: Requirement) -> None:
    right = Requirement(when={"rig": "cpu"})
    assert len(list_candidates(MATRIX, [right, wrong])) >= len(expand_matrix(MATRIX).runnable)
    try:
        assert list(requirement.find_wrong_requirement(wrong, MATRIX, expand_matrix(MATRIX).runnable))
    except ConfigError as error:
        pytest.fail(f"told as an error of its own: {error}")
