"""The plan of a whole run: launch groups, when and where each starts, and what it costs. As JSON it is stable data.

`schema` grows when a reader of the old one would misread the new one; new keys alone do not count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, Final, get_args

from matrix.errors import ConfigError, Problem
from matrix.planning.owed import DEPTHS, Depth
from matrix.planning.token_budgets import read_token_budgets
from matrix.scheduling.durations import Estimate, Seconds
from matrix.scheduling.groups import TIERS, Grouped, LaunchGroup, LeftOut, Tier
from matrix.scheduling.place import MachineKind, Schedule, ScheduledJob, place_jobs

SCHEMA: Final = 1
NO_GPU: Final = "cpu"


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """What is run, in which order, on which machines. `schedules` has one entry for each kind of machine."""

    matrix_sha256: str
    depth: Depth
    groups: tuple[LaunchGroup, ...]
    left_out: tuple[LeftOut, ...]
    schedules: tuple[Schedule, ...]
    why: Mapping[str, str] = field(default_factory=dict)  # cell -> why it is asked, where not all are
    commands: tuple[str, ...] = ()  # of pytest, that ask it here

    @cached_property
    def digest(self) -> str:
        """Hash of what is run: two plans of one digest start the same launches for the same cells at the same depth."""
        # without estimates and times: a plan whose durations were measured anew starts the same launches
        what = [self.depth, sorted((g.id, g.tier, sorted(g.cells), sorted(g.needs)) for g in self.groups)]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]

    @property
    def token_budget(self) -> int:
        """What a sequential test of a cell may spend, in tokens."""
        return read_token_budgets()[self.depth]

    @property
    def makespan_s(self) -> float:
        """Machines of different kinds work side by side."""
        return max((s.makespan_s for s in self.schedules), default=0.0)

    @property
    def gpu_hours(self) -> float:
        return sum(p.area for s in self.schedules if s.machine.name != NO_GPU for p in s.placed) / 3600

    @property
    def naive_s(self) -> float:
        """One launch for each cell and suite, one after another: what starting an engine in each test costs."""
        # groups that only others need are left out here: without sharing, nobody would start them
        return sum(g.questions * g.estimate.launch_s + g.estimate.suites.seconds for g in self.groups if g.asked)

    @property
    def per_cell_s(self) -> float:
        """One launch for each cell, one after another."""
        return sum(len(g.cells) * g.estimate.launch_s + g.estimate.suites.seconds for g in self.groups if g.asked)

    @property
    def cells(self) -> tuple[str, ...]:
        """Every cell that some engine is asked about, in the order of the groups."""
        return tuple(dict.fromkeys(c for g in self.groups for c in g.cells))


def make_run_plan(
    grouped: Grouped,
    machines: Mapping[str, MachineKind],
    *,
    matrix_sha256: str,
    depth: Depth,
    more: Sequence[LeftOut] = (),
) -> RunPlan:
    """Schedule the groups on the machines of each GPU model (`machines`: id of axes/hardware -> machine).

    Raises:
        ConfigError: a group needs more GPUs than its machine has.
    """
    kinds: dict[str, list[LaunchGroup]] = {}
    for group in grouped.groups:
        # machines of one GPU model never wait for those of another, so each model has a schedule of its own
        kinds.setdefault(group.gpu, []).append(group)
    return RunPlan(
        matrix_sha256=matrix_sha256,
        depth=depth,
        groups=grouped.groups,
        left_out=(*grouped.left_out, *more),
        schedules=tuple(_schedule_groups(own, machines.get(gpu) or find_machine(own)) for gpu, own in kinds.items()),
    )


def find_machine(groups: Iterable[LaunchGroup], *, count: int = 1, memory_bytes: int | None = None) -> MachineKind:
    """Return the smallest machine that holds every group of one GPU model: the largest rig among them."""
    own = list(groups)
    # the smallest that holds them all: a larger one would promise launches side by side that nobody may have
    return MachineKind(name=own[0].gpu, slots=max(g.slots for g in own), count=count, memory_bytes=memory_bytes)


def _schedule_groups(groups: Sequence[LaunchGroup], machine: MachineKind) -> Schedule:
    try:
        return place_jobs([as_job(g) for g in groups], machine)
    except ValueError as error:
        raise ConfigError([Problem("--gpus", 0, "", str(error))]) from None


def as_job(group: LaunchGroup) -> ScheduledJob:
    estimate = group.estimate
    return ScheduledJob(
        id=group.id,
        slots=group.slots,
        cold_s=estimate.cold_s,
        warm_s=estimate.warm_s,
        load_s=estimate.load.seconds,
        checkpoint=group.checkpoint,
        size_bytes=group.model_bytes,
        tier=TIERS.index(group.tier),
        needs=group.needs,
    )


def dump_run_plan(plan: RunPlan) -> dict[str, Any]:
    """Convert the plan to JSON data. Durations are in seconds, sizes in bytes; `start_s` counts from the beginning."""
    return {
        "schema": SCHEMA,
        "digest": plan.digest,
        "matrix_sha256": plan.matrix_sha256,
        "depth": plan.depth,
        "token_budget": plan.token_budget,
        "makespan_s": round(plan.makespan_s, 1),
        "gpu_hours": round(plan.gpu_hours, 3),
        "naive": {"launch_per_suite_s": round(plan.naive_s, 1), "launch_per_cell_s": round(plan.per_cell_s, 1)},
        "groups": [_dump_group(g) for g in plan.groups],
        "machines": [_dump_schedule(s) for s in plan.schedules],
        "why": dict(plan.why),
        "commands": list(plan.commands),
        "left_out": [asdict(one) for one in plan.left_out],
    }


def _dump_group(group: LaunchGroup) -> dict[str, Any]:
    # by the class's own fields, so that a field that is added is written and read without a line here
    own = {f.name: getattr(group, f.name) for f in fields(group) if f.name != "estimate"}
    e = group.estimate
    return {
        **own,
        "estimate_s": round(group.estimate_s, 1),
        "estimate": {
            "level": e.level,
            "warm_load_s": round(e.warm_load_s, 1),
            **{p.what: {"s": round(p.seconds, 1), "level": p.level, "source": p.source} for p in e.parts},
        },
    }


def _dump_schedule(schedule: Schedule) -> dict[str, Any]:
    return {
        "machine": asdict(schedule.machine),
        "makespan_s": round(schedule.makespan_s, 1),
        "area_bound_s": round(schedule.area_bound_s, 1),
        "timeline": [
            {
                "group": p.job.id,
                "host": p.host,
                "gpus": list(p.slots) if schedule.machine.name != NO_GPU else [],
                "start_s": round(p.start_s, 1),
                "end_s": round(p.end_s, 1),
                "warm": p.warm,
            }
            for p in schedule.placed
        ],
    }


@dataclass(frozen=True, kw_only=True)
class SavedPlan:
    """A plan as read from its JSON: what a back end submits. The timeline is made anew where it is needed."""

    digest: str
    matrix_sha256: str
    depth: Depth
    groups: tuple[LaunchGroup, ...]


def parse_run_plan(raw: Any, file: str) -> SavedPlan:
    """Parse the JSON of `glm-matrix plan --json`.

    Raises:
        ConfigError: it is no plan, of a newer schema, or was changed since.
    """
    if not isinstance(raw, Mapping) or not isinstance(raw.get("schema"), int):
        raise ConfigError([Problem(file, 0, "", "no run plan: write one with glm-matrix plan --json")])
    if raw["schema"] > SCHEMA:
        raise ConfigError([Problem(file, 0, "schema", f"{raw['schema']} is newer than this checkout's {SCHEMA}")])
    try:
        groups = tuple(map(_parse_group, raw["groups"]))
        depth: Depth = _one_of(raw["depth"], DEPTHS)
        found = SavedPlan(
            digest=str(raw["digest"]), matrix_sha256=str(raw["matrix_sha256"]), depth=depth, groups=groups
        )
    except (KeyError, TypeError, ValueError) as error:
        said = f"a run plan lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ConfigError([Problem(file, 0, "", said)]) from None
    # the digest is made again from what was read: an edited group would be launched under another one's name
    made = RunPlan(matrix_sha256="", depth=depth, groups=groups, left_out=(), schedules=())
    if made.digest != found.digest:
        raise ConfigError([Problem(file, 0, "digest", "the plan was changed since it was written: write it anew")])
    return found


def _parse_group(raw: Mapping[str, Any]) -> LaunchGroup:
    said = raw["estimate"]
    parts = {
        what: Seconds(what=what, seconds=float(said[what]["s"]), level=said[what]["level"], source=said[what]["source"])
        for what in ("load", "start", "suites")
    }
    estimate = Estimate(**parts, warm_load_s=float(said["warm_load_s"]))
    own = {f.name: raw[f.name] for f in fields(LaunchGroup) if f.name != "estimate" and f.name in raw}
    # JSON has lists alone, and groups are compared and hashed
    lists = {name: tuple(value) for name, value in own.items() if isinstance(value, list)}
    _one_of(own["tier"], get_args(Tier))
    return LaunchGroup(**{**own, **lists}, estimate=estimate)


def _one_of(value: Any, allowed: Sequence[Any]) -> Any:
    if value not in allowed:
        raise ValueError(f"expected one of {', '.join(allowed)}, got {value!r}")
    return value
