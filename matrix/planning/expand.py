"""Every combination of the axes, each Runnable or Excluded with the rule that says so. Nothing is dropped silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations

from matrix.condition import Condition, compile_condition
from matrix.errors import ConfigError
from matrix.model import Cell, Checkpoint, Engine, Excluded, Form, Release, Rig, Rule
from matrix.planning import fit
from matrix.planning.plan import make_plan
from matrix.registered import Registered, registered_by
from matrix.yaml.loaded import Loaded, Matrix

Verdict = Excluded | None  # None: runnable
SPARSE_BACKENDS = frozenset({"nsa", "dsa"})  # values of SGLang's --attention-backend that are no dense exit
FEATURE_KEYS = frozenset({"features", "without", "any_feature", "feature_count"})
OFFERED_KEYS = frozenset(
    {
        "engine",
        "release",
        "fork",
        "version",
        "pins",
        "checkpoint",
        "family",
        "format",
        "experts",
        "mtp_layer",
        "thinking",
    }
    | {"index_sharing", "canary"}
)  # known of a release and a checkpoint alone, whatever the rig


Names = tuple[str, ...]  # of features, sorted


class Exclusions(Mapping[Cell, Excluded]):
    """Excluded cells with their first reason, in a stable order; made when they are asked for.

    Most combinations are impossible whatever is asked of them. Such a base has one entry here, for all its sets of
    features, so that a matrix of ten times the size costs neither the time nor the memory of its impossible cells.
    """

    def __init__(self) -> None:
        self._bases: dict[Cell, tuple[Excluded, Names]] = {}  # base cell -> why none of its variants can run
        self._cells: dict[Cell, Excluded] = {}
        self._order: list[Cell] = []  # of both kinds

    def add_base(self, base: Cell, why: Excluded, names: Names) -> None:
        """Exclude a base cell and every set of the features `names` with it."""
        self._bases[base] = (why, names)
        self._order.append(base)

    def add_cell(self, cell: Cell, why: Excluded) -> None:
        self._cells[cell] = why
        self._order.append(cell)

    def __len__(self) -> int:
        return len(self._cells) + sum(1 << len(names) for _, names in self._bases.values())

    def __iter__(self) -> Iterator[Cell]:
        for cell in self._order:
            yield cell
            if cell in self._bases:
                yield from _vary(cell, self._bases[cell][1])

    def __getitem__(self, cell: Cell) -> Excluded:
        if cell in self._cells:
            return self._cells[cell]
        why, names = self._bases[replace(cell, features=frozenset())]
        if not cell.features <= frozenset(names):
            raise KeyError(cell)
        return why

    def grouped(self) -> Iterator[tuple[Excluded, int]]:
        """Yield each exclusion with the number of cells that it holds for, without making them."""
        yield from ((why, 1 << len(names)) for why, names in self._bases.values())
        yield from ((why, 1) for why in self._cells.values())


@dataclass(frozen=True, kw_only=True)
class World:
    """The closed world: `runnable` cells in a stable order, and every other cell with its reason."""

    runnable: tuple[Cell, ...]
    excluded: Exclusions

    def __len__(self) -> int:
        return len(self.runnable) + len(self.excluded)


@cache
def expand_matrix(matrix: Matrix) -> World:
    """Judge every combination of rig, release, checkpoint and feature set."""
    runnable: list[Cell] = []
    excluded = Exclusions()
    for base, names in _iterate_bases(matrix):
        if shared := next(reasons_without_features(matrix, base), None):
            excluded.add_base(base, shared, names)
            continue
        for cell in (base, *_vary(base, names)):
            why = next(reasons_of_features(matrix, cell), None)
            if why is None:
                runnable.append(cell)
            else:
                excluded.add_cell(cell, why)
    return World(runnable=tuple(runnable), excluded=excluded)


def count_by_rule(excluded: Mapping[Cell, Excluded]) -> Counter[str]:
    """Count excluded cells by the rule that says so first."""
    if not isinstance(excluded, Exclusions):
        return Counter(why.rule for why in excluded.values())
    found: Counter[str] = Counter()
    for why, count in excluded.grouped():
        found[why.rule] += count
    return found


def find_cell(matrix: Matrix, cell_id: str) -> Cell | None:
    """Find the cell of that id, runnable or not, without making the others; None where no combination has it."""
    rig, release, checkpoint, features = (*cell_id.split("."), "", "", "", "")[:4]
    if rig not in matrix.rigs or release not in matrix.releases or checkpoint not in matrix.checkpoints:
        return None
    engine = matrix.engines[matrix.releases[release].engine]
    base = _make_cell(matrix.rigs[rig], engine, matrix.releases[release], matrix.checkpoints[checkpoint], frozenset())
    cells = (base, *_vary(base, _applicable(matrix, base)))
    return next((c for c in cells if c.id == cell_id and features), None)


def list_exclusions(matrix: Matrix, cell: Cell) -> list[Excluded]:
    """Every reason that excludes the cell, not only the first; empty for a runnable one."""
    return [*reasons_without_features(matrix, cell), *reasons_of_features(matrix, cell)]


def list_published_exclusions(matrix: Matrix, cell: Cell) -> list[Excluded]:
    """Reasons that hold for the published form of a launch and not for ours."""
    facts = cell.facts
    only = (r for r in matrix.rules if r.condition(facts, "published") and not r.condition(facts))
    ours, theirs = _check_plan_memory(matrix, cell), _check_plan_memory(matrix, cell, "published")
    return [*(_exclude_by_rule(rule) for rule in only), *([theirs] if theirs and not ours else [])]


def _iterate_bases(matrix: Matrix) -> Iterator[tuple[Cell, Names]]:
    """Yield each combination without features, with the names of those that are a question for it."""
    for rig in matrix.rigs.values():
        for release in matrix.releases.values():
            engine: Engine = matrix.engines[release.engine]
            for checkpoint in matrix.checkpoints.values():
                base = _make_cell(rig, engine, release, checkpoint, frozenset())
                yield base, _applicable(matrix, base)


def _applicable(matrix: Matrix, base: Cell) -> Names:
    return tuple(name for name, condition in _compile_questions(matrix) if condition(base.facts))


@cache
def _compile_questions(matrix: Matrix) -> tuple[tuple[str, Condition], ...]:
    return tuple((name, compile_condition(f.when, matrix.pins)) for name, f in sorted(matrix.features.items()))


def _vary(base: Cell, names: Names) -> Iterator[Cell]:
    """Yield the base cell with every set of one feature or more."""
    return (_make_cell(base.rig, base.engine, base.release, base.checkpoint, s) for s in _list_subsets(names))


def _make_cell(rig: Rig, engine: Engine, release: Release, checkpoint: Checkpoint, features: frozenset[str]) -> Cell:
    return Cell(rig=rig, engine=engine, release=release, checkpoint=checkpoint, features=features)


@cache
def _list_subsets(names: tuple[str, ...]) -> tuple[frozenset[str], ...]:
    """Every set of one feature or more."""
    return tuple(frozenset(c) for n in range(1, len(names) + 1) for c in combinations(names, n))


def reasons_without_features(matrix: Matrix, cell: Cell) -> Iterator[Excluded]:
    """Reasons that hold whatever the features: rules of the YAML first, they say more than a computed one."""
    yield from _apply_rules(matrix, cell, of_features=False)
    yield from (reason for check in (_check_format, _check_tensor_parallel, _check_memory) if (reason := check(cell)))
    yield from (reason for check in (_check_architecture, _check_parsers) if (reason := check(matrix, cell)))
    if reason := _sparse_kernels(matrix, cell):
        yield reason


def reasons_of_features(matrix: Matrix, cell: Cell) -> Iterator[Excluded]:
    """Reasons that depend on what the cell asks for."""
    yield from _apply_rules(matrix, cell, of_features=True)
    for feature in sorted(cell.features):
        if not cell.release.features.get(feature, False):
            yield _exclude(
                "feature_in_release",
                "INVALID_ENGINE",
                f"{cell.release.id} does not implement {feature}",
                cell.release.source,
            )
    if "indexcache" in cell.features and (reason := _nothing_to_share(cell.checkpoint)):
        yield _exclude("nothing_to_share", "INVALID_COMBO", reason, cell.checkpoint.source)
    if "mtp" in cell.features and cell.checkpoint.mtp_layer is False:
        reason = f"{cell.checkpoint.id} has no MTP layer to draft with"
        yield _exclude("mtp_layer", "INVALID_COMBO", reason, cell.checkpoint.source)
    if reason_of_size := _check_plan_memory(matrix, cell):
        yield reason_of_size


def _nothing_to_share(checkpoint: Checkpoint) -> str:
    """Why IndexCache cannot be asked for; empty where it can."""
    match checkpoint.index_sharing:
        case "checkpoint":
            return (
                f"nothing to ask for: {checkpoint.own_indexers} of the {checkpoint.layers} layers of {checkpoint.id}"
                " have an indexer, and the others share by its own config.json; that is a property of the baseline"
            )
        case "none":
            return f"no source shows layers of {checkpoint.id} that could share a selection"
        case _:
            return (
                ""
                if checkpoint.index_topk_pattern
                else f"no pattern of sharing layers is published for {checkpoint.id}"
            )


def _apply_rules(matrix: Matrix, cell: Cell, *, of_features: bool) -> Iterator[Excluded]:
    facts = cell.facts
    for rule in _possible_rules(matrix, cell.release.id, cell.checkpoint.id)[of_features]:
        if rule.condition(facts):
            yield _exclude_by_rule(rule)


@cache
def _exclude_by_rule(rule: Loaded[Rule]) -> Excluded:
    value = rule.value
    return Excluded(
        rule=value.id,
        status=value.status,
        reason=value.reason,
        source=value.source.cite(),
        where=rule.where(),
        because=value.because,
    )


@cache
def _possible_rules(
    matrix: Matrix, release: str, checkpoint: str
) -> tuple[tuple[Loaded[Rule], ...], tuple[Loaded[Rule], ...]]:
    """Rules that can hold on some rig, in two parts: those that ask for no feature, and those that do."""
    about, weights = matrix.releases[release], matrix.checkpoints[checkpoint]
    anywhere = Rig(id="", gpu=next(iter(matrix.gpus.values())), gpus=0)
    facts = _make_cell(anywhere, matrix.engines[about.engine], about, weights, frozenset()).facts
    rules = [r for r in matrix.rules if r.condition.holds_so_far(facts, OFFERED_KEYS)]
    plain = tuple(r for r in rules if not r.condition.keys & FEATURE_KEYS)
    return plain, tuple(r for r in rules if r.condition.keys & FEATURE_KEYS)


def _check_format(cell: Cell) -> Excluded | None:
    sms = cell.release.formats.get(cell.checkpoint.format)
    if sms is None:
        reason = f"{cell.release.id} cannot load {cell.checkpoint.format} weights"
        return _exclude("format_in_release", "INVALID_ENGINE", reason, cell.release.source)
    if cell.rig.sm not in sms:
        able = ", ".join(f"sm{n}" if n else "cpu" for n in sms)
        here = f"sm{cell.rig.sm}" if cell.rig.sm else "the CPU"
        reason = f"{cell.release.id} loads {cell.checkpoint.format} weights on {able}, not on {here}"
        return _exclude("format_on_sm", "INVALID_HW", reason, cell.release.source)
    return None


def _check_architecture(matrix: Matrix, cell: Cell) -> Excluded | None:
    """Whether the release registers the class: by its snapshot; where that says nothing, by the axis's own list."""
    read = _read_registered(matrix, cell.release)
    known = read.architectures if read else frozenset(cell.release.architectures)
    wanted = cell.checkpoint.architecture
    if cell.release.remaps.get(wanted, wanted) in known:  # a recipe may rename it in config.json
        return None
    reason = f"{cell.release.id} registers {', '.join(sorted(known)) or 'nothing'}, not {wanted}"
    source = f"snapshots/{cell.release.id}.json (registered)" if read else cell.release.source
    return _exclude("architecture_registered", "INVALID_ENGINE", reason, source)


