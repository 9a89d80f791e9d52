"""A variant that no selection asks is asked by its whole id, in every command that takes ids."""

from __future__ import annotations

import pytest

from matrix.__main__ import main
from matrix.errors import ConfigError
from matrix.planning.expand import expand_matrix
from matrix.planning.named import is_selected, list_named, list_runnable_named
from matrix.yaml.load import load_matrix
from reports.planning.selection import select_cells
from tests.matrix.planning.test_ranks import find

NAMED = "sm103x8.vllm_0_33_0.glm52_nvfp4_nvidia.decode_context_parallel_4"
REFUSED = "sm90x8.vllm_0_33_0.glm52_fp8.pipeline_parallel"
SELECTED = "sm90x2.vllm_0_33_0.canary_bf16.expert_parallel"


def test_a_named_cell_is_none_that_a_selection_asks() -> None:
    cells = {c.id for c in expand_matrix(load_matrix()).runnable}
    assert SELECTED in cells and is_selected(load_matrix(), find(SELECTED))
    assert NAMED not in cells and not is_selected(load_matrix(), find(NAMED))


def test_only_whole_ids_of_such_cells_are_named_and_refused_ones_say_why() -> None:
    names = [NAMED, REFUSED, SELECTED, "sm103x8.*", "sm103x8.vllm_0_33_0.nothing.decode_context_parallel_4", NAMED]
    found = {cell.id: why and why.rule for cell, why in list_named(load_matrix(), names)}
    assert found == {NAMED: None, REFUSED: "stage_begins_with_a_sharing_layer"}
    assert [c.id for c in list_runnable_named(load_matrix(), names)] == [NAMED]


def test_a_run_plan_takes_a_named_cell() -> None:
    options = type("Options", (), {"policy": None, "cells": [NAMED], "rig": [], "marks": ""})
    assert [c.id for c in select_cells(load_matrix(), options)] == [NAMED]  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="matches no cell"):
        select_cells(load_matrix(), type("Options", (options,), {"cells": [REFUSED]}))  # type: ignore[arg-type]


def test_list_shows_a_named_cell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--cells", REFUSED]) == 1
    assert (
        "0 runnable cells in 0 launches; 1 combinations excluded, each with its reason: add --excluded"
        in capsys.readouterr().out
    )
