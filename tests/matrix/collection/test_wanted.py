"""What is decided before an item exists: the same items are left as when pytest decides it of each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from matrix.collection.wanted import NotMade, Wanted, read_wanted
from matrix.planning.expand import expand_matrix
from matrix.planning.owed import DEPTHS, read_owed
from matrix.planning.select import compile_expression
from matrix.yaml.load import load_matrix
from tests.pytest_forkserver import run_pytest

CELLS = expand_matrix(load_matrix()).runnable
BASE = "cpu.llamacpp_2026_10_11549.canary_bf16.baseline"
MTP = "cpu.llamacpp_2026_10_11549.canary_bf16.mtp"

PROOFS = {
    "suites/test_mtp.py::test_drafts_are_accepted",
    "suites/test_effective.py::test_requested_features_are_in_effect",
    "suites/test_effective.py::test_requested_equals_effective",
    "suites/test_effective.py::test_numbers_agree_with_the_reference",
}


def collect(*words: str) -> tuple[list[str], str]:
    done = run_pytest("suites", "--collect-only", "-q", "--cells", BASE, MTP, *words)
    return [line for line in done.stdout.splitlines() if "::" in line], done.stdout + done.stderr


def owed(cell_id: str, depth: Any = "quick") -> list[str]:
    [cell] = [c for c in CELLS if c.id == cell_id]
    return list(read_owed().nodeids(cell, depth))


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("needle and not beyond", lambda n, _: "test_needle.py" in n and "beyond" not in n),
        ("NEEDLE and mtp", lambda n, cell: "test_needle.py" in n and cell == MTP),  # case does not matter
        ("proof", lambda n, _: "proof" in n or n.partition("[")[0] in PROOFS),  # a mark of the module
        ("sglang", lambda *_: False),
        ("test_mtp.py", lambda n, _: "test_mtp.py" in n),
        ("suites", lambda *_: True),
    ],
)
def test_k_leaves_what_pytest_would_leave(words: str, left: Any) -> None:
    found, _ = collect("-k", words)
    assert set(found) == {n for cell in (BASE, MTP) for n in owed(cell) if left(n, cell)}


def test_a_wrong_expression_is_refused_in_pytests_words() -> None:
    assert "Wrong expression passed to '-k'" in collect("-k", "needle and")[1]
    assert "Keyword expressions do not support call parameters" in collect("-k", "needle(a=1)")[1]


def test_a_test_that_the_depth_does_not_ask_is_deselected_where_it_is_named_and_not_made_elsewhere() -> None:
    """`not found` would be wrong: the test exists."""
    [deep, *_] = sorted(set(owed(BASE, "full")) - set(owed(BASE)))
    done = run_pytest(deep, "--collect-only", "-q", "--cells", BASE)
    assert "1 deselected" in done.stdout and "not found" not in done.stderr
    assert deep in collect("--depth", "full")[0] and deep not in collect()[0]


def test_what_is_not_made_is_told_where_counts_are() -> None:
    done = run_pytest("suites", "--collect-only", "--cells", BASE, "-k", "needle")
    more = len(owed(BASE, DEPTHS[-1])) - len(owed(BASE))
    assert "not made, so not among the deselected:" in done.stdout
    assert more and "that are not asked at --depth quick and" in done.stdout
    assert NotMade().explain("quick") == []
    assert NotMade(by_keyword=1200).explain("quick") == [
        "not made, so not among the deselected: 1,200 that -k leaves out"
    ]


def test_tests_with_the_same_marks_are_asked_about_once() -> None:
    asked: list[int] = []
    wanted = Wanted(by_mark=lambda _: asked.append(1) or True, by_keyword=None)  # type: ignore[func-returns-value]
    cells, marks = CELLS[:5], [pytest.mark.boot.mark]
    assert wanted.list_cells(cells, marks) is wanted.list_cells(cells, list(marks))
    assert len(asked) == 5
    assert wanted.list_cells(cells, [pytest.mark.for_cells(features=["nothing"]).mark]) == []


def test_tests_that_look_alike_to_the_expression_are_asked_about_once() -> None:
    asked: list[int] = []
    by_mark = compile_expression("cpu and not needle")
    wanted = Wanted(
        by_mark=lambda match: asked.append(1) or by_mark(match),  # type: ignore[func-returns-value]
        by_keyword=None,
        expression="cpu and not needle",
    )
    cells = [c for c in CELLS if c.id in (BASE, MTP)]
    assert wanted.list_cells(cells, [pytest.mark.boot.mark]) == cells
    assert wanted.list_cells(cells, [pytest.mark.proof.mark, pytest.mark.for_cells(features=["mtp"]).mark]) == cells[1:]
    assert len(asked) == 2
    assert wanted.list_cells(cells, [pytest.mark.boot.mark, pytest.mark.needle.mark]) == []


def test_the_options_are_compiled_once() -> None:
    config: Any = SimpleNamespace(stash=pytest.Stash(), option=SimpleNamespace(markexpr="", keyword=""))
    assert read_wanted(config) is read_wanted(config)
    assert read_wanted(config).by_mark is None and read_wanted(config).by_keyword is None
