"""Gathers what `glm-matrix lint` holds known failures against: tests of the suites, pages of docs/, echoes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from matrix.checkout import CHECKOUT
from matrix.errors import Problem
from matrix.known.said import read_said
from matrix.model import Cell
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import make_plan
from matrix.yaml.known_shape import KnownSurroundings, find_entry_problems
from matrix.yaml.loaded import Matrix


def lint_known_failures(matrix: Matrix, today: date, checkout: Path = CHECKOUT) -> list[Problem]:
    """Find what is wrong with today's entries, beyond what loading them finds."""
    tests = read_test_names(checkout / "suites")
    echoes = {k.value.id: sorted(_gather_echoes(matrix, k.value.id, tests)) for k in matrix.known_failures}
    pages = [p.relative_to(checkout).as_posix() for p in (checkout / "docs").rglob("*.md")]
    around = KnownSurroundings(today=today, tests=tests, pages=pages, echoes=echoes, said=read_said())
    return find_entry_problems(matrix.known_failures, around)


def read_test_names(folder: Path) -> frozenset[str]:
    """Read the names of the test functions of every `test_*.py`, without importing one."""
    return frozenset(
        node.name
        for path in sorted(folder.glob("test_*.py"))
        # parsed, not imported: lint runs without pytest's fixtures, and a suite's imports would start half the project
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def _gather_echoes(matrix: Matrix, entry: str, tests: frozenset[str]) -> set[str]:
    """Ids, and the commands of the cells that the entry speaks about, in the spellings in which engines repeat them."""
    known = next(k for k in matrix.known_failures if k.value.id == entry)
    cells = [c for c in expand_matrix(matrix).runnable if known.condition(c.facts)]
    said = {text for cell in cells for text in (cell.id, *_spell_commands(matrix, cell))}
    return said | {f"suites/test_x.py::{t}" for t in tests}


def _spell_commands(matrix: Matrix, cell: Cell) -> Iterator[str]:
    made = make_plan(matrix, cell)
    argv = made.argv(model="/models/x", host="127.0.0.1", port="8000", api_key_env="KEY")
    pairs = [(a.lstrip("-"), b) for a, b in zip(argv, [*argv[1:], ""], strict=True) if a.startswith("-")]
    yield " ".join(argv)
    # engines print their arguments as a repr, a dict, JSON or words: a signature that fits any of them excuses all
    for spelt in ("{0}={1}", "{0}={1!r}", "'{0}': {1!r}", "{0}: {1}", "{0} {1}"):
        yield ", ".join(spelt.format(name.replace("-", "_"), value) for name, value in pairs)
    yield " ".join(f"{name}={value}" for name, value in made.env.items())
