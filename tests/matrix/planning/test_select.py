from __future__ import annotations

from pathlib import Path

import pytest

from matrix.errors import ConfigError
from matrix.planning import select
from matrix.planning.expand import expand_matrix
from matrix.yaml.load import load_matrix
from tests.matrix.world import write


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cpu", {"cpu.toy_1.small.baseline", "cpu.toy_1.small.indexcache", "cpu.toy_2.small.baseline"}),
        ("cpu and not indexcache", {"cpu.toy_1.small.baseline", "cpu.toy_2.small.baseline"}),
        ("cell(release='toy_2', feature='mtp')", {"sm120x1.toy_2.small.mtp", "sm120x4.toy_2.small.mtp"}),
    ],
)
def test_expressions_select_by_axis(tmp_path: Path, expression: str, expected: set[str]) -> None:
    keep = select.compile_expression(expression)
    cells = expand_matrix(load_matrix(write(tmp_path))).runnable
    assert {c.id for c in cells if keep(select.make_matcher(c))} == expected


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("sm12O", "no such marker 'sm12O'; did you mean 'sm120'?"),
        ("sm120 and not mpt", "no such marker 'mpt'; did you mean 'mtp'?"),
        ("cell(engin='toy')", "cell() has no 'engin'; did you mean 'engine'?"),
    ],
)
def test_a_misspelt_marker_is_an_error_with_the_nearest_word(tmp_path: Path, expression: str, hint: str) -> None:
    with pytest.raises(ConfigError, match="1 problem") as caught:
        select.check_words(expression, select.all_marks(load_matrix(write(tmp_path))))
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("cell(feature='mpt')", "no cell has feature 'mpt'; did you mean 'mtp'?"),
        ('sm120 and cell(engine="toi", sm=120)', "no cell has engine 'toi'; did you mean 'toy'?"),
        ("not cell(feature='toy')", "no cell has feature 'toy'"),
        ("cell(sm=12)", "no cell has sm 12; did you mean '120'?"),
        ("cell(sm='120')", "cell() takes sm=120, not sm='120'"),
        ("cell(gpus=9)", "no cell has gpus 9"),
        ("cell(canary=true)", "no cell has canary 'true'; did you mean 'True'?"),
        ("cell(checkpoint='smal')", "no cell has checkpoint 'smal'; did you mean 'small'?"),
        ("cell(release='toy_11')", "no cell has release 'toy_11'; did you mean 'toy_1'?"),
        ("cell(format='nvpf4')", "no cell has format 'nvpf4'"),
        ("cell(rig='cpi')", "no cell has rig 'cpi'; did you mean 'cpu'?"),
    ],
)
def test_a_misspelt_value_is_an_error_with_the_nearest_word(tmp_path: Path, expression: str, hint: str) -> None:
    matrix = load_matrix(write(tmp_path))
    with pytest.raises(ConfigError, match="1 problem") as caught:
        select.check_words(expression, select.all_marks(matrix), select.list_values(matrix))
    assert hint in str(caught.value)
    select.check_words(
        "cell(feature='mtp', engine='toy') or cell(sm=120, canary=False, feature=None)",
        select.all_marks(matrix),
        select.list_values(matrix),
    )


def test_values_inside_cell_are_not_taken_for_markers(tmp_path: Path) -> None:
    select.check_words("cell(engine='anything') or sm120", select.all_marks(load_matrix(write(tmp_path))))


def test_an_expression_that_does_not_parse_says_so() -> None:
    with pytest.raises(ConfigError, match="cannot be parsed"):
        select.compile_expression("sm120 and (")


def test_a_glob_that_matches_nothing_is_an_error(tmp_path: Path) -> None:
    cells = expand_matrix(load_matrix(write(tmp_path))).runnable
    assert len(select.select_by_globs(cells, ["cpu.*"])) == 3
    with pytest.raises(ConfigError, match="matches no cell"):
        select.select_by_globs(cells, ["cpu.*", "gpu.*"])


def test_a_rig_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    matrix = load_matrix(write(tmp_path))
    with pytest.raises(ConfigError, match="no rig 'sm120x5'"):
        select.select_by_rigs(matrix, expand_matrix(matrix).runnable, ["sm120x5"])
