"""tests/ mirrors the source, or mirror.yaml says where a module is tested instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.checkout import CHECKOUT
from tests import mirror

MODULES = mirror.list_modules()
EXCEPTIONS = mirror.read_exceptions()
UNTESTED = {module for module, test in EXCEPTIONS.items() if test.startswith(mirror.NOTHING)}


def has_mirror(module: str) -> bool:
    return (CHECKOUT / mirror.mirror_path(module)).is_file()


def test_every_module_has_a_test_of_its_name_or_says_where_it_is_tested() -> None:
    lost = [m for m in MODULES if not has_mirror(m) and m not in EXCEPTIONS]
    assert not lost, "\n".join(
        f"{m}: write {mirror.mirror_path(m)}, or name its test in tests/mirror.yaml" for m in lost
    )


def test_an_exception_is_about_a_module_that_exists_and_has_no_test_of_its_name() -> None:
    stale = [m for m in EXCEPTIONS if m not in MODULES or has_mirror(m)]
    assert not stale, f"take out of tests/mirror.yaml: {', '.join(stale)}"


@pytest.mark.parametrize("module", sorted(m for m in EXCEPTIONS if m not in UNTESTED))
def test_the_test_that_an_exception_names_exercises_the_module(module: str) -> None:
    test = CHECKOUT / EXCEPTIONS[module]
    assert test.is_file(), f"tests/mirror.yaml, {module}: there is no {EXCEPTIONS[module]}"
    assert test.name.startswith("test_"), f"{EXCEPTIONS[module]} is no test file"
    assert mirror.exercises(test, module), f"{EXCEPTIONS[module]} imports neither {module} nor a module that imports it"


def test_only_what_maintainers_run_may_be_without_a_test_and_says_why() -> None:
    assert [m for m in UNTESTED if not m.startswith("lab.")] == []
    assert [m for m in UNTESTED if len(EXCEPTIONS[m]) < len(mirror.NOTHING) + 10] == []


def test_the_list_is_sorted_so_that_a_module_is_found_in_it() -> None:
    assert list(EXCEPTIONS) == sorted(EXCEPTIONS)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("import matrix.model", True),
        ("def test_x():\n    from matrix import model", True),
        ("from matrix.model import Cell", True),
        ("from matrix.planning.plan import Plan", True),  # which imports matrix.model
        ("COMMAND = ['-m', 'matrix.model']", True),
        ("from matrix.checkout import CHECKOUT", False),
        ("# import matrix.model", False),
    ],
)
def test_what_a_test_exercises_is_read_off_its_imports(text: str, seen: bool, tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(text)
    assert mirror.exercises(tmp_path / "test_x.py", "matrix.model") is seen


def test_a_module_is_looked_for_in_the_folder_of_its_name() -> None:
    assert mirror.mirror_path("matrix.planning.plan") == "tests/matrix/planning/test_plan.py"
