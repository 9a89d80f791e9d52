"""How long a launch group will take, in seconds, each part with where its number comes from.

`measured`: this launch was timed in evidence. `derived`: arithmetic over numbers that somebody measured elsewhere.
`expected`: nobody measured it; a schedule needs some number, and the first run replaces it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from matrix.planning.owed import Depth, read_owed
from matrix.planning.plan import Plan

Level = Literal["measured", "derived", "expected"]
LEVELS: Final[tuple[Level, ...]] = ("measured", "derived", "expected")  # from sure to unsure
COLD_READ_BPS: Final = 1.17e9  # 141 shards of GLM-5.2-FP8 in 10 min 19 s on 8x B200, default loader (vllm#46367)
WARM_READ_BPS: Final = 6.2e9  # 158 GB in 25.4 s from the page cache, several threads (vllm-omni#4896)
OUR_H100: Final = "docs/evidence/sm90-h100/canaries.jsonl"
START_S: Final[Mapping[str, float]] = {"vllm": 29.0, "sglang": 30.0}  # process to first token without weights, OUR_H100
DEFAULT_START_S: Final = 40.0
WARM_UP_S: Final = 120.0  # of a big checkpoint: kernels from a warm cache, graphs
CANARY_SUITE_S: Final[Mapping[str, float]] = {  # median of 54 canary cells on one H100 (OUR_H100); boot without launch
    "boot": 1.0,
    "chunked_prefill": 0.7,
    "coherence": 2.6,
    "effective": 0.6,
    "indexcache": 0.4,
    "mtp": 1.6,
    "needle": 1.3,
    "throughput": 1.9,
    "tool_use": 6.6,
}
BIG_SUITE_S: Final[Mapping[str, float]] = {"coherence": 60.0, "needle": 240.0, "tool_use": 180.0, "throughput": 300.0}
OTHER_SUITE_S: Final = 20.0
DEEPER: Final[Mapping[Depth, float]] = {"first": 1.0, "quick": 1.0, "full": 3.0, "release": 10.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """A duration and what it is worth."""

    what: str
    seconds: float
    level: Level
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Seconds of one launch group. `warm_load_s` stands for `load_s` where the page cache holds the weights."""

    load: Seconds
    warm_load_s: float
    start: Seconds
    suites: Seconds

    @property
    def launch_s(self) -> float:
        return self.load.seconds + self.start.seconds

    @property
    def cold_s(self) -> float:
        return self.launch_s + self.suites.seconds

    @property
    def warm_s(self) -> float:
        return self.warm_load_s + self.start.seconds + self.suites.seconds

    @property
    def parts(self) -> tuple[Seconds, ...]:
        return self.load, self.start, self.suites

    @property
    def level(self) -> Level:
        """What the whole is worth: as much as its weakest part."""
        return max((p.level for p in self.parts if p.seconds), key=LEVELS.index, default="expected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """What evidence timed: launches by fingerprint and the suites of a cell by cell and depth, with the source."""

    launches: Mapping[str, Seconds] = field(default_factory=dict)
    suites: Mapping[tuple[str, str], Seconds] = field(default_factory=dict)


NOTHING_TIMED: Final = Timed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """How fast weights are read, bytes per second, and who says so."""

    cold_bps: float = COLD_READ_BPS
    warm_bps: float = WARM_READ_BPS
    source: str = "1.17 GB/s with the default loader (vllm#46367)"
    stated: bool = False  # by the user


DEFAULT_DISK: Final = Disk()


def estimate_group(
    plan: Plan,
    cells: Iterable[str],
    depth: Depth,
    timed: Timed = NOTHING_TIMED,
    disk: Disk = DEFAULT_DISK,
) -> Estimate:
    """Estimate one launch with the suites of its cells (ids), which are asked one after another."""
    load, start = _estimate_launch(plan, timed, disk)
    size = find_size(plan)
    warm = min(load.seconds, size / disk.warm_bps) if size else load.seconds
    return Estimate(load=load, warm_load_s=warm, start=start, suites=_estimate_suites(plan, cells, depth, timed))


def find_size(plan: Plan) -> int:
    """Return the bytes of the checkpoint's directory, stated or estimated; 0: nobody states them."""
    return plan.cell.checkpoint.size_bytes or plan.cell.checkpoint.size_estimate_bytes or 0


def _estimate_launch(plan: Plan, timed: Timed, disk: Disk) -> tuple[Seconds, Seconds]:
    start = _estimate_start(plan)
    if seen := timed.launches.get(plan.fingerprint):
        rest = min(start.seconds, seen.seconds)
        load = Seconds(what="load", seconds=seen.seconds - rest, level=seen.level, source=seen.source)
        return load, Seconds(what="start", seconds=rest, level=seen.level, source=seen.source)
    size = find_size(plan)
    if not size:
        known = "a canary is small" if plan.cell.checkpoint.canary else "nobody states the checkpoint's size"
        return Seconds(what="load", seconds=0.0, level="expected", source=known), start
    source = f"{size / 1e9:.0f} GB at {disk.source}"
    return Seconds(what="load", seconds=size / disk.cold_bps, level="derived", source=source), start


def _estimate_start(plan: Plan) -> Seconds:
    engine = plan.cell.engine.dialect
    seconds = START_S.get(engine, DEFAULT_START_S)
    if plan.cell.checkpoint.canary:
        known = engine in START_S
        source = f"median of canary launches on one H100 ({OUR_H100})" if known else "nobody timed this engine here"
        return Seconds(what="start", seconds=seconds, level="derived" if known else "expected", source=source)
    source = (
        f"{seconds:.0f} s as a canary on one H100, {WARM_UP_S:.0f} s for kernels and graphs, which nobody timed here"
    )
    return Seconds(what="start", seconds=seconds + WARM_UP_S, level="expected", source=source)


def _estimate_suites(plan: Plan, cells: Iterable[str], depth: Depth, timed: Timed) -> Seconds:
    ids = list(cells)
    seen = [s for i in ids if (s := timed.suites.get((i, depth)))]
    if seen and len(seen) == len(ids):
        return Seconds(what="suites", seconds=sum(s.seconds for s in seen), level="measured", source=seen[0].source)
    known = sum(s.seconds for s in seen)
    once = estimate_questions(plan, depth)
    level: Level = "derived" if plan.cell.checkpoint.canary and depth == "quick" else "expected"
    source = (
        f"median by suite of 54 canary cells on one H100 ({OUR_H100})"
        if level == "derived"
        else f"a cell's suites at depth {depth}, which nobody timed here"
    )
    return Seconds(what="suites", seconds=known + once * (len(ids) - len(seen)), level=level, source=source)


def estimate_questions(plan: Plan, depth: Depth) -> float:
    """Estimate the seconds that the suites of one cell take at this depth."""
    canary = plan.cell.checkpoint.canary
    table, other = (CANARY_SUITE_S, 1.0) if canary else (BIG_SUITE_S, OTHER_SUITE_S)
    return sum(table.get(s, other) for s in _list_suites(plan, depth)) * DEEPER[depth]


def count_suites(plan: Plan, depth: Depth) -> int:
    """Count the suites that are asked of a cell at this depth."""
    return len(_list_suites(plan, depth))


def _list_suites(plan: Plan, depth: Depth) -> list[str]:
    return sorted({item.suite for item in read_owed().asked_of(plan.cell, depth)})
