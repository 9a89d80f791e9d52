"""Cells by ids and globs: the same ones as of the whole matrix, with nothing else planned."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from matrix.model import Cell, Excluded
from matrix.planning import by_id, expand
from matrix.planning.expand import expand_matrix
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix

MATRIX = load_matrix()
CELLS = expand_matrix(MATRIX).runnable
SOME = [c.id for c in CELLS[:: len(CELLS) // 7]]
GLOBS = [
    ("cpu.llamacpp_*.canary_bf16.baseline",),
    ("*.mtp",),
    ("sm120x4.*",),
    ("sm120x?.sglang_0_5_1[78].*", "cpu.*.canary_fp8.*"),
    ("*",),
    ("sm90",),  # a beginning that is no glob
    tuple(SOME),
    (*SOME[:2], "sm100*baseline"),
]


@pytest.mark.parametrize("globs", GLOBS, ids=lambda globs: " ".join(globs)[:40])
def test_the_cells_are_those_of_the_whole_matrix_in_its_order(globs: tuple[str, ...]) -> None:
    expected = [c.id for c in CELLS if any(fnmatchcase(c.id, g) for g in globs)]
    assert [c.id for c in by_id.list_runnable_matching(MATRIX, globs)] == expected


def test_one_cell_plans_none_of_another_base(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[Cell] = []

    def note_cell(_: Matrix, cell: Cell) -> Iterator[Excluded]:
        judged.append(cell)
        return iter(())

    monkeypatch.setattr(expand, "reasons_without_features", note_cell)
    by_id.list_runnable_matching(MATRIX, ["cpu.llamacpp_*.canary_bf16.baseline", SOME[-1]])
    kept = {(c.rig.id, c.checkpoint.id) for c in judged if c.rig.id == "cpu"}
    assert kept == {("cpu", c) for c in MATRIX.checkpoints}, "of a glob, its text up to the first wildcard"
    assert len([c for c in judged if c.rig.id != "cpu"]) == 1


def test_a_whole_id_that_no_selection_asks_is_found_once() -> None:
    named = "sm90x1_h200.vllm_0_33_0.canary_bf16.no_prefix_cache"
    found = [c.id for c in by_id.list_runnable_matching(MATRIX, [named, named])]
    assert found in ([named], [])


def test_all_cells_are_listed_where_a_glob_matches_none() -> None:
    """The caller's error then names the nearest of all cells, not of what the other globs left."""
    assert [*by_id.list_runnable_or_all(MATRIX, ["cpu.llama*", "cpu.lama*"])] == [*CELLS]
    assert len(by_id.list_runnable_or_all(MATRIX, ["cpu.llama*"])) < len(CELLS)
