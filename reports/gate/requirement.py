"""What a policy requires of which cells, and the cells among which it chooses; no others are planned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from matrix import condition
from matrix.errors import ConfigError
from matrix.model import Cell
from matrix.planning import select
from matrix.planning.by_condition import AllOf, AnyOf, ConditionNarrowing
from matrix.planning.by_id import compile_globs
from matrix.planning.expand import Narrowing, expand_matrix, list_runnable
from matrix.planning.named import list_runnable_named
from matrix.planning.narrowing import compile_narrowing
from matrix.yaml.document import Loc
from matrix.yaml.loaded import Matrix
from reports.gate.policy_lint import Names


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """Cells that match every given selector must have reported the suites and tests."""

    marks: str = ""
    glob: str = ""
    when: Mapping[str, Any] = field(default_factory=dict)
    suites: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()

    @property
    def names(self) -> Names:
        return {"suites": self.suites, "tests": self.tests}


def list_candidates(matrix: Matrix, required: Sequence[Requirement]) -> list[Cell]:
    """List the runnable cells among which the requirements choose, in the matrix's order.

    All runnable ones where a requirement may be wrong: its error names the nearest of them.
    """
    named = list_runnable_named(matrix, [wanted.glob for wanted in required])
    try:
        narrowing = AnyOf(parts=[_narrow_requirement(matrix, wanted) for wanted in required])
    except ConfigError:
        return [*expand_matrix(matrix).runnable, *named]
    cells = [*list_runnable(matrix, narrowing), *named]
    if all(_is_surely_right(wanted, cells) for wanted in required):
        return cells
    return [*expand_matrix(matrix).runnable, *named]


def _narrow_requirement(matrix: Matrix, wanted: Requirement) -> Narrowing:
    """Narrow to the cells that a requirement may mean.

    Raises:
        ConfigError: its marks do not parse, or its condition is none.
    """
    if condition.find_condition_problems(wanted.when, {}):
        raise ConfigError([])
    parts: list[Narrowing] = [ConditionNarrowing(conditions=(condition.compile_condition(wanted.when),))]
    if wanted.glob:
        parts.append(compile_globs([wanted.glob]))
    if wanted.marks:
        parts.append(compile_narrowing(matrix, wanted.marks))
    return AllOf(parts=parts)


def _is_surely_right(wanted: Requirement, cells: Sequence[Cell]) -> bool:
    """Whether the requirement matches a cell, and each name of its condition is that of some cell here."""
    known = gather_known_values(cells)
    for key, values in condition.list_names(wanted.when):
        of = "features" if key in condition.FEATURE_LISTS else key
        if not known.get(of, set()).issuperset(values):
            return False
    return any(map(compile_requirement(wanted), cells))


def compile_requirement(wanted: Requirement) -> Callable[[Cell], bool]:
    marked, holds = compile_marks(wanted.marks), condition.compile_condition(wanted.when)

    def matches(cell: Cell) -> bool:
        in_glob = fnmatchcase(cell.id, wanted.glob or "*")
        return in_glob and holds(cell.facts) and marked(select.make_matcher(cell))

    return matches


def compile_marks(marks: str) -> Callable[[Callable[..., bool]], bool]:
    return select.compile_expression(marks) if marks else lambda _: True


def find_wrong_requirement(wanted: Requirement, matrix: Matrix, cells: Sequence[Cell]) -> Iterator[tuple[Loc, str]]:
    """Yield each part of a requirement that no runnable cell can match."""
    sound = True
    try:
        select.check_words(wanted.marks, select.all_marks(matrix), select.list_values(matrix))
        compile_marks(wanted.marks)
    except ConfigError as error:
        sound = False
        yield from ((("marks",), p.message) for p in error.problems)
    for key, message in condition.find_condition_problems(wanted.when, gather_known_values(cells)):
        sound = False
        yield ("when", key), message
    if wanted.glob and not any(fnmatchcase(c.id, wanted.glob) for c in cells):
        yield (
            ("glob",),
            f"{wanted.glob!r} matches no runnable cell{select.suggest_cell(wanted.glob, (c.id for c in cells))}",
        )
    elif sound and not any(map(compile_requirement(wanted), cells)):
        yield (), "matches no runnable cell of the matrix"


def gather_known_values(cells: Sequence[Cell]) -> dict[str, set[Any]]:
    found: dict[str, set[Any]] = {}
    for cell in cells:
        for key, value in cell.facts.items():
            found.setdefault(key, set()).update(value if isinstance(value, frozenset) else {value})
    return found
