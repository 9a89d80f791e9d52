"""The matrix as a pytest plugin: one item per test and cell, `-m` over the axes, what is known of each cell.

A test that takes `cell` runs once for every selected cell; `@pytest.mark.for_cells(features=["mtp"])` narrows that to
cells that ask for the features. Items are ordered by launch, so that an engine is started once per fingerprint.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from matrix import variables
from matrix.collection.dummy import change_plan
from matrix.collection.items import ANY_CELL, KNOWN, PARAMETER, CellCase, CellItem, Template, is_template
from matrix.collection.options import ENDPOINT_OPTIONS, WITHOUT_PATCH, Misspelt, add_options
from matrix.collection.own_marks import find_wrong_marks
from matrix.collection.selection import HOST, HostFacts, read_selection
from matrix.collection.spared import spare_items
from matrix.collection.wanted import NOT_MADE, NotMade, is_asked, may_match, names_tests, read_wanted
from matrix.errors import ConfigError, Problem
from matrix.judging.plan_without import without_patch
from matrix.known.failures import KnownOfCell, select_of_cell
from matrix.known.reach import can_meet
from matrix.model import Cell
from matrix.planning import select
from matrix.planning.owed import CELL as PLACE
from matrix.planning.plan import Plan, make_plan
from matrix.yaml.load import HERE, choose_matrix, load_matrix

__all__ = ["HOST", "KNOWN", "HostFacts", "cell_of", "plan_of", "runs_suites", "selected_ids", "selected_plans"]

NO_HARDWARE = "SKIP_NO_HW"
WANTS_CELLS = pytest.StashKey[bool]()  # some collected test takes `cell`
MADE = pytest.StashKey[dict[str, None]]()  # ids of cells that items were made of, whatever deselected them later


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    add_options(parser)
    config = pluginmanager.get_plugin("pytestconfig")
    parser.extra_info.pop("glm-matrix", None)  # ci/elsewhere.py's: these options are known
    parser.extra_info["nearest"] = Misspelt(parser, config.invocation_params.args if config else ())


OWN_ROOMS = frozenset({"matrix", "reports", "fixtures", "suites"})  # whose modules are plugins
# Those that register themselves under a name; tests hold the list to the sources.
OWN_PLUGINS = frozenset(
    {
        "evidence-recorder",
        "interrupts",
        "unanswered-cells",
        "cell-progress",
        "evidence-worker",
        "evidence-delivery",
        "patch-removal",
    }
)
OWN_TESTS = frozenset({"suites", "tests"})  # folders that hold tests themselves


def _collect_suites(config: pytest.Config) -> None:
    """Collect the suites where pytest was started without paths in a folder of the checkout that holds no tests."""
    # In docs/ or ci/ pytest would collect that folder alone, which holds no test.
    nothing_named = config.args_source is pytest.Config.ArgsSource.INVOCATION_DIR
    here = config.invocation_params.dir
    below = here.relative_to(config.rootpath).parts if here.is_relative_to(config.rootpath) else ()
    if nothing_named and below and below[0] not in OWN_TESTS:
        config.args[:] = [str(config.rootpath / path) for path in config.getini("testpaths")]


def require_assertions() -> None:
    """Refuse `python -O` and PYTHONOPTIMIZE: Python then drops each `assert`, and a wrong answer passes. pytest warns
    of it, which is an error here unless somebody ignores warnings (`-W ignore`).

    Raises:
        pytest.UsageError: assertions are off.
    """
    if sys.flags.optimize:
        raise pytest.UsageError(
            "Python runs without assertions, so wrong answers would pass: unset PYTHONOPTIMIZE, no -O"
        )


def require_own_plugins(config: pytest.Config) -> None:
    """Refuse `-p no:NAME` of a part of this program. Without the recorder a run leaves no evidence, and the file of an
    earlier run would be judged in its place; without the others it asks, counts or delivers less, and says nothing.

    Raises:
        pytest.UsageError: one of them is turned off, on the command line or in PYTEST_ADDOPTS.
    """
    off = [str(word).removeprefix("no:") for word in config.option.plugins or () if str(word).startswith("no:")]
    if own := [name for name in off if name in OWN_PLUGINS or name.partition(".")[0] in OWN_ROOMS]:
        raise pytest.UsageError(f"-p no:{own[0]}: it is a part of this program, and no run is one without it")


def pytest_configure(config: pytest.Config) -> None:
    require_assertions()
    require_own_plugins(config)
    _collect_suites(config)
    _choose_matrix(config)
    spare_items(config)
    needless = [o for o in ENDPOINT_OPTIONS if config.getoption(o)] if not config.option.endpoint else []
    if needless:
        raise pytest.UsageError(f"{', '.join(needless)}: only with --endpoint URL, about the server there")
    try:
        matrix = load_matrix()
        # Each word of the axes is a registered mark: with --strict-markers a misspelt one is an error.
        known = select.all_marks(matrix)
        for name, what in known.items():
            config.addinivalue_line("markers", f"{name}: {what}")
        config.addinivalue_line("markers", "cell(**facts): a cell by its facts, e.g. -m \"cell(engine='sglang')\"")
        config.addinivalue_line(
            "markers",
            "for_cells(features, canary, claims): only for cells with these features or claims, or only for canaries",
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
    # Resolved now: a test may change the directory before the matrix is read again.
    choose_matrix(root.resolve())
    # pytest may run twice in one process (tests do): the next run reads its own matrix.
    config.add_cleanup(choose_matrix)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Turn a wrong option into one usage error now, instead of a collection error per module later."""
    if runs_suites(session.config):
        read_selection(session.config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let pytest make one item for each test that takes `cell`: `_make_items` copies it for the cells."""
    if PARAMETER in metafunc.fixturenames:
        # One for all cells: pytest would keep 3 kB for each of tens of thousands of items.
        metafunc.parametrize(PARAMETER, [pytest.param(ANY_CELL, id=PLACE)])


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """Put the items of the cells where pytest made the one that stands for them."""
    made = yield
    if not isinstance(made, list) or not any(map(is_template, made)):
        return made
    _require_right_marks(collector, made[0])
    lists = (_make_items(collector.config, i) if is_template(i) else [i] for i in made)
    return [item for items in lists for item in items]


def _require_right_marks(collector: pytest.Collector, like: pytest.Function) -> None:
    """Refuse a test whose marks name cells that cannot be: without items of it a run would be green.

    Raises:
        pytest.Collector.CollectError: with the file, the line and the nearest word.
    """
    marks = [m for m in like.iter_markers() if m.name in ("for_cells", "cell")]
    wrong = [*find_wrong_marks(marks, select.list_values(load_matrix()))] if marks else []
    if wrong:
        path, line, _ = like.reportinfo()
        problems = [Problem(str(path), (line or 0) + 1, like.originalname, message) for message in wrong]
        raise collector.CollectError("\n".join(map(str, problems)))


def _make_items(config: pytest.Config, like: pytest.Function) -> list[pytest.Function]:
    """Make a test's items; none where it is not asked at all, unless the command line may name it."""
    chosen, wanted, template = read_selection(config), read_wanted(config), Template(like)
    marks = list(like.iter_markers())
    cells = wanted.list_cells(chosen.cells, marks)
    elsewhere = wanted.list_cells(chosen.elsewhere, marks) if config.option.all_cells else []
    # Also where no cell is left: an empty selection is then refused, and not green.
    config.stash[WANTS_CELLS] = True
    config.stash.setdefault(MADE, {}).update((c.id, None) for c in (*cells, *elsewhere))
    counted = config.stash.setdefault(NOT_MADE, NotMade())
    if not names_tests(config) and not is_asked(config, marks):
        counted.deeper += len(cells) + len(elsewhere)
        return []
    cases = [*(_find_case(config, c) for c in cells), *(_find_case(config, c, here=False) for c in elsewhere)]
    kept = wanted.list_keyword_cases(template, cases)
    counted.by_keyword += len(cases) - len(kept)
    items: list[pytest.Function] = [template.make_item(case) for case in kept]
    # A node id must be found, or pytest says "not found" where nothing is wrong with the name.
    return items or ([like] if names_tests(config) else [])


_CASES = pytest.StashKey[dict[str, CellCase]]()


def _find_case(config: pytest.Config, cell: Cell, *, here: bool = True) -> CellCase:
    """Return what the items of a cell share, made once."""
    cases = config.stash.setdefault(_CASES, {})
    if cell.id not in cases:
        marks = _make_marks(cell)
        marks += () if here else (pytest.mark.skip(reason=_explain_no_hardware(config, cell)),)
        cases[cell.id] = CellCase(
            cell=cell,
            marks=tuple(m.mark for m in marks),
            make_plan=lambda c: _make_plan_once(config, c),
            gather_known=partial(_gather_known, config),
        )
    return cases[cell.id]


def _make_marks(cell: Cell) -> tuple[pytest.MarkDecorator, ...]:
    names = map(_make_mark, sorted(select.cell_marks(cell)))
    facts = {k: v for k, v in cell.facts.items() if k in select.CELL_KEYS}
    # One mark for each feature: pytest matches keywords of one mark together.
    features = (*sorted(cell.features),) or (None,)
    return (*names, *(pytest.mark.cell(**facts, feature=feature) for feature in features))


@cache
def _make_mark(name: str) -> pytest.MarkDecorator:
    """Make the mark once for all cells: pytest looks each one up among those that are registered."""
    mark: pytest.MarkDecorator = getattr(pytest.mark, name)
    return mark


def _explain_no_hardware(config: pytest.Config, cell: Cell) -> str:
    host = config.stash.get(HOST, None)
    need = host.explain_lack(cell) if host else cell.rig.gpu.name
    return f"{NO_HARDWARE}: needs {need}; this host: {host.description if host else 'unknown'}"


def cell_of(item: pytest.Item) -> Cell | None:
    """Return the cell of an item, or None for ordinary tests."""
    if isinstance(item, CellItem):
        return item.case.cell
    callspec = getattr(item, "callspec", None)
    cell = callspec.params.get(PARAMETER) if callspec else None
    return cell if isinstance(cell, Cell) else None


def plan_of(item: pytest.Item) -> Plan | None:
    """Return the recommended plan of an item's cell; computed once per cell."""
    if isinstance(item, CellItem):
        return item.case.plan
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
    # Without xdist an empty list of items means that nothing was selected.
    if not config.pluginmanager.hasplugin("dsession") or not runs_suites(config):
        return []
    return [_make_plan_once(config, c) for c in read_selection(config).cells if may_match(config, c)]


def selected_ids(session: pytest.Session) -> list[str]:
    """List the cells that this run selected, before `-k`, `--deselect`, `--lf` and node ids removed items."""
    made: dict[str, None] = session.config.stash.setdefault(MADE, {})
    return list(made) or [p.cell.id for p in selected_plans(session)]


def runs_suites(config: pytest.Config) -> bool:
    """Whether the arguments name the product's suites: only they are about cells."""
    # The root counts as well: `pytest .` there runs the suites.
    suites = config.rootpath / "suites"
    paths = [Path(a.partition("::")[0]).resolve() for a in config.args]
    return any(p == suites or suites in p.parents or p == config.rootpath for p in paths)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the items by launch, so that each engine is started once, and refuse a run of nothing."""
    if empty := [i for i in items if is_template(i)]:
        config.hook.pytest_deselected(items=empty)
        gone = set(empty)
        items[:] = [i for i in items if i not in gone]
    # A dict as an ordered set: launches begin in the order in which pytest collected.
    _rank_cases({item.case: None for item in items if isinstance(item, CellItem)})
    # Stable, so within a cell the tests keep the order of their files.
    items.sort(key=_sort_key)
    _refuse_to_run_nothing(config, items)


def _rank_cases(cases: Iterable[CellCase]) -> None:
    """Rank the cells by launch, launches and cells in the order of their first items."""
    launches: dict[str, int] = {}
    for number, case in enumerate(cases):
        case.rank = launches.setdefault(case.plan.fingerprint, len(launches)), number


def _sort_key(item: pytest.Item) -> tuple[int, int]:
    return (item.case.rank if isinstance(item, CellItem) else None) or (-1, -1)


def _gather_known(config: pytest.Config, made: Plan) -> KnownOfCell:
    words = made.argv(model="", host="", port="", api_key_env="")
    depth = config.getoption("depth", "")
    # Without a depth these are not the product's suites, and nothing is known of what they ask.
    entries = (k for k in select_of_cell(load_matrix(), made.cell) if not depth or can_meet(k.value, made.cell, depth))
    return KnownOfCell(entries=tuple(entries), words=(made.cell.id,), flags=tuple(words))


def _refuse_to_run_nothing(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse a run without tests, which would be green: list what was found and what each cell needs."""
    # A run of the tests of this project has no cells, and is none of our business.
    if items or not config.stash.get(WANTS_CELLS, False) or config.option.collectonly:
        return
    chosen = read_selection(config)
    here = [c for c in chosen.cells if may_match(config, c)]
    if here and (narrowed := " ".join(_list_narrowing(config))):
        what = f"{len(here)} selected cell{'s' if len(here) != 1 else ''} can run here"
        raise pytest.UsageError(f"{what}, and {narrowed} leaves no test: see what there is with --collect-only alone.")
    elsewhere = [c for c in chosen.elsewhere if may_match(config, c)]
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


def _list_narrowing(config: pytest.Config) -> Iterator[str]:
    """Yield the options of this run that leave out tests, and not cells, as they are written."""
    option = config.option
    yield from (f"{name} {text!r}" for name, text in (("-k", option.keyword), ("-m", option.markexpr)) if text)
    yield from (f"--deselect {text!r}" for text in option.deselect or ())


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave out Hypothesis' plugin where no test uses it: its summary would import all of it, for 10 MB and a third of
    a second."""
    _keep_for_good()
    plugins = session.config.pluginmanager
    if "hypothesis" not in sys.modules and (unused := plugins.get_plugin("hypothesispytest")):
        plugins.unregister(unused)


def _keep_for_good() -> None:
    """Keep what collection made out of every later search for garbage: it all lives until the process ends, and pytest
    searches it twice when it stops, for a twentieth of `--collect-only`."""
    if variables.PYTEST_CURRENT_TEST.name not in os.environ:  # a run inside a test ends before its process does
        gc.freeze()


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Tell what was not made: pytest's count of the deselected knows nothing of it."""
    counted = config.stash.get(NOT_MADE, None)
    return counted.explain(config.option.depth) if counted and config.get_verbosity() >= 0 else []


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
