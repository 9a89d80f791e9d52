"""At depth `first` a cell beside its base owes what it changes; everywhere else it owes what `quick` asks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from matrix.errors import ConfigError
from matrix.model import Cell
from matrix.planning import beside
from matrix.planning.beside import FILE, find_bases, list_owed, owe_together, read_beside
from matrix.planning.expand import expand_matrix
from matrix.planning.owed import DEPTHS, FIRST, Depth, read_owed
from matrix.yaml.load import load_matrix

RUNNABLE = expand_matrix(load_matrix()).runnable
CPU = tuple(c for c in RUNNABLE if c.rig.id == "cpu" and c.engine.id == "llamacpp")
BASE = next(c for c in CPU if c.checkpoint.id == "canary_bf16" and not c.features)
OWN_TEMPLATE = tuple(c for c in CPU if c.checkpoint.thinking != BASE.checkpoint.thinking)
OTHERS = tuple(c for c in CPU if c != BASE)
GPU_CANARIES = tuple(c for c in RUNNABLE if c.checkpoint.canary and c.rig.id != "cpu")


def names_owed_by(cell: Cell, company: Collection[Cell], depth: Depth = FIRST) -> set[str]:
    return {i.test for i in list_owed(read_owed(), cell, depth, find_bases(company, depth).get(cell))}


@pytest.mark.parametrize("asked", CPU, ids=lambda c: c.id)
def test_a_cell_alone_owes_what_quick_asks(asked: Cell) -> None:
    assert owe_together(read_owed(), [asked], FIRST)[asked.id] == read_owed().nodeids(asked, "quick")


def test_the_base_owes_what_quick_asks_in_any_company() -> None:
    assert owe_together(read_owed(), CPU, FIRST)[BASE.id] == read_owed().nodeids(BASE, "quick")


@pytest.mark.parametrize("asked", OWN_TEMPLATE, ids=lambda c: c.id)
def test_a_canary_with_a_template_of_its_own_owes_what_sees_a_template(asked: Cell) -> None:
    own = names_owed_by(asked, CPU)
    assert set(read_beside().every.tests) | set(read_beside().templates["always"].tests) == own
    assert {i.test for i in read_owed().asked_of(asked, "quick") if i.suite in ("tool_use", "thinking")} <= own


def test_a_template_that_the_table_does_not_know_is_asked_whole() -> None:
    rule = replace(read_beside(), templates={})
    assert find_bases(CPU, FIRST, rule).keys() == {c for c in CPU if c != BASE and c not in OWN_TEMPLATE}


@pytest.mark.parametrize("asked", OTHERS, ids=lambda c: c.id)
def test_a_cell_beside_its_base_owes_less_and_still_its_features(asked: Cell) -> None:
    own, whole = names_owed_by(asked, CPU), names_owed_by(asked, [asked])
    assert own < whole
    assert {i.test for i in read_owed().asked_of(asked, "quick") if i.asked.features} <= own
    assert whole - own <= names_owed_by(BASE, CPU), "what it is not asked, its base is"
    assert set(read_beside().every.tests) <= own


def test_features_add_up() -> None:
    together = next(c for c in CPU if len(c.features) == 3)
    alone = [c for c in CPU if len(c.features) == 1 and c.checkpoint.id == together.checkpoint.id]
    assert names_owed_by(together, CPU) == {t for c in alone for t in names_owed_by(c, CPU)}


@pytest.mark.parametrize("depth", DEPTHS[1:])
def test_no_other_depth_knows_a_base(depth: Depth) -> None:
    assert find_bases(CPU, depth) == {}
    assert owe_together(read_owed(), CPU, depth) == {c.id: read_owed().nodeids(c, depth) for c in CPU}


def test_no_cell_on_gpus_has_a_base() -> None:
    assert GPU_CANARIES and find_bases([*GPU_CANARIES, *CPU], FIRST).keys() == set(OTHERS)


def test_a_base_of_another_release_or_rig_is_none() -> None:
    other = replace(BASE, release=replace(BASE.release, id="llamacpp_1"))
    assert find_bases([OTHERS[0], other], FIRST) == {}
    assert find_bases([OTHERS[0], replace(BASE, rig=replace(BASE.rig, id="cpu2"))], FIRST) == {}


def test_a_feature_that_the_table_does_not_know_is_asked_whole() -> None:
    strange = replace(BASE, features=frozenset({"mtp", "eager"}))
    assert find_bases([strange, BASE], FIRST) == {}


def test_a_company_that_is_larger_than_what_is_asked_counts() -> None:
    asked = OTHERS[0]
    alone, together = (owe_together(read_owed(), [asked], FIRST, company) for company in (None, CPU))
    assert set(together[asked.id]) < set(alone[asked.id])


def test_a_test_that_quick_does_not_ask_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "beside.yaml"
    path.write_text(FILE.read_text("utf-8").replace("- test_leaves_a_signature", "- test_leaves_a_sign"), "utf-8")
    with pytest.raises(ConfigError, match=r"beside\.yaml:\d+.*'test_leaves_a_sign'; did you mean 'test_leaves_a_sig"):
        beside.read_beside(path)
