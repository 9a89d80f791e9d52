"""Every combination of the axes, each Runnable or Excluded with the rule that says so. Nothing is dropped silently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, Protocol

from matrix.condition import OFFERED_KEYS, RELEASE_KEYS
from matrix.errors import ConfigError
from matrix.fat_binaries import list_silent
from matrix.hardware import Rig
from matrix.model import Cell, Checkpoint, Engine, Excluded, Form, Rule
from matrix.planning import fit
from matrix.planning.drafts import find_wrong_drafts
from matrix.planning.exclusions import Exclusions, make_cell, vary_features
from matrix.planning.feature_sets import list_sets
from matrix.planning.plan import make_plan, offer_facts
from matrix.planning.ranks import find_wrong_ranks
from matrix.registered import Registered, registered_by
from matrix.yaml.loaded import Loaded, Matrix

Verdict = Excluded | None  # None: runnable
SPARSE_BACKENDS = frozenset({"nsa", "dsa"})  # values of SGLang's --attention-backend that are no dense exit
FEATURE_KEYS = frozenset({"features", "any_of", "without", "any_feature", "feature_count"})
ATTACH_ONLY: Final = "attach_only"  # the rule of cells that can be attached to and not started


class Narrowing(Protocol):
    """What a selection leaves out early: of `-m` (`matrix.planning.narrowing`) or of ids (`matrix.planning.by_id`)."""

    def keeps_rig(self, rig: Rig) -> bool:
        """Whether some cell of the rig may be wanted."""

    def keeps_base(self, base: Cell) -> bool:
        """Whether the cell may be wanted with some set of features."""

    def keeps_cell(self, cell: Cell) -> bool:
        """Whether the cell may be wanted."""


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
    excluded = Exclusions()
    runnable = tuple(_judge_bases(matrix, _iterate_bases(matrix), excluded))
    return World(runnable=runnable, excluded=excluded)


def expand_narrowly(matrix: Matrix, narrowing: Narrowing) -> World:
    """Judge the combinations that a selection may want; of a base that it wants, all of them."""
    excluded = Exclusions()
    runnable = tuple(_judge_bases(matrix, _iterate_bases(matrix, narrowing), excluded))
    return World(runnable=runnable, excluded=excluded)


def list_runnable(matrix: Matrix, narrowing: Narrowing) -> tuple[Cell, ...]:
    """List the runnable cells that a selection may want, in the order of `expand_matrix`; plan no others."""
    cells = _judge_bases(matrix, _iterate_bases(matrix, narrowing))
    return tuple(c for c in cells if narrowing.keeps_cell(c))


def _judge_bases(matrix: Matrix, bases: Iterable[Cell], excluded: Exclusions | None = None) -> Iterator[Cell]:
    """Yield the runnable cells of the bases, and put the others into `excluded`, where somebody wants them."""
    for base in bases:
        # One look at the base settles all its sets of features, and most combinations end here.
        if shared := next(reasons_without_features(matrix, base), None):
            if excluded is not None:
                excluded.add_base(base, shared, list_sets(matrix, base))
            continue
        for cell in (base, *vary_features(base, list_sets(matrix, base))):
            why = next(reasons_of_features(matrix, cell), None)
            if why is None:
                yield cell
            elif excluded is not None:
                excluded.add_cell(cell, why)


def list_attachable(matrix: Matrix) -> Iterator[Cell]:
    """Yield the cells that only a running server elsewhere can answer: nothing but the launch stands against them."""
    for cell in expand_matrix(matrix).excluded.iterate_cells_of(ATTACH_ONLY):
        if len(list_exclusions(matrix, cell)) == 1:
            yield cell


def find_cell(matrix: Matrix, cell_id: str) -> Cell | None:
    """Find the cell of that id, runnable or not, without making the others; None where no combination has it."""
    rig, release, checkpoint, features = (*cell_id.split("."), "", "", "", "")[:4]
    # The id is split only to find candidates; what decides is that a made cell has it.
    if rig not in matrix.rigs or release not in matrix.releases or checkpoint not in matrix.checkpoints:
        return None
    engine = matrix.engines[matrix.releases[release].engine]
    base = make_cell(matrix.rigs[rig], engine, matrix.releases[release], matrix.checkpoints[checkpoint], frozenset())
    cells = (base, *vary_features(base, list_sets(matrix, base, by_default=False)))
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


def _iterate_bases(matrix: Matrix, narrowing: Narrowing | None = None) -> Iterator[Cell]:
    """Yield each combination without features that may be wanted."""
    for rig in matrix.rigs.values():
        if narrowing and not narrowing.keeps_rig(rig):
            continue
        for release in matrix.releases.values():
            engine: Engine = matrix.engines[release.engine]
            for checkpoint in matrix.checkpoints.values():
                base = make_cell(rig, engine, release, checkpoint, frozenset())
                if narrowing is None or narrowing.keeps_base(base):
                    yield base


def reasons_without_features(matrix: Matrix, cell: Cell) -> Iterator[Excluded]:
    """Reasons that hold whatever the features: rules of the YAML first, they say more than a computed one."""
    yield from _apply_rules(matrix, cell, of_features=False)
    yield from (reason for check in (_check_format, _check_machine_code) if (reason := check(matrix, cell)))
    yield from (reason for check in (_check_tensor_parallel, _check_memory) if (reason := check(cell)))
    yield from (reason for check in (_check_architecture, _check_parsers) if (reason := check(matrix, cell)))
    if reason := _sparse_kernels(matrix, cell):
        yield reason
    if why := cell.rig.attach_only:
        how = "Start it yourself and attach: pytest --endpoint URL --cells ID"
        yield _exclude(ATTACH_ONLY, "INVALID_HW", f"nothing is started here: {why}. {how}", cell.rig.gpu.source)


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
    for find in (find_wrong_drafts, find_wrong_ranks):
        yield from (_exclude(*wrong) for wrong in find(matrix, cell))
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
    for rule in _possible_rules(matrix.origin, cell.release.id, cell.checkpoint.id)[of_features]:
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
    facts = offer_facts(matrix, release, checkpoint)
    rules = [r for r in _list_rules_of_release(matrix, release) if r.condition.holds_so_far(facts, OFFERED_KEYS)]
    plain = tuple(r for r in rules if not r.condition.keys & FEATURE_KEYS)
    return plain, tuple(r for r in rules if r.condition.keys & FEATURE_KEYS)


@cache
def _list_rules_of_release(matrix: Matrix, release: str) -> tuple[Loaded[Rule], ...]:
    """List the rules that can hold for some checkpoint."""
    facts = matrix.releases[release].offered
    return tuple(r for r in matrix.rules if r.condition.holds_so_far(facts, RELEASE_KEYS))


def _check_format(matrix: Matrix, cell: Cell) -> Excluded | None:
    sms = cell.release.formats.get(cell.checkpoint.format)
    if cell.rig.gpu.runtime != "cuda":
        return None  # what a build for another runtime loads, nobody read
    if sms is None:
        reason = f"{cell.release.id} cannot load {cell.checkpoint.format} weights"
        return _exclude("format_in_release", "INVALID_ENGINE", reason, cell.release.source)
    if _covers(matrix, cell, sms):
        return None
    able = ", ".join(f"sm{n}" if n else "cpu" for n in sms)
    here = cell.rig.gpu.target if cell.rig.sm else "the CPU"
    reason = f"{cell.release.id} loads {cell.checkpoint.format} weights on {able}, not on {here}"
    return _exclude("format_on_sm", "INVALID_HW", reason, cell.release.source)


def _covers(matrix: Matrix, cell: Cell, sms: Iterable[int]) -> bool:
    """Whether a list of capabilities speaks of the rig's: by name, or its family's first where wheels decide the rest.

    SM103 is of SM100's family and SM121 of SM120's: code paths are theirs, machine code is not (`_check_machine_code`).
    """
    sm = cell.rig.sm
    return sm in sms or (sm // 10 * 10 in sms and _read_registered(matrix, cell.release.id) is not None)


def _check_machine_code(matrix: Matrix, cell: Cell) -> Excluded | None:
    """Exclude a GPU for which a library that everything needs has no code, by the fat binaries of its wheels."""
    gpu = cell.rig.gpu
    if not gpu.sm or gpu.runtime != "cuda":
        return None
    if not (first := _find_silent(matrix, cell.release.id, gpu.sm, gpu.host)):
        return None
    reason = f"{cell.release.id} has no machine code for {gpu.target}: {first}, nothing that it can run"
    return _exclude("machine_code_on_sm", "INVALID_HW", reason, "snapshots/kernels, fat binaries of the pinned wheels")


@cache
def _find_silent(matrix: Matrix, release: str, sm: int, host: str) -> str:
    """Describe the first needed library that has nothing for the GPU; empty where all have, or nothing was read."""
    read = _read_registered(matrix, release)
    needed = [entry.library for entry in matrix.engines[matrix.releases[release].engine].compiled if entry.needed]
    stems = [stem if host == "x86_64" else f"{stem}_{host}" for stem in (read.wheels if read else ())]
    silent = list_silent(matrix.root / "snapshots" / "kernels", stems, needed, sm)
    return next(silent, "") if silent else ""


def _check_architecture(matrix: Matrix, cell: Cell) -> Excluded | None:
    """Whether the release registers the class: by its snapshot; where that says nothing, by the axis's own list."""
    read = _read_registered(matrix, cell.release.id)
    known = read.architectures if read else frozenset(cell.release.architectures)
    wanted = cell.checkpoint.architecture
    if cell.release.remaps.get(wanted, wanted) in known:  # a recipe may rename it in config.json
        return None
    reason = f"{cell.release.id} registers {', '.join(sorted(known)) or 'nothing'}, not {wanted}"
    source = f"snapshots/{cell.release.id}.json (registered)" if read else cell.release.source
    return _exclude("architecture_registered", "INVALID_ENGINE", reason, source)


