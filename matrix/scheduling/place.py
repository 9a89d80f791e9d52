"""Rigid jobs on machines with a number of GPUs: a list schedule, and how far from the best it can be at most.

A job holds its GPUs of one machine from start to end. Two schedules are made, and the shorter one is taken: with a
barrier after each tier, about which there are theorems, and without. The list goes by tier, most GPUs first, then by
checkpoint, so that what one launch has read is still in the page cache for the next one, then longest first.

Bounds of one tier, with A = GPU-seconds, m = GPUs of all machines, p = the longest job:
- GPU counts form a chain of divisors that ends with a machine's GPUs (1, 2, 4, 8): makespan <= A/m + p. Until the last
  start no GPU is idle, since whatever is free is a multiple of the job in turn. So the makespan is within 5 % of the
  area bound A/m wherever the tiers' longest jobs add up to at most 5 % of it.
- any GPU counts, one machine: makespan <= 2 max(A/m, p) (Garey and Graham 1975), which is twice the best at most. What
  runs at t + C/2 > t + p waited at t and did not fit: at both times together more than m GPUs are busy.
Tiers add up, because one begins when the other has ended. The durations are those of the schedule with the barrier, in
which a load is shorter where the page cache has the weights.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

CACHE_SHARE: Final = 0.9  # vLLM does not prefetch a checkpoint of more than 90 % of the memory
CLOSE: Final = 0.05  # of the area bound


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineKind:
    """Hosts of one kind. `memory_bytes` None: not stated, and then no load is counted as warm."""

    name: str
    slots: int  # GPUs of each, or 1 where none is needed
    count: int = 1
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledJob:
    """A launch group as the scheduler sees it. `tier`: smaller goes first."""

    id: str
    slots: int
    cold_s: float
    warm_s: float
    load_s: float = 0.0  # after which the page cache holds the weights
    checkpoint: str = ""
    size_bytes: int = 0
    tier: int = 0
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedJob:
    """A job with its place and time, in seconds from the beginning of the run."""

    job: ScheduledJob
    host: int  # from 0
    slots: tuple[int, ...]  # GPU numbers of the host
    start_s: float
    end_s: float
    warm: bool = False

    @property
    def area(self) -> float:
        return self.job.slots * (self.end_s - self.start_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Jobs of one kind of machine, in the order of their start."""

    machine: MachineKind
    placed: tuple[PlacedJob, ...]
    proven_s: float | None = None  # what the theorems promise at most, see `prove_makespan`

    @property
    def makespan_s(self) -> float:
        return max((p.end_s for p in self.placed), default=0.0)

    @property
    def gpu_seconds(self) -> float:
        return sum(p.area for p in self.placed)

    @property
    def area_bound_s(self) -> float:
        """No schedule of these durations is shorter: every GPU busy all the time."""
        return self.gpu_seconds / (self.machine.slots * self.machine.count)

    @property
    def lower_bound_s(self) -> float:
        """The area bound, or the longest chain of jobs that wait for each other."""
        ends: dict[str, float] = {}
        for p in self.placed:  # what a job needs starts before it
            ends[p.job.id] = p.end_s - p.start_s + max((ends.get(n, 0.0) for n in p.job.needs), default=0.0)
        return max(self.area_bound_s, *ends.values(), 0.0)

    @property
    def close_is_proven(self) -> bool:
        """Whether the theorems promise a makespan within 5 % of the area bound."""
        return self.proven_s is not None and self.proven_s <= (1 + CLOSE) * self.area_bound_s


def prove_makespan(schedule: Schedule) -> float | None:
    """Return what the theorems above promise of a schedule with barriers; None: several machines without a chain."""
    tiers: dict[int, list[PlacedJob]] = {}
    for p in schedule.placed:
        tiers.setdefault(p.job.tier, []).append(p)
    longest = [max(p.end_s - p.start_s for p in own) for own in tiers.values()]
    if is_chain({p.job.slots for p in schedule.placed}, schedule.machine.slots):
        return schedule.area_bound_s + sum(longest)
    if schedule.machine.count > 1:
        return None
    areas = [sum(p.area for p in own) / schedule.machine.slots for own in tiers.values()]
    return 2 * sum(map(max, zip(areas, longest, strict=True)))


def is_chain(counts: set[int], slots: int) -> bool:
    """Whether each count divides the next larger one, and the largest divides a machine's GPUs."""
    ordered = [*sorted(counts), slots]
    return all(b % a == 0 for a, b in pairwise(ordered))