def _read_registered(matrix: Matrix, release: Release) -> Registered | None:
    return registered_by(release.id, matrix.root / "snapshots")


def _check_parsers(matrix: Matrix, cell: Cell) -> Excluded | None:
    """Whether the release has the parsers of the checkpoint's family; without one, thinking and calls are text."""
    wanted = cell.checkpoint.parsers.get(cell.engine.id, {})
    read = _read_registered(matrix, cell.release)
    lacking = [
        f"{kind} parser {name}"
        for kind, name in wanted.items()
        if read and kind in read.parsers and name not in read.parsers[kind]
    ]
    if not lacking:
        return None
    reason = f"{cell.release.id} registers no {' and no '.join(lacking)}, which {cell.checkpoint.family} needs"
    return _exclude("parser_in_release", "INVALID_ENGINE", reason, f"snapshots/{cell.release.id}.json (parsers)")


def _check_tensor_parallel(cell: Cell) -> Excluded | None:
    if cell.rig.gpus == 0 or cell.checkpoint.heads % cell.rig.gpus == 0:
        return None
    reason = f"tensor parallel size {cell.rig.gpus} does not divide {cell.checkpoint.heads} heads"
    return _exclude("tensor_parallel_divides_heads", "INVALID_HW", reason, cell.checkpoint.source)


