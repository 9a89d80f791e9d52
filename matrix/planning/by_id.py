"""Lists the cells that ids or globs name, and plans no others: a run of one cell judged 127,000 combinations first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from matrix.hardware import Rig
from matrix.model import Cell
from matrix.planning.expand import expand_matrix, list_runnable
from matrix.planning.named import list_runnable_named
from matrix.yaml.loaded import Matrix

WILDCARDS: Final = "*?["  # of fnmatch
SEPARATOR: Final = "."  # between the parts of an id: rig, release, checkpoint, features


@dataclass(frozen=True, slots=True, kw_only=True)
class IdNarrowing:
    """What globs over ids leave out before it is planned: `list_runnable` takes it as it takes that of `-m`.

    An id's first parts are compared with a glob's text before its first wildcard, so that a base is kept when some set
    of features may match: never too few, sometimes too many.
    """

    globs: tuple[str, ...]  # with wildcards
    whole: frozenset[str]  # those without wildcards
    rigs: frozenset[str]  # of these
    bases: frozenset[str]  # of these, too
    beginnings: tuple[str, ...]  # of the others, up to their first wildcard

    def keeps_rig(self, rig: Rig) -> bool:
        """Whether the id of some cell of the rig may match."""
        return rig.id in self.rigs or self._may_begin(rig.id + SEPARATOR)

    def keeps_base(self, base: Cell) -> bool:
        """Whether the id may match with some set of features."""
        name, _, _ = base.id.rpartition(SEPARATOR)
        return name in self.bases or self._may_begin(name + SEPARATOR)

    def keeps_cell(self, cell: Cell) -> bool:
        """Whether the id matches."""
        return cell.id in self.whole or any(fnmatchcase(cell.id, glob) for glob in self.globs)

    def _may_begin(self, text: str) -> bool:
        # Both ways: the glob may end inside this part of the id, or go on behind it.
        return any(text.startswith(known) or known.startswith(text) for known in self.beginnings)


def compile_globs(globs: Iterable[str]) -> IdNarrowing:
    """Compile globs over ids; a whole id is a glob without wildcards."""
    unique = tuple(dict.fromkeys(globs))
    whole = frozenset(g for g in unique if not any(c in g for c in WILDCARDS))
    wild = tuple(g for g in unique if g not in whole)
    return IdNarrowing(
        globs=wild,
        whole=whole,
        rigs=frozenset(g.partition(SEPARATOR)[0] for g in whole),
        bases=frozenset(g.rpartition(SEPARATOR)[0] for g in whole),
        beginnings=tuple({_cut_wildcards(g) for g in wild}),
    )


def list_runnable_matching(matrix: Matrix, globs: Iterable[str]) -> list[Cell]:
    """List runnable cells whose ids match any glob, in the matrix's order; then those that only a whole id names."""
    narrowing = compile_globs(globs)
    found = list_runnable(matrix, narrowing)
    return [*found, *list_runnable_named(matrix, sorted(narrowing.whole - {c.id for c in found}))]


def list_runnable_or_all(matrix: Matrix, globs: Iterable[str]) -> list[Cell]:
    """List those, but all runnable cells where a glob matches none of them: the caller's error names the nearest."""
    wanted = tuple(globs)
    found = list_runnable_matching(matrix, wanted)
    if all(any(fnmatchcase(c.id, glob) for c in found) for glob in wanted):
        return found
    return [*expand_matrix(matrix).runnable, *list_runnable_named(matrix, wanted)]


def _cut_wildcards(glob: str) -> str:
    return glob[: min(i for i, c in enumerate(glob) if c in WILDCARDS)]
