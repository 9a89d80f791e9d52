"""Every combination of the axes, each Runnable or Excluded with the rule that says so. Nothing is dropped silently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from matrix.condition import compile_condition
from matrix.errors import ConfigError
from matrix.model import Cell, Checkpoint, Engine, Excluded, Release, Rig, Rule
from matrix.planning import fit
from matrix.planning.plan import make_plan
from matrix.yaml.loaded import Loaded, Matrix

Verdict = Excluded | None  # None: runnable
SPARSE_BACKENDS = frozenset({"nsa", "dsa"})  # values of SGLang's --attention-backend that are no dense exit
FEATURE_KEYS = frozenset({"features", "without", "any_feature", "feature_count"})


@dataclass(frozen=True, kw_only=True)
class World:
    """The closed world: `runnable` cells in a stable order, and every other cell with its reason."""

    runnable: tuple[Cell, ...]
    excluded: Mapping[Cell, Excluded]

    def __len__(self) -> int:
        return len(self.runnable) + len(self.excluded)


@cache
def expand_matrix(matrix: Matrix) -> World:
    """Judge every combination of rig, release, checkpoint and feature set."""
    runnable: list[Cell] = []
    excluded: dict[Cell, Excluded] = {}
    for base, variants in _iterate_combinations(matrix):
        shared = next(reasons_without_features(matrix, base), None)
        for cell in variants:
            why = shared or next(reasons_of_features(matrix, cell), None)
            if why is None:
                runnable.append(cell)
            else:
                excluded[cell] = why
    return World(runnable=tuple(runnable), excluded=excluded)


def list_exclusions(matrix: Matrix, cell: Cell) -> list[Excluded]:
    """Every reason that excludes the cell, not only the first; empty for a runnable one."""
    return [*reasons_without_features(matrix, cell), *reasons_of_features(matrix, cell)]


def list_published_exclusions(matrix: Matrix, cell: Cell) -> list[Excluded]:
    """Reasons that hold for the published form of a launch and not for ours."""
    facts = cell.facts
    only = (r for r in matrix.rules if r.condition(facts, "published") and not r.condition(facts))
    return [_exclude_by_rule(rule) for rule in only]


def _iterate_combinations(matrix: Matrix) -> Iterator[tuple[Cell, list[Cell]]]:
    """Yield each base cell without features, with every set of its applicable features (itself first)."""
    asked = {name: compile_condition(f.when, matrix.pins) for name, f in sorted(matrix.features.items())}
    for rig in matrix.rigs.values():
        for release in matrix.releases.values():
            engine: Engine = matrix.engines[release.engine]
            for checkpoint in matrix.checkpoints.values():
                base = _make_cell(rig, engine, release, checkpoint, frozenset())
                names = tuple(name for name, condition in asked.items() if condition(base.facts))
                yield base, [base, *(_make_cell(rig, engine, release, checkpoint, s) for s in _list_subsets(names))]


def _make_cell(rig: Rig, engine: Engine, release: Release, checkpoint: Checkpoint, features: frozenset[str]) -> Cell:
    return Cell(rig=rig, engine=engine, release=release, checkpoint=checkpoint, features=features)


@cache
def _list_subsets(names: tuple[str, ...]) -> tuple[frozenset[str], ...]:
    """Every set of one feature or more."""
    return tuple(frozenset(c) for n in range(1, len(names) + 1) for c in combinations(names, n))


def reasons_without_features(matrix: Matrix, cell: Cell) -> Iterator[Excluded]:
    """Reasons that hold whatever the features: rules of the YAML first, they say more than a computed one."""
    yield from _apply_rules(matrix, cell, of_features=False)
    yield from (
        reason
        for check in (_check_format, _check_architecture, _check_tensor_parallel, _check_memory)
        if (reason := check(cell))
    )
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
    if "mtp" in cell.features and cell.checkpoint.mtp_layer is False:
        reason = f"{cell.checkpoint.id} has no MTP layer to draft with"
        yield _exclude("mtp_layer", "INVALID_COMBO", reason, cell.checkpoint.source)


def _apply_rules(matrix: Matrix, cell: Cell, *, of_features: bool) -> Iterator[Excluded]:
    facts = cell.facts
    for rule in _split_rules(matrix)[of_features]:
        if rule.condition(facts):
            yield _exclude_by_rule(rule)


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
def _split_rules(matrix: Matrix) -> tuple[tuple[Loaded[Rule], ...], tuple[Loaded[Rule], ...]]:
    plain = tuple(r for r in matrix.rules if not r.condition.keys & FEATURE_KEYS)
    return plain, tuple(r for r in matrix.rules if r.condition.keys & FEATURE_KEYS)


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


def _check_architecture(cell: Cell) -> Excluded | None:
    known, wanted = cell.release.architectures, cell.checkpoint.architecture
    if cell.release.remaps.get(wanted, wanted) in known:  # a recipe may rename it in config.json
        return None
    reason = f"{cell.release.id} registers {', '.join(known) or 'nothing'}, not {cell.checkpoint.architecture}"
    return _exclude("architecture_registered", "INVALID_ENGINE", reason, cell.release.source)


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


def _sparse_kernels(matrix: Matrix, cell: Cell) -> Excluded | None:
    """Sparse attention on a GPU that this release has no kernels for; a launch that is dense does not ask for them."""
    able = cell.release.dsa_sms
    if not able or not cell.rig.sm or cell.rig.sm in able or _is_dense(matrix, cell):
        return None
    shown = " and ".join(f"sm{sm}" for sm in able if sm)
    reason = (
        f"{cell.release.id} has kernels for GLM-5's sparse attention (DSA) on {shown or 'no GPU'}, not on "
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
