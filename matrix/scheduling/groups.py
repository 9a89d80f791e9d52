"""Cells -> launch groups in tiers, so that what cannot work is known before 300 GB are loaded.

| tier   | starts                                        | finds |
|--------|-----------------------------------------------|-------|
| static | nothing: the release's own parser and the fit | a flag that does not exist, a plan that does not fit |
| canary | a small model with the same features          | a missing kernel, a feature without effect |
| dummy  | the plan itself with weights made up by the engine | an architecture, a shape, memory |
| full   | the plan                                      | everything else |

A group starts only when every group in its `needs` came out as expected. Static refusals become no group at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from matrix.hardware import Rig
from matrix.model import Cell
from matrix.planning.owed import Depth
from matrix.planning.plan import Plan, make_plan
from matrix.preflight.plans import judge_plan
from matrix.scheduling.canaries import CanaryIndex
from matrix.scheduling.dummy import with_dummy_weights
from matrix.scheduling.durations import (
    DEFAULT_DISK,
    NOTHING_TIMED,
    Disk,
    Estimate,
    Seconds,
    Timed,
    count_suites,
    estimate_group,
    find_size,
)
from matrix.yaml.loaded import Matrix

Tier = Literal["canary", "dummy", "full"]
TIERS: Final[tuple[Tier, ...]] = get_args(Tier)
DUMMY_OPTION: Final = "--dummy-weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchGroup:
    """Cells that one running engine serves, and what starting it takes."""

    id: str  # the plan's fingerprint: equal ids are one launch
    tier: Tier
    cells: tuple[str, ...]  # ids
    rig: str
    engine: str
    release: str
    checkpoint: str
    gpus: int
    gpu: str  # id of axes/hardware; "cpu": none
    gpu_name: str
    sm: int
    estimate: Estimate
    needs: tuple[str, ...] = ()  # ids of groups that must come out as expected before
    asked: bool = True  # False: no chosen cell, added because a chosen one needs it
    launcher: str = "process"  # process, docker or venv: who starts it (`launcher: {kind: ...}` of the recipes)
    image: str = ""  # with its digest where the axis has one
    requirement: str = ""  # what a virtual environment installs
    module: str = ""  # a Python module that serves it, embedded
    model: str = ""  # repository with its revision, or a folder of this checkout; "": a canary made on first use
    model_bytes: int = 0  # of the model's directory; 0: not known, or next to nothing
    options: tuple[str, ...] = ()  # of pytest, beside --cells and the cells
    questions: int = 0  # suites of each cell, added up: what a launch for each cell and suite would start

    @property
    def estimate_s(self) -> float:
        """Seconds with a cold page cache: an upper estimate, e.g. for a walltime."""
        return self.estimate.cold_s

    @property
    def pytest_words(self) -> tuple[str, ...]:
        """What pytest is started with to run the group."""
        return (*self.options, "--cells", *self.cells)

    @property
    def slots(self) -> int:
        """GPUs, or one place for a launch that needs none."""
        return max(1, self.gpus)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Cells that the plan does not run, and why."""

    cells: tuple[str, ...]
    why: str
    by: Literal["static", "budget", "pairwise", "unchanged", "evidence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """The launch groups of a selection, before they are scheduled."""

    groups: tuple[LaunchGroup, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingRequest:
    """How a selection is to be grouped and timed."""

    depth: Depth = "quick"
    tiers: Sequence[Tier] = TIERS
    timed: Timed = NOTHING_TIMED
    disk: Disk = DEFAULT_DISK


AS_USUAL: Final = GroupingRequest()


def group_cells(matrix: Matrix, cells: Iterable[Cell], asked: GroupingRequest = AS_USUAL) -> Grouped:
    """Group cells by fingerprint and put the tiers that are asked for in front of big checkpoints."""
    launches: dict[str, list[Plan]] = {}
    for cell in cells:
        plan = make_plan(matrix, cell)
        launches.setdefault(plan.fingerprint, []).append(plan)
    left_out, kept = _refuse_statically(launches)
    gates = CanaryIndex(matrix) if "canary" in asked.tiers else None
    made: dict[str, LaunchGroup] = {}
    for plans in kept.values():
        for group in _lay_out_tiers(plans, asked, gates):
            old = made.get(group.id)
            made[group.id] = group if old is None or not old.asked else old
    return Grouped(groups=tuple(made.values()), left_out=tuple(left_out))


def _refuse_statically(launches: Mapping[str, list[Plan]]) -> tuple[list[LeftOut], dict[str, list[Plan]]]:
    left_out, kept = [], {}
    for fingerprint, plans in launches.items():
        report = judge_plan(plans[0])
        if report.verdict == "reject":
            said = next(r.message for r in report.remarks if r.level == "error")
            cells = tuple(p.cell.id for p in plans)
            left_out.append(LeftOut(cells=cells, why=f"preflight rejects it: {said}", by="static"))
        else:
            kept[fingerprint] = plans
    return left_out, kept


def _lay_out_tiers(plans: Sequence[Plan], asked: GroupingRequest, gates: CanaryIndex | None) -> list[LaunchGroup]:
    """Return the groups in front of a launch, then the launch itself."""
    first = plans[0]
    cells = tuple(p.cell.id for p in plans)
    if first.cell.checkpoint.canary:
        return [_make_group(first, cells, "canary", asked)]
    before: list[LaunchGroup] = []
    if gates is not None and (gate := gates.find(first)):
        before.append(replace(_make_group(gate, (gate.cell.id,), "canary", asked), asked=False))
    if "dummy" in asked.tiers and (dummy := with_dummy_weights(first)):
        made = _as_dummy(_make_group(dummy, (first.cell.id,), "dummy", asked))
        before.append(replace(made, needs=tuple(g.id for g in before)))
    if "full" not in asked.tiers:
        return before
    needs = (before[-1].id,) if before else ()  # the last one has itself needed those before it
    return [*before, replace(_make_group(first, cells, "full", asked), needs=needs)]


def _make_group(plan: Plan, cells: tuple[str, ...], tier: Tier, asked: GroupingRequest) -> LaunchGroup:
    cell = plan.cell
    rig: Rig = cell.rig
    release, checkpoint = cell.release, cell.checkpoint
    image = release.image or ""
    return LaunchGroup(
        id=plan.fingerprint,
        tier=tier,
        cells=cells,
        rig=rig.id,
        engine=cell.engine.id,
        release=release.id,
        checkpoint=checkpoint.id,
        gpus=rig.gpus,
        gpu=rig.gpu.id,
        gpu_name=rig.gpu.name,
        sm=rig.sm,
        estimate=estimate_group(plan, cells, asked.depth, asked.timed, asked.disk),
        launcher=plan.launcher_kind,
        image=f"{image}@{release.image_digest}" if image and release.image_digest else image,
        requirement=release.requirement or "",
        module=release.module or "",
        model=_name_model(plan),
        model_bytes=find_size(plan),
        questions=len(cells) * count_suites(plan, asked.depth),
    )


def _as_dummy(group: LaunchGroup) -> LaunchGroup:
    """Read nothing and ask for the first token only: made-up weights answer no question."""
    why = "weights are made up by the engine"
    nothing = Seconds(what="load", seconds=0.0, level="expected", source=why)
    boot = Seconds(what="suites", seconds=5.0, level="expected", source="one token, which nobody timed here")
    estimate = replace(group.estimate, load=nothing, warm_load_s=0.0, suites=boot)
    return replace(group, estimate=estimate, model_bytes=0, asked=False, options=(DUMMY_OPTION,))


def _name_model(plan: Plan) -> str:
    checkpoint = plan.cell.checkpoint
    if not checkpoint.repository:
        return checkpoint.weights_path or ""
    return f"{checkpoint.repository}@{checkpoint.revision}" if checkpoint.revision else checkpoint.repository
