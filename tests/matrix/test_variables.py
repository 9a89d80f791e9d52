"""Every environment variable that the code reads is in the table, and the table names none that nobody reads."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from matrix import variables
from matrix.checkout import CHECKOUT
from matrix.variables import VARIABLES

ROOMS = ("matrix", "fixtures", "reports", "suites", "lab", "ci", "cli")
NAMES = {"environ", "environment"}  # as the code calls a mapping of the process's variables
# Runs before there is an environment to import from, and reads pip's own variables where pip reads them.
BEFORE_ALL = CHECKOUT / "ci" / "fetch_uv.py"
FILES = sorted(p for room in ROOMS for p in (CHECKOUT / room).rglob("*.py") if p != BEFORE_ALL)
SCANNED = {p: p.read_text("utf-8") for p in FILES}


def reads(source: str) -> Iterator[ast.expr]:
    """Yield the key of every `environ[...]`, `environ.get(...)` and `getenv(...)`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Subscript(value=owner, slice=key, ctx=ast.Load()) if is_environment(owner):
                yield key
            case ast.Call(func=ast.Attribute(value=owner, attr="get" | "pop"), args=[key, *_]) if is_environment(owner):
                yield key
            case ast.Call(func=ast.Attribute(attr="getenv") | ast.Name(id="getenv"), args=[key, *_]):
                yield key
            case ast.Compare(left=key, ops=[ast.In() | ast.NotIn()], comparators=[owner]) if is_environment(owner):
                yield key


def is_environment(owner: ast.expr) -> bool:
    return getattr(owner, "attr", getattr(owner, "id", "")) in NAMES


def named(path: Path, key: ast.expr) -> str | None:
    """Return the name, where it does not depend on the call: a constant, or a name of the module."""
    module = importlib.import_module(".".join(path.relative_to(CHECKOUT).with_suffix("").parts))
    try:
        value = eval(compile(ast.Expression(key), str(path), "eval"), dict(vars(module)))
    except (NameError, AttributeError):
        return None
    return value if isinstance(value, str) else None


def found() -> dict[str, str]:
    """Name -> a file that reads it."""
    return {
        name: str(path.relative_to(CHECKOUT))
        for path, source in SCANNED.items()
        for key in reads(source)
        if (name := named(path, key)) is not None
    }


def test_every_variable_that_the_code_reads_is_in_the_table() -> None:
    assert {name: file for name, file in found().items() if name not in VARIABLES} == {}


def test_a_variable_of_ours_is_spelled_in_the_table_alone() -> None:
    others = [p for p, source in SCANNED.items() if '"GLM_MATRIX_' in source and p.name != "gpu_workflow.py"]
    assert [p.relative_to(CHECKOUT).as_posix() for p in others] == ["matrix/variables.py"]


def test_the_table_names_no_variable_that_nobody_reads() -> None:
    used = {name for source in SCANNED.values() for name in re.findall(r"\bvariables\.([A-Z_]+)\.name", source)}
    constants = {name for name, value in vars(variables).items() if isinstance(value, variables.Variable)}
    assert constants - used == set()
    assert len(constants) == len(VARIABLES)


@pytest.mark.parametrize(
    "source",
    ['os.environ["X"]', 'environment.get("X")', 'os.getenv("X", "")', '"X" in os.environ', "self.environ['X']"],
)
def test_each_way_to_read_a_variable_is_seen(source: str) -> None:
    assert [ast.literal_eval(key) for key in reads(source)] == ["X"]