def _check_memory(cell: Cell) -> Excluded | None:
    found = fit.estimate_fit(cell.checkpoint, cell.rig)
    if found is None or found.ok:
        return None
    return _exclude("does_not_fit", "INVALID_HW", found.explain(), cell.checkpoint.source)


def _check_plan_memory(matrix: Matrix, cell: Cell, form: Form = "recommended") -> Excluded | None:
    """The launch itself: its window, KV layout, draft and share of the GPU, where that is not certain without it."""
    if fit.surely_fits(cell.checkpoint, cell.rig):
        return None
    try:
        found = fit.fit_of_plan(make_plan(matrix, cell, form))
    except ConfigError:  # lint tells it
        return None
    if found is None or found.ok:
        return None
    return _exclude("does_not_fit", "INVALID_HW", found.explain(), cell.checkpoint.source)


def _sparse_kernels(matrix: Matrix, cell: Cell) -> Excluded | None:
    """Sparse attention on a GPU that this release has no kernels for; a launch that is dense does not ask for them."""
    able = cell.release.dsa_sms
    if not able or not cell.rig.sm or cell.rig.sm in able or _is_dense(matrix, cell):
        return None
    shown = " and ".join(f"sm{sm}" for sm in able if sm)
    reason = (
        f"{cell.release.id} has kernels for sparse attention (DSA) on {shown or 'no GPU'}, not on "
        f"sm{cell.rig.sm} (dsa_sms); a launch that takes the model out of it, by patch or by a dense backend, would run"
    )
    return _exclude("sparse_kernels_on_sm", "INVALID_ENGINE", reason, cell.release.source)


def _is_dense(matrix: Matrix, cell: Cell) -> bool:
    """Whether the recipes launch this cell without sparse attention."""
    try:
        made = make_plan(matrix, cell)
    except ConfigError:  # lint tells it; a plan that cannot be made is no dense one
        return False
    backend = made.values("args").get("--attention-backend")
    named = cell.engine.dialect == "sglang" and backend is not None and backend not in SPARSE_BACKENDS
    return named or str(made.settings.get("kv_layout", "")).startswith("dense")


def _exclude(rule: str, status: str, reason: str, source: str) -> Excluded:
    return Excluded(rule=rule, status=status, reason=reason, source=source, where="matrix/planning/expand.py")  # type: ignore[arg-type]
