"""Which cells a run is about: what options, this host and a necessary condition of `-m` leave of the matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from matrix.collection.options import WITHOUT_PATCH
from matrix.errors import ConfigError, suggest_nearest
from matrix.judging.plan_without import patches_of
from matrix.model import Cell
from matrix.planning import select
from matrix.planning.by_id import list_runnable_or_all
from matrix.planning.expand import expand_matrix, list_attachable, list_runnable
from matrix.planning.named import list_runnable_named
from matrix.planning.narrowing import compile_narrowing
from matrix.planning.plan import make_plan
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What selection needs to know of this host; `fixtures.session.plugin` detects it."""

    rigs: frozenset[str]
    description: str
    modules: frozenset[str] = frozenset()  # of the releases' `module`, those that can be imported here

    def explain_lack(self, cell: Cell) -> str:
        """Explain what this host lacks for the cell; empty when it can run it."""
        module = cell.release.module
        if cell.rig.id not in self.rigs:
            return f"{cell.rig.gpus} x {cell.rig.gpu.name}"
        if module and module not in self.modules:
            return f"the Python module {module} (pip install '{cell.release.requirement or module}')"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSelection:
    """The cells of this run: `cells` are on this host (or attached, or only collected), `elsewhere` are not."""

    cells: tuple[Cell, ...]
    elsewhere: tuple[Cell, ...]


HOST = pytest.StashKey[HostFacts]()
SELECTION = pytest.StashKey[CellSelection]()


def read_selection(config: pytest.Config) -> CellSelection:
    """Read the cells that options and this host leave. Of `-m` they need match only what no test's mark can change."""
    if SELECTION not in config.stash:
        try:
            config.stash[SELECTION] = _select_cells(config, load_matrix())
        except ConfigError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[SELECTION]


def _select_cells(config: pytest.Config, matrix: Matrix) -> CellSelection:
    option = config.option
    cells: Sequence[Cell] = _list_runnable(config, matrix)
    if option.endpoint:
        # A server that somebody else started needs no rig of ours, nor must its cell fit one.
        cells = [*cells, *list_attachable(matrix)]
    if option.cells:
        cells = select.select_by_globs(cells, option.cells)
    if option.rig:
        cells = select.select_by_rigs(matrix, cells, option.rig)
    if patch := config.getoption(WITHOUT_PATCH):
        cells = _select_patched(matrix, cells, patch)
    if option.endpoint:
        return CellSelection(cells=_require_one_launch(matrix, cells), elsewhere=())
    host = config.stash.get(HOST, None)
    # Looking at a selection needs no hardware.
    if host is None or option.collectonly:
        return CellSelection(cells=tuple(cells), elsewhere=())
    here = tuple(c for c in cells if not host.explain_lack(c))
    return CellSelection(cells=here, elsewhere=tuple(c for c in cells if host.explain_lack(c)))


def _list_runnable(config: pytest.Config, matrix: Matrix) -> Sequence[Cell]:
    """List the runnable cells; of those that `-m` cannot want, only what another option may name."""
    option = config.option
    if option.cells and not option.endpoint:
        return list_runnable_or_all(matrix, option.cells)
    # These may name a cell that `-m` narrows away, and then it must be known to say so.
    named = option.endpoint or option.rig or config.getoption(WITHOUT_PATCH)
    if named or not option.markexpr:
        return [*expand_matrix(matrix).runnable, *list_runnable_named(matrix, option.cells)]
    return list_runnable(matrix, compile_narrowing(matrix, option.markexpr))


def _select_patched(matrix: Matrix, cells: Sequence[Cell], patch: str) -> list[Cell]:
    carried = {c: patches_of(make_plan(matrix, c)) for c in cells}
    if not (chosen := [c for c, names in carried.items() if patch in names]):
        known = suggest_nearest(patch, {name for names in carried.values() for name in names})
        raise pytest.UsageError(f"{WITHOUT_PATCH}: no selected cell is launched with {patch!r}{known}")
    return chosen


def _require_one_launch(matrix: Matrix, cells: Sequence[Cell]) -> tuple[Cell, ...]:
    launches = {make_plan(matrix, c).fingerprint for c in cells}
    if len(launches) != 1:
        raise pytest.UsageError(
            f"--endpoint is one server, but {len(cells)} cells in {len(launches)} launches are selected."
            " Say which cell that server is meant to be: --cells CELL_ID (glm-matrix list prints them)."
        )
    return tuple(cells)