def place_jobs(jobs: Sequence[ScheduledJob], machine: MachineKind) -> Schedule:
    """Place every job; of the two list schedules the shorter one.

    Raises:
        ValueError: a job needs more GPUs than a machine has, or a job that is not of an earlier tier.
    """
    if wide := [j.id for j in jobs if j.slots > machine.slots]:
        raise ValueError(f"{', '.join(wide)}: more GPUs than {machine.name} has ({machine.slots})")
    tiers = {j.id: j.tier for j in jobs}
    if bad := [j.id for j in jobs for n in j.needs if tiers.get(n, j.tier) >= j.tier]:
        raise ValueError(f"{', '.join(bad)}: waits for what no earlier tier has")
    ordered = _order_jobs(jobs)
    barrier, free = (_Simulation(machine, ordered, barrier=b).run() for b in (True, False))
    return replace(min(free, barrier, key=lambda s: s.makespan_s), proven_s=prove_makespan(barrier))


def _order_jobs(jobs: Sequence[ScheduledJob]) -> list[ScheduledJob]:
    """Sort by tier, GPUs, checkpoint (the one with most work first) and duration."""
    work: dict[str, float] = {}
    for job in jobs:
        work[job.checkpoint] = work.get(job.checkpoint, 0.0) + job.slots * job.cold_s
    return sorted(jobs, key=lambda j: (j.tier, -j.slots, -work[j.checkpoint], j.checkpoint, -j.cold_s, j.id))


@dataclass(slots=True)
class _PlacingHost:
    """What one machine has free, and whose weights its page cache holds from when on."""

    number: int
    free: list[int]
    cached: OrderedDict[str, float] = field(default_factory=OrderedDict)
    sizes: dict[str, int] = field(default_factory=dict)

    def is_warm(self, job: ScheduledJob, now: float) -> bool:
        return self.cached.get(job.checkpoint, float("inf")) <= now

    def read(self, job: ScheduledJob, now: float, memory_bytes: int | None) -> None:
        """Note that the job reads its weights; what was not used for longest leaves the cache."""
        room = (memory_bytes or 0) * CACHE_SHARE
        if not job.size_bytes or job.size_bytes > room:
            return
        self.cached[job.checkpoint] = min(self.cached.get(job.checkpoint, float("inf")), now + job.load_s)
        self.cached.move_to_end(job.checkpoint)
        self.sizes[job.checkpoint] = job.size_bytes
        while sum(self.sizes[c] for c in self.cached) > room:
            self.cached.popitem(last=False)


class _Simulation:
    """One list schedule: at each end of a job, start whatever is ready and fits, in the order of the list."""

    def __init__(self, machine: MachineKind, ordered: Sequence[ScheduledJob], *, barrier: bool) -> None:
        self._machine, self._barrier = machine, barrier
        self._queue = list(ordered)
        self._hosts = [_PlacingHost(n, list(range(machine.slots))) for n in range(machine.count)]
        self._running: list[tuple[float, int, PlacedJob]] = []
        self._done: set[str] = set()
        self._placed: list[PlacedJob] = []

    def run(self) -> Schedule:
        now = 0.0
        while self._queue or self._running:
            self._start_ready(now)
            now = self._running[0][0]
            while self._running and self._running[0][0] <= now:
                self._finish(heapq.heappop(self._running)[2])
        return Schedule(machine=self._machine, placed=tuple(self._placed))

    def _finish(self, placed: PlacedJob) -> None:
        self._done.add(placed.job.id)
        free = self._hosts[placed.host].free
        free += placed.slots
        free.sort()

    def _start_ready(self, now: float) -> None:
        tier = self._current_tier() if self._barrier else None
        waiting: list[ScheduledJob] = []
        for at, job in enumerate(self._queue):
            if tier is not None and job.tier != tier:
                waiting += self._queue[at:]
                break
            host = self._choose_host(job, now) if self._done.issuperset(job.needs) else None
            if host is None:
                waiting.append(job)
            else:
                self._start(job, host, now)
        self._queue = waiting

    def _current_tier(self) -> int:
        """Return the tier that may start now: of what runs, else of the next job."""
        running = [p.job.tier for _, _, p in self._running]
        return min(running) if running else self._queue[0].tier if self._queue else 0

    def _choose_host(self, job: ScheduledJob, now: float) -> _PlacingHost | None:
        """One where the weights are cached, then the fullest one that has room: wide jobs need whole machines."""
        fitting = [h for h in self._hosts if len(h.free) >= job.slots]
        return min(fitting, key=lambda h: (not h.is_warm(job, now), len(h.free), h.number), default=None)

    def _start(self, job: ScheduledJob, host: _PlacingHost, now: float) -> None:
        warm = host.is_warm(job, now)
        host.read(job, now, self._machine.memory_bytes)
        slots, host.free = tuple(host.free[: job.slots]), host.free[job.slots :]
        end = now + (job.warm_s if warm else job.cold_s)
        placed = PlacedJob(job=job, host=host.number, slots=slots, start_s=now, end_s=end, warm=warm)
        self._placed.append(placed)
        heapq.heappush(self._running, (end, len(self._placed), placed))