@cache
def _read_registered(matrix: Matrix, release: str) -> Registered | None:
    return registered_by(release, matrix.root / "snapshots")


def _check_parsers(matrix: Matrix, cell: Cell) -> Excluded | None:
    """Whether the release has the parsers of the checkpoint's family; without one, thinking and calls are text."""
    wanted = cell.checkpoint.parsers.get(cell.engine.id, {})
    read = _read_registered(matrix, cell.release.id)
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
    """Judge the launch itself: its window, KV layout, draft and share of the GPU, where nothing less is certain."""
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
    able, gpu = cell.release.dsa_sms, cell.rig.gpu
    if not able or not gpu.sm or gpu.runtime != "cuda" or gpu.sm in able or _chooses_alike(matrix, cell):
        return None
    if _is_dense(matrix, cell):
        return None
    shown = " and ".join(f"sm{sm}" for sm in able if sm)
    reason = (
        f"{cell.release.id} has kernels for sparse attention (DSA) on {shown or 'no GPU'}, not on {gpu.target}"
        " (dsa_sms); a launch that takes the model out of it, by patch or by a dense backend, would run"
    )
    return _exclude("sparse_kernels_on_sm", "INVALID_ENGINE", reason, cell.release.source)


def _chooses_alike(matrix: Matrix, cell: Cell) -> bool:
    """Whether the release chooses on this GPU what it chooses on the first of its family, which is listed."""
    first, sm = cell.rig.sm // 10 * 10, cell.rig.sm
    read = _read_registered(matrix, cell.release.id)
    if read is None or first not in cell.release.dsa_sms:
        return False
    here, there = (read.chosen.get(f"{cell.checkpoint.architecture} sm{n} auto") for n in (sm, first))
    return here == there  # of a class whose choices nobody read, both are missing


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
