"""The matrix as a pytest plugin: one item per test and cell, `-m` over the axes, what is known of each cell.

A test that takes `cell` runs once for every selected cell; `@pytest.mark.for_cells(features=["mtp"])` narrows that to
cells that ask for the features. Items are ordered by launch, so that an engine is started once per fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from matrix.collection.dummy import change_plan
from matrix.collection.options import ENDPOINT_OPTIONS, WITHOUT_PATCH, add_options
from matrix.errors import ConfigError, suggest_nearest
from matrix.judging.plan_without import patches_of, without_patch
from matrix.known.failures import KnownOfCell, select_of_cell
from matrix.model import Cell
from matrix.planning import select
from matrix.planning.expand import expand_matrix, list_attachable
from matrix.planning.named import list_runnable_named
from matrix.planning.owed import asked_by_marks
from matrix.planning.plan import Plan, make_plan
from matrix.yaml.load import HERE, choose_matrix, load_matrix
from matrix.yaml.loaded import Matrix

NO_HARDWARE = "SKIP_NO_HW"


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
class Selection:
    """The cells of this run: `cells` are on this host (or attached, or only collected), `elsewhere` are not."""

    cells: tuple[Cell, ...]
    elsewhere: tuple[Cell, ...]


HOST = pytest.StashKey[HostFacts]()
SELECTION = pytest.StashKey[Selection]()
KNOWN = pytest.StashKey[KnownOfCell]()  # of an item: what is known of its cell, see reports.evidence.excuse
WANTS_CELLS = pytest.StashKey[bool]()  # some collected test takes `cell`
MADE = pytest.StashKey[dict[str, None]]()  # ids of cells that items were made of, whatever deselected them later


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


OWN_TESTS = frozenset({"suites", "tests"})  # folders that hold tests themselves


def _collect_suites(config: pytest.Config) -> None:
    """Collect the suites where pytest was started without paths in a folder of the checkout that holds no tests."""
    nothing_named = config.args_source is pytest.Config.ArgsSource.INVOCATION_DIR
    here = config.invocation_params.dir
    below = here.relative_to(config.rootpath).parts if here.is_relative_to(config.rootpath) else ()
    if nothing_named and below and below[0] not in OWN_TESTS:
        config.args[:] = [str(config.rootpath / path) for path in config.getini("testpaths")]


def pytest_configure(config: pytest.Config) -> None:
    _collect_suites(config)
    _choose_matrix(config)
    needless = [o for o in ENDPOINT_OPTIONS if config.getoption(o)] if not config.option.endpoint else []
    if needless:
        raise pytest.UsageError(f"{', '.join(needless)}: only with --endpoint URL, about the server there")
    try:
        matrix = load_matrix()
        known = select.all_marks(matrix)
        for name, what in known.items():
            config.addinivalue_line("markers", f"{name}: {what}")
        config.addinivalue_line("markers", "cell(**facts): a cell by its facts, e.g. -m \"cell(engine='sglang')\"")
        config.addinivalue_line(
            "markers", "for_cells(features, canary): only for cells that ask for these features, or only for canaries"
        )
        markers = [str(line).split(":")[0].split("(")[0].strip() for line in config.getini("markers")]
        if config.option.markexpr:
            select.check_words(config.option.markexpr, markers, select.list_values(matrix))
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from None


def _choose_matrix(config: pytest.Config) -> None:
    root = config.getoption("--matrix")
    if root is None:
        return
    if not (root / "axes").is_dir():
        raise pytest.UsageError(f"--matrix {root}: expected a folder with axes/ and recipes/, like {HERE.name}/")
    choose_matrix(root.resolve())
    config.add_cleanup(choose_matrix)


def read_selection(config: pytest.Config) -> Selection:
    """Read the cells that options and this host leave; `-m` applies per test, see `pytest_generate_tests`."""
    if SELECTION not in config.stash:
        try:
            config.stash[SELECTION] = _select_cells(config, load_matrix())
        except ConfigError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[SELECTION]


def _select_cells(config: pytest.Config, matrix: Matrix) -> Selection:
    option = config.option
    cells: Sequence[Cell] = [*expand_matrix(matrix).runnable, *list_runnable_named(matrix, option.cells)]
    if option.endpoint:
        cells = [*cells, *list_attachable(matrix)]
    if option.cells:
        cells = select.select_by_globs(cells, option.cells)
    if option.rig:
        cells = select.select_by_rigs(matrix, cells, option.rig)
    if patch := config.getoption(WITHOUT_PATCH):
        cells = _select_patched(matrix, cells, patch)
    if option.endpoint:
        return Selection(cells=_require_one_launch(matrix, cells), elsewhere=())
    host = config.stash.get(HOST, None)
    if host is None or option.collectonly:
        return Selection(cells=tuple(cells), elsewhere=())
    here = tuple(c for c in cells if not host.explain_lack(c))
    return Selection(cells=here, elsewhere=tuple(c for c in cells if host.explain_lack(c)))


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


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Turn a wrong option into one usage error now, instead of a collection error per module later."""
    if runs_suites(session.config):
        read_selection(session.config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cell" not in metafunc.fixturenames:
        return
    config, chosen = metafunc.config, read_selection(metafunc.config)
    config.stash[WANTS_CELLS] = True
    own = list(metafunc.definition.iter_markers())
    keep = _compile_marks(config, [m.name for m in own])
    asked = _asked_by(own)
    cells = [c for c in chosen.cells if asked(c) and keep(c)]
    params = [pytest.param(c, id=c.id, marks=_make_marks_once(config, c)) for c in cells]
    if config.option.all_cells:
        params += [
            pytest.param(
                c,
                id=c.id,
                marks=[*_make_marks_once(config, c), pytest.mark.skip(reason=_explain_no_hardware(config, c))],
            )
            for c in chosen.elsewhere
            if asked(c) and keep(c)
        ]
    config.stash.setdefault(MADE, {}).update(dict.fromkeys(str(p.id) for p in params))
    metafunc.parametrize("cell", params)


def _asked_by(own: Iterable[pytest.Mark]) -> Callable[[Cell], bool]:
    """Compile the `for_cells` marks: cells with all the features they name, and only canaries where one requires it."""
    return asked_by_marks(m.kwargs for m in own if m.name == "for_cells").of


def _compile_marks(config: pytest.Config, own: Iterable[str]) -> Callable[[Cell], bool]:
    """Apply `-m` to the cells already, so that unwanted items are never made."""
    text, names = config.option.markexpr, tuple(own)
    if not text:
        return lambda _: True
    try:
        evaluate = select.compile_expression(text)
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from None
    known = config.stash.setdefault(_KEPT, {}).setdefault(frozenset(names), {})  # tests of one suite share their marks

    def keep(cell: Cell) -> bool:
        if cell.id not in known:
            known[cell.id] = evaluate(select.make_matcher(cell, names))
        return known[cell.id]

    return keep


_KEPT = pytest.StashKey[dict[frozenset[str], dict[str, bool]]]()
_MARKS = pytest.StashKey[dict[str, tuple[pytest.MarkDecorator, ...]]]()


def _make_marks_once(config: pytest.Config, cell: Cell) -> tuple[pytest.MarkDecorator, ...]:
    """Return the marks of a cell, made once for all tests that ask it."""
    marks = config.stash.setdefault(_MARKS, {})
    if cell.id not in marks:
        marks[cell.id] = _make_marks(cell)
    return marks[cell.id]


def _make_marks(cell: Cell) -> tuple[pytest.MarkDecorator, ...]:
    names = (getattr(pytest.mark, name) for name in sorted(select.cell_marks(cell)))
    facts = {k: v for k, v in cell.facts.items() if k in select.CELL_KEYS}
    features = (*sorted(cell.features),) or (None,)
    return (*names, *(pytest.mark.cell(**facts, feature=feature) for feature in features))


def _explain_no_hardware(config: pytest.Config, cell: Cell) -> str:
    host = config.stash.get(HOST, None)
    need = host.explain_lack(cell) if host else cell.rig.gpu.name
    return f"{NO_HARDWARE}: needs {need}; this host: {host.description if host else 'unknown'}"


def cell_of(item: pytest.Item) -> Cell | None:
    """Return the cell of an item, or None for ordinary tests."""
    callspec = getattr(item, "callspec", None)
    cell = callspec.params.get("cell") if callspec else None
    return cell if isinstance(cell, Cell) else None


def plan_of(item: pytest.Item) -> Plan | None:
    """Return the recommended plan of an item's cell; computed once per cell."""
    cell = cell_of(item)
    return _make_plan_once(item.config, cell) if cell else None


_PLANS = pytest.StashKey[dict[str, Plan]]()


def _make_plan_once(config: pytest.Config, cell: Cell) -> Plan:
    plans = config.stash.setdefault(_PLANS, {})
    if cell.id not in plans:
        made, patch = make_plan(load_matrix(), cell), config.getoption(WITHOUT_PATCH)
        plans[cell.id] = change_plan(config, without_patch(made, patch) if patch else made)
    return plans[cell.id]


def selected_plans(session: pytest.Session) -> list[Plan]:
    """List the plans of this run: of the collected items, or (an xdist controller collects none) of the options."""
    config = session.config
    if session.items:
        plans = (plan_of(item) for item in session.items)
        return list({p.cell.id: p for p in plans if p is not None}.values())
    if not config.pluginmanager.hasplugin("dsession") or not runs_suites(config):
        return []
    return [_make_plan_once(config, c) for c in read_selection(config).cells if _may_match(config, c)]


def selected_ids(session: pytest.Session) -> list[str]:
    """List the cells that this run selected, before `-k`, `--deselect`, `--lf` and node ids removed items."""
    made: dict[str, None] = session.config.stash.setdefault(MADE, {})
    return list(made) or [p.cell.id for p in selected_plans(session)]


def runs_suites(config: pytest.Config) -> bool:
    """Whether the arguments name the product's suites: only they are about cells."""
    suites = config.rootpath / "suites"
    paths = [Path(a.partition("::")[0]).resolve() for a in config.args]
    return any(p == suites or suites in p.parents or p == config.rootpath for p in paths)


def _may_match(config: pytest.Config, cell: Cell) -> bool:
    """Whether `-m` can select some test of the cell; tests' own marks are unknown here, so each is tried."""
    lines = (str(line).split(":")[0].split("(")[0].strip() for line in config.getini("markers"))
    others = set(lines) - set(select.all_marks(load_matrix()))
    return any(_compile_marks(config, marks)(cell) for marks in ((), others, *((m,) for m in others)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    empty = [i for i in items if "cell" in getattr(i, "fixturenames", ()) and cell_of(i) is None]
    if empty:
        config.hook.pytest_deselected(items=empty)
        gone = set(empty)
        items[:] = [i for i in items if i not in gone]
    known: dict[str, KnownOfCell] = {}
    launches: dict[str, int] = {}
    cells: dict[str, int] = {}
    for item in items:
        found = plan_of(item)
        if found is None:
            continue
        launches.setdefault(found.fingerprint, len(launches))
        cells.setdefault(found.cell.id, len(cells))
        name = getattr(item, "originalname", item.name)
        item.user_properties += [("cell", found.cell.id), ("fingerprint", found.fingerprint), ("test", name)]
        if found.cell.id not in known:
            known[found.cell.id] = _gather_known(found)
        item.stash[KNOWN] = known[found.cell.id]
    items.sort(key=lambda i: _sort_key(i, launches, cells))
    _refuse_to_run_nothing(config, items)


def _sort_key(item: pytest.Item, launches: dict[str, int], cells: dict[str, int]) -> tuple[int, int]:
    found = plan_of(item)
    return (launches[found.fingerprint], cells[found.cell.id]) if found else (-1, -1)


def _gather_known(made: Plan) -> KnownOfCell:
    words = made.argv(model="", host="", port="", api_key_env="")
    return KnownOfCell(
        entries=tuple(select_of_cell(load_matrix(), made.cell)), words=(made.cell.id,), flags=tuple(words)
    )


def _refuse_to_run_nothing(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse a run without tests, which would be green: list what was found and what each cell needs."""
    if items or not config.stash.get(WANTS_CELLS, False) or config.option.collectonly:
        return
    elsewhere = [c for c in read_selection(config).elsewhere if _compile_marks(config, ())(c)]
    host = config.stash.get(HOST, None)
    needs = sorted({f"  {c.rig.id:<16} {host.explain_lack(c) if host else c.rig.gpu.name}" for c in elsewhere})
    lines = ["no selected cell can run here.", f"this host: {host.description if host else 'unknown'}"]
    if needs:
        lines += [f"{len(elsewhere)} selected cells need one of:", *needs]
        lines += ["Look at them with --collect-only, keep them as SKIP_NO_HW with --all-cells,"]
        lines += ["or run the suites against a server elsewhere: --endpoint URL --cells CELL_ID."]
    else:
        lines += ["The selection (-m, --cells, --rig) leaves no cell: glm-matrix list -m EXPR shows what there is."]
    raise pytest.UsageError("\n".join(lines))


def pytest_report_header(config: pytest.Config) -> list[str]:
    if HOST not in config.stash:
        return []
    host = config.stash[HOST]
    lines = [f"matrix host: {host.description}; rigs: {', '.join(sorted(host.rigs))}"]
    optional = {c.release.id: host.explain_lack(c) for c in read_selection(config).elsewhere if c.rig.id in host.rigs}
    return lines + [f"matrix: {release} left out, needs {what}" for release, what in sorted(optional.items())]


@pytest.fixture(name="plan")
def plan_fixture(request: pytest.FixtureRequest) -> Plan:
    """Return the recommended plan of the test's cell."""
    found = plan_of(request.node)
    assert found is not None, "`plan` needs a test that takes `cell`"
    return found
