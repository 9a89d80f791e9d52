"""Gives every suite its fixtures beyond the engine: the checkpoint's question bank, the depth and the baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from fixtures.banks import bank_for
from fixtures.banks.bank import Bank
from fixtures.client.tape import Tape
from fixtures.session.company import keep_bases
from fixtures.session.plugin import FOUND
from fixtures.session.tape_plugin import REPLAY
from matrix.collection.items import CellItem
from matrix.collection.plugin import cell_of, selected_plans
from matrix.collection.wanted import ASKED, names_tests
from matrix.durations import DAY_S, parse_duration
from matrix.errors import ConfigError
from matrix.model import Cell
from matrix.planning.beside import sees_what_changes
from matrix.planning.plan import Plan
from matrix.planning.token_budgets import parse_token_budget, read_token_budgets
from matrix.yaml.load import load_matrix
from reports.compare.baselines import Baseline, digest_files, read_baseline
from reports.evidence.plugin import declare_run
from suites.asking.as_many import AsMany
from suites.asking.depth import DEPTHS, Depth, choose_depth
from suites.measure.held_baseline import fit_earlier, require_fitting, require_release
from suites.measure.kept_baseline import KeptBaseline
from suites.measure.rendering import Rendered, find_token_counter

SIGNATURE = "signature"
MARKS = {
    "boot": "the engine answers at all",
    "coherence": "what it says makes sense",
    "needle": "long contexts are really read",
    "tool_use": "tool calls are made, copied and streamed right",
    "thinking": "thoughts are filed as thoughts, and answers and calls follow them",
    "clients": "schemas, values, many tools and agent loops as clients send them",
    "fields": "stop strings, biases, choices, seeds and left streams are obeyed",
    "instructions": "replies have the length and the form that was asked for",
    "surfaces": "completions, responses and messages answer as the chat does",
    "structured": "output has the form that a request demands",
    "throughput": "tokens per second and latencies",
    "proof": "a requested feature is really active",
}


FEWEST_BOOTS = 2  # that can be held together


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("matrix")
    group.addoption(
        "--depth", choices=sorted(DEPTHS), default="quick", help="how many items and lengths each suite asks"
    )
    group.addoption(
        "--soak",
        default="",
        metavar="DURATION",
        help="ask each cell the same for so long, e.g. 10m, and look for drift (suites/test_soak.py); at most 24h",
    )
    group.addoption(
        "--token-budget",
        default="",
        metavar="TOKENS",
        help="what a sequential test (needles, fresh boots) may spend on a cell, prompts and replies together; spent"
        " before its answers decide, the test is NOT_EVIDENCE. Default: by depth, matrix/token_budgets.yaml",
    )
    group.addoption(
        "--baseline",
        action="append",
        default=[],
        metavar="FILE",
        help="evidence of earlier launches of the same cells, or a folder of such files; with 5 or more launches, a"
        " slowdown fails. Launches of other cells, plans or hardware are refused",
    )
    group.addoption(
        "--baseline-release",
        default="",
        metavar="RELEASE",
        help="hold speed against the launches of this earlier release in --baseline, of the same rig, checkpoint and"
        " features, e.g. sglang_0_5_17: with 5 launches by their scatter, with fewer by a factor of 2 (TTFT 5)",
    )


def pytest_configure(config: pytest.Config) -> None:
    for name, what in MARKS.items():
        config.addinivalue_line("markers", f"{name}: {what}")
    _read_soak(config.option.soak)
    _state_token_budget(config)
    config.stash[ASKED] = lambda marks: asks_test(config, marks)
    config.addinivalue_line("markers", "soak: asked only where --soak DURATION says for how long")
    config.addinivalue_line("markers", "boots: asked only where --boots N launches a cell more than once")
    config.addinivalue_line("markers", "from_depth(name): asked at this --depth and deeper ones only")
    config.addinivalue_line("markers", f"{SIGNATURE}: asks the frozen prompts of test_boot, so it follows that")


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that were made because the command line names them, and that this run does not ask, and those
    that a cell beside its base does not owe."""
    # Of cells' own items the collection made only what is asked, unless the command line named tests.
    unasked = [i for i in items if not isinstance(i, CellItem) or names_tests(config)]
    unasked = [i for i in unasked if not asks_test(config, i.iter_markers())]
    if bases := keep_bases(session):
        unasked = [*dict.fromkeys((*unasked, *(i for i in items if not _is_owed_beside(i, bases))))]
    if unasked:
        config.hook.pytest_deselected(items=unasked)
        # A set: a list would be searched once for each of some 50,000 items.
        gone = set(unasked)
        items[:] = [item for item in items if item not in gone]
    # Stable; the items of a cell are gathered later. Whoever asks the same prompts does so while the engine keeps them.
    items.sort(key=_asks_otherwise)


