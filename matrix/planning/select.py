"""Choosing cells: `-m` expressions, id globs, rigs. A word that cannot match anything is an error with a suggestion."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.model import Cell
from matrix.yaml.loaded import Matrix

WORD = re.compile(r"(?<![\w'\"=])([A-Za-z_]\w*)(?!\s*=)(?![\w]*['\"])")
KEYWORDS = {"and", "or", "not", "True", "False", "None"}
CELL_KEYS = (
    "rig",
    "gpu",
    "sm",
    "gpus",
    "engine",
    "release",
    "checkpoint",
    "family",
    "format",
    "feature",
    "fork",
    "canary",
)


def add_options(add: Callable[..., object]) -> None:
    """Add the options that select in addition to `-m`, by argparse's `add_argument` or pytest's `addoption`."""
    add("--cells", nargs="+", action="extend", default=[], metavar="GLOB", help="only cells whose id matches a glob")
    add("--rig", nargs="+", action="extend", default=[], metavar="RIG", help="only these rigs, e.g. sm120x4")


def cell_marks(cell: Cell) -> frozenset[str]:
    """List the words that `-m` understands about a cell, e.g. sm120, sm120x4, sglang, nvfp4, mtp."""
    return frozenset(
        {
            cell.rig.gpu.target,
            cell.rig.id,
            cell.rig.gpu.id,
            cell.engine.id,
            cell.release.id,
            cell.checkpoint.id,
            cell.checkpoint.family,
            cell.checkpoint.format,
            *(cell.features or {"baseline"}),
        }
    )


def all_marks(matrix: Matrix) -> dict[str, str]:
    """Every cell mark with what it means, for registration and for suggestions."""
    words: dict[str, str] = {"cpu": "cells that need no GPU", "baseline": "cells that ask for no feature"}
    for gpu in matrix.gpus.values():
        what = f"compute capability {gpu.sm / 10}" if gpu.runtime == "cuda" else f"{gpu.target} (ROCm)"
        words.setdefault(gpu.target, f"cells on {what}")
        words.setdefault(gpu.id, f"cells on {gpu.name}")
        words.update({rig: f"cells on {n or 1} x {gpu.name}" for rig, n in gpu.rigs.items() if rig not in words})
    for kind, items in (
        ("engine", matrix.engines),
        ("release", matrix.releases),
        ("checkpoint", matrix.checkpoints),
        ("feature", matrix.features),
    ):
        words.update(dict.fromkeys(items, f"cells of this {kind}"))
    for c in matrix.checkpoints.values():
        words.setdefault(c.family, f"cells of the {c.family} family")
        words.setdefault(c.format, f"cells with {c.format} weights")
    return words


VALUE = re.compile(r"(\w+)\s*=\s*(?:'([^']*)'|\"([^\"]*)\"|(\w+))")  # key='value' or key=120 of cell()
PLAIN: Final[Mapping[str, object]] = {"True": True, "False": False, "None": None}
LISTS = {"rig": "rigs", "gpu": "gpus", "engine": "engines", "release": "releases", "checkpoint": "checkpoints"}


def list_values(matrix: Matrix) -> dict[str, frozenset[object]]:
    """List what `cell(key=value)` may say, for each key."""
    values: dict[str, frozenset[object]] = {key: frozenset(getattr(matrix, name)) for key, name in LISTS.items()}
    checkpoints = matrix.checkpoints.values()
    return {
        **values,
        "feature": frozenset(matrix.features),
        "family": frozenset(c.family for c in checkpoints),
        "format": frozenset(c.format for c in checkpoints),
        "sm": frozenset(gpu.sm for gpu in matrix.gpus.values()),
        "gpus": frozenset(rig.gpus for rig in matrix.rigs.values()),
        **dict.fromkeys(("fork", "canary"), frozenset({True, False})),
    }


def find_wrong_facts(facts: Iterable[tuple[str, object]], values: Mapping[str, Iterable[object]]) -> Iterator[str]:
    """Yield a sentence for each fact of `cell(key=value)` whose key or value no cell has, with the nearest word."""
    for name, value in facts:
        valid = {str(known): known for known in values.get(name, ())}
        if name not in CELL_KEYS:
            yield f"cell() has no {name!r}{suggest_nearest(name, CELL_KEYS)}"
        elif valid and str(value) not in valid and value is not None:
            yield f"no cell has {name} {value!r}{suggest_nearest(str(value), valid)}"
        # '120' and 120 look alike in a message and never compare equal.
        elif valid and value is not None and type(value) is not type(valid[str(value)]):
            yield f"cell() takes {name}={valid[str(value)]!r}, not {name}={value!r}"


def _list_facts(expression: str) -> Iterator[tuple[str, object]]:
    for name, single, double, plain in VALUE.findall(expression):
        yield name, single or double or PLAIN.get(plain, int(plain) if plain.isdecimal() else plain)


def check_words(
    expression: str, known: Iterable[str], values: Mapping[str, Iterable[object]] = MappingProxyType({})
) -> None:
    """Raise when an `-m` expression names a marker that does not exist, or a value that no cell has (`list_values`).

    Raises:
        ConfigError: with the nearest valid word per unknown one.
    """
    words = set(known) | {"cell"}
    used = [w for w in WORD.findall(_without_arguments(expression)) if w not in KEYWORDS]
    problems = [
        Problem("-m", 0, repr(expression), f"no such marker {w!r}{suggest_nearest(w, words)}")
        for w in used
        if w not in words
    ]
    wrong = find_wrong_facts(_list_facts(expression), values)
    problems += [Problem("-m", 0, repr(expression), message) for message in wrong]
    if problems:
        raise ConfigError(problems)


def _without_arguments(expression: str) -> str:
    return re.sub(r"\([^()]*=[^()]*\)", "", expression)


def make_matcher(cell: Cell, others: Iterable[str] = ()) -> Callable[..., bool]:
    """Make a pytest mark matcher over a cell's marks and a test's own (`others`)."""
    marks = cell_marks(cell) | set(others)

    def match(name: str, /, **wanted: object) -> bool:
        return matches_facts(cell, wanted) if name == "cell" else name in marks and not wanted

    return match


def matches_facts(cell: Cell, wanted: Mapping[str, object]) -> bool:
    """Whether a cell has all the facts that `cell(**facts)` names."""
    facts = cell.facts
    return all(v in facts["features"] if k == "feature" else facts.get(k) == v for k, v in wanted.items())


def compile_expression(text: str) -> Callable[[Callable[..., bool]], bool]:
    """Compile a `-m` expression into a predicate over a matcher.

    Raises:
        ConfigError: it does not parse.
    """
    from _pytest.mark.expression import Expression  # late: `glm-matrix` rarely needs pytest

    try:
        return Expression.compile(text).evaluate
    except SyntaxError as error:
        raise ConfigError([Problem("-m", 0, repr(text), f"cannot be parsed: {error}")]) from None


PARTS: Final = ("rig", "release", "checkpoint", "feature set")  # of an id


def suggest_cell(text: str, ids: Iterable[str]) -> str:
    """Return what is wrong with an id or glob that none of the ids matches: its first part that none has, with the
    nearest word; else the nearest id."""
    rows = [i.split(".") for i in ids]
    if not rows:
        return ""
    for number, (name, part) in enumerate(zip(PARTS, text.split("."), strict=False)):
        kept = [row for row in rows if fnmatchcase(row[number], part)]
        if not kept:
            before = ".".join(rows[0][:number])
            where = f"no cell of {before}" if number else "no cell"
            return f": {where} has the {name} {part!r}{suggest_nearest(part, {row[number] for row in rows})}"
        if any(c in part for c in "*[?"):  # a wildcard may reach beyond its part
            break
        rows = kept
    else:
        if rows:
            return f": an id is RIG.RELEASE.CHECKPOINT.FEATURES, e.g. {'.'.join(rows[0])}; all of them: {text + '.*'!r}"
    return suggest_nearest(text, (".".join(row) for row in rows))


def select_by_globs(cells: Sequence[Cell], globs: Sequence[str]) -> list[Cell]:
    """Cells whose id matches any glob; a glob that matches none is an error.

    Raises:
        ConfigError: naming the nearest cell id.
    """
    problems = [
        Problem("--cells", 0, "", f"{glob!r} matches no cell{suggest_cell(glob, (c.id for c in cells))}")
        for glob in globs
        if not any(fnmatchcase(c.id, glob) for c in cells)
    ]
    if problems:
        raise ConfigError(problems)
    return [c for c in cells if any(fnmatchcase(c.id, g) for g in globs)]


def select_by_rigs(matrix: Matrix, cells: Sequence[Cell], rigs: Sequence[str]) -> list[Cell]:
    """Cells on the named rigs.

    Raises:
        ConfigError: a rig does not exist.
    """
    bad = [r for r in rigs if r not in matrix.rigs]
    if bad:
        raise ConfigError([Problem("--rig", 0, "", f"no rig {r!r}{suggest_nearest(r, matrix.rigs)}") for r in bad])
    return [c for c in cells if c.rig.id in rigs]
