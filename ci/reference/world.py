"""Generates docs/reference/world.md: what people serve against the axes, and what typical users are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ci.reference.markdown import format_code, format_table
from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.planning.expand import find_cell, list_exclusions
from matrix.yaml.loaded import Matrix
from matrix.yaml.structure import require_entries

KINDS: Final = ("checkpoints", "rigs", "features", "releases", "suites")  # of entries that a row may name
FILE: Final = Path(__file__).with_name("world.yaml")
HEAD: Final = """# The axes against the world

What people serve, row by row: what of it is on the axes, and what is left out and why. Sources and sizes stand in the
files that are named.
"""
USERS: Final = """## What typical users are told

The first reason against each cell; `glm-matrix why-not CELL` gives all of them.
"""


def read_world(path: Path = FILE) -> Mapping[str, Any]:
    """Read the rows and the questions.

    Raises:
        ConfigError: a list or a key is missing.
    """
    return require_entries(path, {"rows": ("what",), "asks": ("ask", "cell", "rule")})


def make_page(matrix: Matrix, world: Mapping[str, Any]) -> str:
    """Make the page.

    Raises:
        ConfigError: a row names a checkpoint, a rig or a cell that is not there.
    """
    rows = [
        [row["what"], ", ".join(_list_held(matrix, row)) or "nothing", row.get("left_out", "")] for row in world["rows"]
    ]
    asks = [[one["ask"], format_code(one["cell"]), *answer_user(matrix, one["cell"])] for one in world["asks"]]
    held = format_table(("what", "on the axes", "left out, and why"), rows)
    told = format_table(("a user asks for", "cell", "rule", "first reason"), asks)
    return f"{HEAD}\n{held}\n{USERS}\n{told}"


def _list_held(matrix: Matrix, row: Mapping[str, Any]) -> Iterator[str]:
    for kind in KINDS:
        known = _list_suites() if kind == "suites" else getattr(matrix, kind)
        for name in row.get(kind, ()):
            if name not in known:
                message = f"no such entry of {kind}: {name!r}{suggest_nearest(name, known)}"
                raise ConfigError([Problem(FILE.name, 0, row["what"], message)])
            yield format_code(name)


def _list_suites() -> frozenset[str]:
    return frozenset(path.stem.removeprefix("test_") for path in (CHECKOUT / "suites").glob("test_*.py"))


def answer_user(matrix: Matrix, cell_id: str) -> tuple[str, str]:
    """Return the rule and the reason that speak first against a cell; of a runnable one, nothing and that it is.

    Raises:
        ConfigError: no combination of the axes has the id.
    """
    cell = find_cell(matrix, cell_id)
    if cell is None:
        raise ConfigError([Problem(FILE.name, 0, "cell", f"no combination of the axes is {cell_id!r}")])
    first = next(iter(list_exclusions(matrix, cell)), None)
    return (first.rule, first.reason) if first else ("", "runnable")