def _asks_otherwise(item: pytest.Item) -> bool:
    return item.get_closest_marker("boot") is None and item.get_closest_marker(SIGNATURE) is None


def asks_test(config: pytest.Config, marks: Iterable[pytest.Mark]) -> bool:
    """Whether this depth, `--boots` and `--soak` ask a test with these marks: one without a question proves nothing."""
    known = list(marks)
    names = {m.name for m in known}
    if ("boots" in names and int(config.option.boots) < FEWEST_BOOTS) or ("soak" in names and not config.option.soak):
        return False
    chosen = list(DEPTHS).index(config.option.depth)
    return all(list(DEPTHS).index(m.args[0]) <= chosen for m in known if m.name == "from_depth")


def _is_owed_beside(item: pytest.Item, bases: Mapping[Cell, Cell]) -> bool:
    """Tell whether the test is owed although its cell may stand beside a base."""
    cell = cell_of(item)
    if cell is None or cell not in bases:
        return True
    asks_features = any(mark.kwargs.get("features") for mark in item.iter_markers("for_cells"))
    return sees_what_changes(cell, getattr(item, "originalname", item.name), asks_features=asks_features)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Refuse an unfit baseline before an engine is loaded, and record which files were used."""
    config = session.config
    paths = [Path(name) for name in config.option.baseline]
    release = config.option.baseline_release
    # Once, by the controller: each worker would read and refuse the same files.
    if hasattr(config, "workerinput") or not (paths or release) or config.option.collectonly:
        return
    try:
        plans, host = selected_plans(session), session.config.stash[FOUND].facts()
        if release:
            require_release(paths, plans, host, release, load_matrix().releases)
        else:
            require_fitting(paths, plans, host)
        declare_run(config, cells=[], baselines=digest_files(paths))
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from None


def _read_soak(text: str) -> float:
    """Return the seconds of `--soak`; 0 where it is not given."""
    try:
        return parse_duration(text, most_s=DAY_S) if text else 0.0
    except ValueError as error:
        raise pytest.UsageError(f"--soak: {error}") from None


def _state_token_budget(config: pytest.Config) -> None:
    """Put the depth's budget in the option where the command line says none: the tapes keep it, so that a run is judged
    again by its own. One that is replayed from before there were budgets has none."""
    option = config.option
    try:
        if option.token_budget:
            parse_token_budget(option.token_budget)
        elif REPLAY not in config.stash:
            option.token_budget = str(read_token_budgets()[option.depth])
    except ValueError as error:
        raise pytest.UsageError(f"--token-budget: {error}") from None


@pytest.fixture(scope="session")
def token_budget(request: pytest.FixtureRequest) -> int | None:
    """Return how many tokens a sequential test may spend; None in a replay of a run that stated none."""
    stated = request.config.option.token_budget
    return parse_token_budget(stated) if stated else None


@pytest.fixture(scope="session")
def soak_s(request: pytest.FixtureRequest) -> float:
    """Return for how long `--soak` asks, in seconds."""
    return _read_soak(request.config.option.soak)


@pytest.fixture
def depth(cell: Cell, request: pytest.FixtureRequest) -> Depth:
    """Return how much is asked of the test's cell; at `first` it depends on whether the cell stands beside its base."""
    has_base, on_gpu = cell in keep_bases(request.session), bool(cell.rig.gpus)
    return choose_depth(request.config.option.depth, has_base=has_base, on_gpu=on_gpu)


@pytest.fixture
def bank(cell: Cell) -> Bank:
    """Return the first bank of the checkpoint's YAML; the canary understands only its own."""
    return AsMany(bank_for(cell.checkpoint))


@pytest.fixture
def client_bank(cell: Cell) -> Bank:
    """Return the last bank of the checkpoint's YAML: clients ask for more than the canary can copy."""
    return AsMany(bank_for(cell.checkpoint, last=True))


@pytest.fixture
def rendered(cell: Cell, tape: Tape) -> Rendered | None:
    """Return the token counter of the checkpoint's own template; None where its tokenizer is not on this machine."""
    return find_token_counter(cell.checkpoint, tape)


@pytest.fixture(scope="session")
def earlier(request: pytest.FixtureRequest) -> Baseline:
    """Return the measurements of earlier launches, from `--baseline FILE...`."""
    return read_baseline([Path(name) for name in request.config.option.baseline])


@pytest.fixture
def baseline(earlier: Baseline, plan: Plan, tape: Tape, request: pytest.FixtureRequest) -> KeptBaseline:
    """Return the measurements of this cell's plan, or of the same cell of `--baseline-release`, on this hardware; the
    tape keeps what a test reads of them."""
    name = request.config.option.baseline_release
    release = load_matrix().releases[name] if name else None
    fit = fit_earlier(earlier, plan, request.config.stash[FOUND].facts(), release)
    return KeptBaseline(fit.baseline.values, tape=tape, release=name)
