from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from matrix.collection.own_marks import find_wrong_marks
from matrix.collection.wanted import Wanted
from matrix.planning.expand import expand_matrix
from matrix.planning.select import CELL_KEYS, list_values
from matrix.yaml.load import load_matrix
from tests.pytest_forkserver import run_pytest

CELL = "cpu.llamacpp_2026_10_11549.canary_bf16.mtp"


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        (pytest.mark.for_cells(features=["mpt"]), "no cell has feature 'mpt'; did you mean 'mtp'?"),
        (pytest.mark.for_cells(features="mtp"), "takes a list of features, e.g. features=['mtp'], not 'mtp'"),
        (pytest.mark.for_cells(features=None), "takes a list of features"),
        (pytest.mark.for_cells(claims="seeds"), "takes a list of claims, e.g. claims=['seeds'], not 'seeds'"),
        (pytest.mark.for_cells(claims=["seed"]), "knows no claim 'seed'; did you mean 'seeds'?"),
        (pytest.mark.for_cells(feature=["mtp"]), "for_cells() has no 'feature'; did you mean 'features'?"),
        (pytest.mark.for_cells(engine="vllm"), "for_cells() has no 'engine'"),
        (pytest.mark.for_cells(canary="yes"), "takes canary=True or canary=False, not 'yes'"),
        (pytest.mark.for_cells(["mtp"]), "for_cells() takes keywords, got ['mtp']"),
        (pytest.mark.cell("mtp"), "cell() takes keywords, got 'mtp'"),
        (pytest.mark.cell(feature="mpt"), "no cell has feature 'mpt'; did you mean 'mtp'?"),
        (pytest.mark.cell(enigne="vllm"), "cell() has no 'enigne'; did you mean 'engine'?"),
        (pytest.mark.cell(sm="120"), "cell() takes sm=120, not sm='120'"),
        (pytest.mark.cell(sm=121.0), "no cell has sm 121.0"),
        (pytest.mark.cell(canary="True"), "cell() takes canary=True, not canary='True'"),
    ],
)
def test_a_wrong_mark_is_told_with_the_nearest_word(mark: pytest.MarkDecorator, said: str) -> None:
    [found] = find_wrong_marks([mark.mark], list_values(load_matrix()))
    assert said in found


@pytest.mark.parametrize("key", CELL_KEYS)
def test_every_fact_of_a_cell_is_checked(key: str) -> None:
    """With a value of some cell nothing is said, and with one that no cell has, something is."""
    values: dict[str, Any] = dict(list_values(load_matrix()))
    assert list(find_wrong_marks([pytest.mark.cell(**{key: sorted(values[key])[0]}).mark], values)) == []
    [found] = find_wrong_marks([pytest.mark.cell(**{key: "no such thing"}).mark], values)
    assert f"no cell has {key} 'no such thing'" in found


def test_other_marks_are_not_ours() -> None:
    marks = [pytest.mark.slow(feature="mpt").mark, pytest.mark.cell(feature="mtp").mark]
    assert list(find_wrong_marks(marks, list_values(load_matrix()))) == []


def test_a_test_is_asked_of_the_cells_that_its_own_mark_names() -> None:
    wanted, cells = Wanted(by_mark=None, by_keyword=None), expand_matrix(load_matrix()).runnable[:4000]
    kept = wanted.list_cells(cells, [pytest.mark.cell(feature="mtp").mark])
    other = wanted.list_cells(cells, [pytest.mark.cell(feature="mtp", canary=True).mark])
    assert kept == [c for c in cells if "mtp" in c.features] and other == [c for c in kept if c.checkpoint.canary]
    assert 0 < len(other) < len(kept)


def test_a_file_of_ones_own_outside_the_checkout_is_refused_with_file_and_line(tmp_path: Path) -> None:
    """Without items of the test, the run of the others would be green."""
    own = tmp_path / "test_own.py"
    own.write_text("import pytest\n\n\n@pytest.mark.cell(feature='mpt')\ndef test_mine(cell):\n    assert cell\n")
    words = ("suites/test_boot.py", own, "--cells", CELL, "--collect-only", "-q")
    done = run_pytest(*words)
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert f"{own}:4 test_mine: no cell has feature 'mpt'; did you mean 'mtp'?" in done.stdout
    own.write_text(own.read_text().replace("mpt", "mtp"))
    done = run_pytest(*words)
    assert done.returncode == 0 and f"::test_mine[{CELL}]" in done.stdout
