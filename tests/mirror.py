"""Which test file exercises a module: the one of its name in the mirrored folder, or the one that mirror.yaml names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml

from matrix.checkout import CHECKOUT

ROOMS = ("matrix", "reports", "fixtures", "suites", "lab", "cli", "ci")
NAMED = re.compile(rf"\b(?:{'|'.join(ROOMS)})(?:\.\w+)+")
NOTHING = "nothing, "  # instead of a test file: and why
EXCEPTIONS = Path(__file__).with_name("mirror.yaml")


def list_modules() -> list[str]:
    """Dotted names of every module of the product that can have a test.

    A suite's own test files are tests already, and a `__main__` that defines nothing starts another module.
    """
    found = (p for room in ROOMS for p in (CHECKOUT / room).rglob("*.py") if _can_have_a_test(p))
    return sorted(map(name_module, found))


def _can_have_a_test(path: Path) -> bool:
    is_suite = path.parent.name == "suites" and path.name.startswith("test_")
    starts_another = path.name == "__main__.py" and "\ndef " not in path.read_text("utf-8")
    return path.name != "__init__.py" and not is_suite and not starts_another


def name_module(path: Path) -> str:
    return ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)


def mirror_path(module: str) -> str:
    """Where the test of a module belongs: `matrix.yaml.load` -> `tests/matrix/yaml/test_load.py`."""
    *folders, name = module.split(".")
    return "/".join(("tests", *folders, f"test_{name}.py"))


def read_exceptions() -> dict[str, str]:
    """Map module -> the test file that exercises it, relative to the checkout; or `nothing, ` and why."""
    return dict(yaml.safe_load(EXCEPTIONS.read_text("utf-8")))


@cache
def imported_by(path: Path) -> frozenset[str]:
    """Return what a file imports, early or late."""
    return frozenset(_imports(ast.parse(path.read_text("utf-8"))))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield module
                yield from (f"{module}.{alias.name}" for alias in names)


@cache
def reached_by(path: Path) -> frozenset[str]:
    """Return what a file imports or names in a string for another process: `-m MODULE`, a conftest, a script."""
    text = path.read_text("utf-8")
    scripts = {name_module(p) for p in path.parent.glob("*.py") if f'"{p.name}"' in text}
    return imported_by(path) | frozenset(_named(ast.parse(text))) | scripts


def _named(tree: ast.AST) -> Iterator[str]:
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in prose:
                yield from (name for found in NAMED.findall(text) for name in (found, f"{found}.__main__"))


def exercises(test: Path, module: str) -> bool:
    """Whether a test imports the module, or one that imports it: a private part is tried through the public one.

    Within the module's own room the way may be longer. Elsewhere it may not: every test reaches most modules
    somehow, and nobody would find it by reading.
    """
    named = reached_by(test)
    entrances = _entrances(module)
    return bool(named & entrances) or any(reached_by(path) & {module} for path in _files(named))


@cache
def _entrances(module: str) -> frozenset[str]:
    """Return the module, and those of its room (`fixtures/launch`) that lead to it."""
    found = {module}
    room = CHECKOUT.joinpath(*module.split(".")[:-1][:2])
    inside = {name_module(path).removesuffix(".__init__"): path for path in room.rglob("*.py")}
    while new := {name for name, path in inside.items() if name not in found and reached_by(path) & found}:
        found |= new
    return frozenset(found)


def _files(modules: frozenset[str]) -> Iterator[Path]:
    return (path for path in map(_path_of, modules) if path.is_file())


def _path_of(module: str) -> Path:
    """Return the file of a module, or of a package."""
    path = CHECKOUT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
