from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from matrix.errors import ConfigError
from matrix.model import Cell
from matrix.planning.expand import expand_matrix, find_cell
from matrix.planning.plan import _lay_out_overlays, _lay_out_possible, fill_placeholders, is_of_matrix, make_plan
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix
from tests.matrix.world import FILES, write


def cell(matrix: Matrix, cell_id: str) -> Cell:
    found = find_cell(matrix, cell_id)
    assert found is not None, cell_id
    return found


def test_the_overlay_with_more_conditions_wins_and_says_so(tmp_path: Path) -> None:
    matrix = load_matrix(write(tmp_path))
    made = make_plan(matrix, cell(matrix, "sm120x4.toy_1.small.mtp"))
    page = made.setting("args", "--page-size")
    assert page is not None and page.value == 32
    assert (page.overlay, page.where) == ("correction", "recipes/toy.yaml:15")
    assert page.beaten == ("128 (recipes/toy.yaml:4)", "64 (recipes/toy.yaml:10)")


def test_the_published_form_leaves_corrections_out(tmp_path: Path) -> None:
    matrix = load_matrix(write(tmp_path))
    argv = make_plan(matrix, cell(matrix, "sm120x4.toy_1.small.mtp"), "published").argv(model="M", port="1")
    assert argv == ["toy", "serve", "--model", "M", "--port", "1", "--page-size", "64", "--draft"]


def test_equal_weight_and_different_value_names_both_overlays(tmp_path: Path) -> None:
    more = "  - {id: rival, when: {rig: sm120x4}, args: {--page-size: 16}, why: w, source: s}\n"
    matrix = load_matrix(write(tmp_path, {"recipes/toy.yaml": FILES["recipes/toy.yaml"] + more}))
    with pytest.raises(ConfigError) as caught:
        make_plan(matrix, cell(matrix, "sm120x4.toy_1.small.baseline"))
    text = str(caught.value)
    assert "recipes/toy.yaml:18 rival.args.--page-size" in text and "of overlay 'base' at recipes/toy.yaml:4" in text


def test_equal_weight_and_equal_value_agree(tmp_path: Path) -> None:
    more = "  - {id: friend, when: {rig: sm120x4}, args: {--page-size: 128}, why: w, source: s}\n"
    matrix = load_matrix(write(tmp_path, {"recipes/toy.yaml": FILES["recipes/toy.yaml"] + more}))
    assert "--page-size" in make_plan(matrix, cell(matrix, "sm120x4.toy_1.small.baseline")).arguments()


def test_null_removes_what_a_general_overlay_set(tmp_path: Path) -> None:
    more = """
  - {id: less, when: {rig: sm120x4, engine: toy}, args: {--page-size: null}, env: {TOY: null}, why: w, source: s}
"""
    matrix = load_matrix(write(tmp_path, {"recipes/toy.yaml": FILES["recipes/toy.yaml"] + more}))
    made = make_plan(matrix, cell(matrix, "sm120x4.toy_1.small.baseline"))
    assert "--page-size" not in made.arguments() and made.env == {}


def test_deep_sections_merge_key_by_key(tmp_path: Path) -> None:
    more = (
        "  - {id: a, when: {engine: toy}, serve_config: {kv: {dtype: fp8, share: 1}}, why: w, source: s}\n"
        "  - {id: b, when: {engine: toy, rig: sm120x4}, serve_config: {kv: {dtype: bf16}}, why: w, source: s}\n"
    )
    matrix = load_matrix(write(tmp_path, {"recipes/toy.yaml": FILES["recipes/toy.yaml"] + more}))
    made = make_plan(matrix, cell(matrix, "sm120x4.toy_1.small.baseline"))
    assert made.values("serve_config") == {"kv": {"dtype": "bf16", "share": 1}}


def test_cells_that_launch_alike_share_a_fingerprint_and_others_do_not(tmp_path: Path) -> None:
    more = "  - {id: ask, when: {engine: toy, features: [indexcache]}, settings: {wants: index}, why: w, source: s}\n"
    matrix = load_matrix(write(tmp_path, {"recipes/toy.yaml": FILES["recipes/toy.yaml"] + more}))
    prints = {
        c: make_plan(matrix, cell(matrix, f"sm120x4.toy_1.small.{c}")).fingerprint
        for c in ("baseline", "indexcache", "mtp")
    }
    assert prints["baseline"] == prints["indexcache"] != prints["mtp"]


def test_fill_leaves_json_braces_alone() -> None:
    assert fill_placeholders('{"a": {"model": 1}} {model}', {"model": "M"}) == '{"a": {"model": 1}} M'


def test_a_changed_copy_of_a_checkpoint_is_planned_by_what_it_says() -> None:
    """Commands make such copies under the same id: what is kept of the matrix's own says nothing of them."""
    matrix = load_matrix()
    own = cell(matrix, "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline")
    copied = replace(own, checkpoint=replace(own.checkpoint, format="fp8"))
    assert is_of_matrix(matrix, own) and not is_of_matrix(matrix, copied)
    asked = {p.overlay.value.id for p in _lay_out_overlays(matrix, "sglang") if p.overlay.condition(copied.facts)}
    made = make_plan(matrix, copied)
    assert {s.overlay for section in made.sections.values() for s in section} <= asked
    assert made.fingerprint != make_plan(matrix, own).fingerprint


def test_overlays_that_are_left_out_early_match_no_cell() -> None:
    matrix = load_matrix()
    for found in list(expand_matrix(matrix).runnable)[::97]:
        possible = _lay_out_possible(matrix, found.release.id, found.checkpoint.id)
        whole = [p for p in _lay_out_overlays(matrix, found.engine.id) if p.overlay.condition(found.facts)]
        assert whole == [p for p in possible if p.overlay.condition(found.facts)]
