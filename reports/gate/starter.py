"""A first gate for the owner of a rig: the launch to try first, then what else it can be asked, cut to one night.

Everything in it can be green on exactly that rig: cells of other rigs, launches that are known to fail, and features
that nothing proves are left out, each with its reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.hardware import Rig
from matrix.model import Cell
from matrix.planning.expand import expand_matrix
from matrix.planning.fit import fit_of_plan
from matrix.planning.named import list_runnable_named
from matrix.planning.owed import Owed, read_owed
from matrix.planning.plan import make_plan
from matrix.preflight.plans import judge_plan
from matrix.recommending.choose import OfferedLaunch, Want, rank_launches, recommend_launches
from matrix.recommending.ran import LastRun
from matrix.scheduling.budget import keep_asked
from matrix.scheduling.groups import Grouped, group_cells
from matrix.scheduling.run_plan import RunPlan, make_run_plan
from matrix.wording import list_first
from matrix.yaml.loaded import Matrix

NIGHT_S: Final = 8 * 3600.0
MAX_AGE_H: Final = 72  # a night's queue and a retry, as ci/gates/sm120.yaml
SHOWN: Final = 3  # cells of a reason
DEPTH: Final = "quick"


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """What the gate requires (`cells`, the first to try first), how long that takes, and what it leaves out."""

    first: OfferedLaunch
    cells: tuple[Cell, ...]
    left_out: Mapping[str, tuple[str, ...]]  # reason -> cell ids
    plan: RunPlan
    owed: Owed

    @property
    def hours(self) -> float:
        """Hours of the night, rounded up to a half: an estimate that changes with each measured launch."""
        return math.ceil(self.plan.makespan_s / 1800) / 2

    @property
    def gpu_hours(self) -> int:
        return math.ceil(self.plan.gpu_hours)


def make_starter(
    matrix: Matrix, launch: OfferedLaunch, *, budget_s: float = NIGHT_S, owed: Owed | None = None
) -> Starter:
    """Choose the cells of a first gate, beginning with this launch's first cell.

    Raises:
        ConfigError: that cell alone exceeds the budget, or its release's own parser refuses it.
    """
    offered, left_out = _sort_out(matrix, [*_list_siblings(matrix, launch.cell)])
    cells, plan = _cut_to_night(matrix, [launch.cell, *offered], budget_s)
    if gone := tuple(c.id for c in offered if c not in cells):
        left_out[f"more than {budget_s / 60:g} min with it"] = gone
    return Starter(first=launch, cells=cells, left_out=left_out, plan=plan, owed=owed or read_owed())


def recommend_first(
    matrix: Matrix, rig: Rig, ran: Mapping[str, LastRun], *, globs: Sequence[str] = (), want: Want | None = None
) -> OfferedLaunch:
    """Return the launch of the rig to try first.

    Raises:
        ConfigError: nothing is launched on the rig, or nothing can be recommended.
    """
    if why := rig.attach_only:
        raise _make_refusal(
            "--rig", rig.id, f"nothing is launched there: {why}. Ask what runs there: glm-matrix probe URL"
        )
    found = recommend_launches(matrix, rig, ran, globs=globs, want=want)
    if not found.launches:
        raise _make_refusal("--rig", rig.id, f"no launch can be recommended; why: glm-matrix recommend --rig {rig.id}")
    return found.launches[0]


def find_first(matrix: Matrix, rig: Rig, ran: Mapping[str, LastRun], name: str) -> OfferedLaunch:
    """Return the launch of a cell that is named.

    Raises:
        ConfigError: no runnable cell of the rig has this id.
    """
    own = [c for c in expand_matrix(matrix).runnable if c.rig.id == rig.id]
    cells = [c for c in (*own, *list_runnable_named(matrix, [name])) if c.id == name]
    if not cells or cells[0].rig.id != rig.id:
        hint = suggest_nearest(name, [c.id for c in own])
        raise _make_refusal(
            "--cell", name, f"no runnable cell of {rig.id} has this id{hint}; why: glm-matrix why-not {name}"
        )
    return rank_launches(matrix, cells[:1], ran)[0]


def _make_refusal(option: str, value: str, message: str) -> ConfigError:
    return ConfigError([Problem(option, 0, repr(value), message)])


def _list_siblings(matrix: Matrix, first: Cell) -> Iterator[Cell]:
    """Yield the other cells of its release and checkpoint, fewest features first: effects are compared with those."""
    same = (first.rig, first.release, first.checkpoint)
    found = (c for c in expand_matrix(matrix).runnable if (c.rig, c.release, c.checkpoint) == same)
    yield from sorted((c for c in found if c != first), key=lambda c: (len(c.features), c.id))


def _sort_out(matrix: Matrix, cells: Sequence[Cell]) -> tuple[list[Cell], dict[str, tuple[str, ...]]]:
    """Split cells into those that can be green, and the ids of the others by reason."""
    offered: list[Cell] = []
    left_out: dict[str, tuple[str, ...]] = {}
    for cell in cells:
        why = next(_iterate_obstacles(matrix, cell), None)
        if why is None:
            offered.append(cell)
        else:
            left_out[why] = (*left_out.get(why, ()), cell.id)
    return offered, left_out


def _iterate_obstacles(matrix: Matrix, cell: Cell) -> Iterator[str]:
    """Yield why a cell cannot be green: its launch is known to fail, or nothing would prove what it asks for."""
    for known in (k.value for k in matrix.known_failures if k.condition(cell.facts)):
        if known.expect == "always" and known.fails.at != "test":
            yield f"known failure {known.id} at launch"
    for feature in sorted(cell.features):
        if not matrix.features[feature].provable:
            yield f"nothing but speed shows {feature}"
    plan = make_plan(matrix, cell)
    fit = fit_of_plan(plan)
    if fit is not None and not fit.ok:
        yield "it does not fit"
    if judge_plan(plan).verdict == "reject":
        yield "preflight rejects it"


def _cut_to_night(matrix: Matrix, cells: Sequence[Cell], budget_s: float) -> tuple[tuple[Cell, ...], RunPlan]:
    """Keep the first launches, in order, whose schedule fits into the budget; cells of one launch stay together."""
    grouped = group_cells(matrix, cells)
    place = {c.id: n for n, c in enumerate(cells)}
    asked = sorted((g for g in grouped.groups if g.asked), key=lambda g: min(place[c] for c in g.cells))
    best: tuple[tuple[Cell, ...], RunPlan] | None = None
    for count in range(1, len(asked) + 1):
        plan = _make_schedule(keep_asked(grouped, asked[:count]))
        if plan.makespan_s > budget_s:
            if best is None:
                message = f"{cells[0].id} alone takes about {plan.makespan_s / 3600:.1f} h"
                raise _make_refusal("--budget", f"{budget_s / 3600:g}h", message)
            break
        kept = {c for g in asked[:count] for c in g.cells}
        best = tuple(c for c in cells if c.id in kept), plan
    if best is None:
        raise _make_refusal(
            "--cell", cells[0].id, "its release's own parser refuses the launch: glm-matrix preflight CELL"
        )
    return best


def _make_schedule(grouped: Grouped) -> RunPlan:
    return make_run_plan(grouped, {}, matrix_sha256="", depth=DEPTH)


def render_starter(starter: Starter) -> str:
    """Render the policy's file; `reports.gate.policy.load_policy` reads it."""
    return "\n".join([*_render_head(starter), *_render_policy(starter)]) + "\n"


def _render_head(starter: Starter) -> Iterator[str]:
    rig, first = starter.first.cell.rig, starter.first
    launches = sum(g.asked for g in starter.plan.groups)
    yield f"# First gate of {rig.id}, {rig.gpus} x {rig.gpu.name}: glm-matrix add policy --rig {rig.id}"
    known = first.provenance
    yield f"# First cell: {known.level}: {_one_line(known.why)} [{_one_line(known.source)}]"
    yield (
        f"# One night: {len(starter.cells)} cells, {launches} launches and what goes before them, at most about"
        f" {starter.hours:g} h and {starter.gpu_hours} GPU-hours"
    )
    yield "# (estimated: glm-matrix plan --policy THIS_FILE). Run a part of it: delete requirements from the end."
    for tag in sorted(set(_list_tags(starter))):
        yield f"# No digest of this image is known here. Record it on the host first: glm-matrix image pin {tag}"
    for why, cells in starter.left_out.items():
        yield f"# Left out, {_one_line(why)}: {list_first(cells, SHOWN)}"


def _render_policy(starter: Starter) -> Iterator[str]:
    features = " and its features" if len(starter.cells) > 1 else ""
    yield f"title: {json.dumps(f'{starter.first.cell.id}{features}')}"
    yield "require:"
    for cell in starter.cells:
        suites = dict.fromkeys(item.suite for item in starter.owed.asked_of(cell, DEPTH))
        yield f"  - glob: {json.dumps(cell.id)}"
        yield f"    suites: [{', '.join(suites)}]"
    yield f"depth: {DEPTH}"
    yield f"max_age_h: {MAX_AGE_H}"


def _list_tags(starter: Starter) -> Iterator[str]:
    """Yield the images that are launched only where their host recorded which image the tag is."""
    for group in starter.plan.groups:
        if group.asked and group.launcher == "docker" and group.image and "@" not in group.image:
            yield group.image


def _one_line(text: str) -> str:
    return " ".join(text.split())
