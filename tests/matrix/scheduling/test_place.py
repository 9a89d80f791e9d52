"""Rigid jobs on machines: laws of every schedule, and what the theorems promise, on generated matrices."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.scheduling.place import MachineKind, PlacedJob, Schedule, ScheduledJob, is_chain, place_jobs

GB = 10**9
EXAMPLES = 40


def job(
    name: str, slots: int, seconds: float, *, tier: int = 0, needs: tuple[str, ...] = (), **more: object
) -> ScheduledJob:
    return ScheduledJob(id=name, slots=slots, cold_s=seconds, warm_s=seconds, tier=tier, needs=needs, **more)  # type: ignore[arg-type]


@st.composite
def matrices(draw: st.DrawFn, counts: tuple[int, ...], smallest: int = 1) -> list[ScheduledJob]:
    """Generate launches as a matrix has them, in checkpoints, some behind a canary."""
    jobs: list[ScheduledJob] = []
    for c in range(draw(st.integers(1, 4))):
        size, slots = draw(st.integers(0, 700)) * GB, draw(st.sampled_from(counts))
        for n in range(draw(st.integers(smallest, smallest + 12))):
            suites, load = draw(st.integers(60, 900)), size / 1.2e9
            gated = draw(st.booleans())
            if gated:
                jobs.append(job(f"canary{c}.{n}", 1, draw(st.integers(20, 90))))
            jobs.append(
                ScheduledJob(
                    id=f"big{c}.{n}",
                    slots=slots,
                    cold_s=load + suites,
                    warm_s=size / 6e9 + suites,
                    load_s=load,
                    checkpoint=f"c{c}",
                    size_bytes=size,
                    tier=1,
                    needs=(f"canary{c}.{n}",) if gated else (),
                )
            )
    return jobs


def assert_lawful(made: Schedule, jobs: list[ScheduledJob]) -> None:
    """Every job once, no GPU twice at a time, nothing before what it needs, and no better than possible."""
    assert sorted(p.job.id for p in made.placed) == sorted(j.id for j in jobs)
    for a, b in combinations(made.placed, 2):
        if a.host == b.host and set(a.slots) & set(b.slots):
            assert a.end_s <= b.start_s or b.end_s <= a.start_s
    ends = {p.job.id: p.end_s for p in made.placed}
    assert all(len(p.slots) == p.job.slots and p.start_s >= ends[n] for p in made.placed for n in p.job.needs)
    assert made.lower_bound_s <= made.makespan_s + 1e-6


@settings(max_examples=EXAMPLES)
@given(matrices((1, 2, 4, 8)), st.sampled_from([None, 400 * GB, 2000 * GB]), st.integers(1, 3))
def test_a_schedule_of_dividing_counts_keeps_what_the_theorem_promises(
    jobs: list[ScheduledJob], memory: int | None, count: int
) -> None:
    made = place_jobs(jobs, MachineKind(name="g", slots=8, count=count, memory_bytes=memory))
    assert_lawful(made, jobs)
    assert made.proven_s is not None
    assert made.makespan_s <= made.proven_s + 1e-6
    if made.close_is_proven:
        assert made.makespan_s <= 1.05 * made.area_bound_s + 1e-6


@settings(max_examples=12)
@given(matrices((1, 2, 4), smallest=20))
def test_a_matrix_of_many_launches_is_within_5_percent_of_the_area_bound(jobs: list[ScheduledJob]) -> None:
    """Where the tiers' longest jobs add up to 5 % of the area bound; else the promise is area plus longest jobs."""
    longest = sum(max((j.cold_s for j in jobs if j.tier == t), default=0.0) for t in (0, 1))
    machine = MachineKind(name="g", slots=4)
    area = sum(j.slots * j.cold_s for j in jobs) / machine.slots
    made = place_jobs(jobs, machine)
    assert made.close_is_proven == (longest <= 0.05 * area)
    assert made.makespan_s <= area + max(longest, 0.05 * area) + 1e-6


@settings(max_examples=EXAMPLES)
@given(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 500)), min_size=1, max_size=14))
def test_counts_that_do_not_divide_keep_the_classic_bound(shapes: list[tuple[int, int]]) -> None:
    jobs = [job(f"j{n}", slots, seconds) for n, (slots, seconds) in enumerate(shapes)]
    made = place_jobs(jobs, MachineKind(name="g", slots=7))
    assert_lawful(made, jobs)
    assert made.makespan_s <= 2 * made.lower_bound_s + 1e-6


def test_an_example_whose_condition_holds_is_full_to_the_end() -> None:
    jobs = [job(f"j{n}", 4 if n % 3 else 2, 100.0) for n in range(60)]
    made = place_jobs(jobs, MachineKind(name="g", slots=8))
    assert made.close_is_proven
    assert made.makespan_s <= 1.05 * made.area_bound_s


def test_wide_jobs_go_first_and_narrow_ones_fill_what_they_leave() -> None:
    jobs = [job("narrow", 1, 50), job("wide", 4, 10), job("middle", 2, 10), job("long", 2, 20)]
    made = place_jobs(jobs, MachineKind(name="g", slots=4))
    assert [p.job.id for p in made.placed] == ["wide", "long", "middle", "narrow"]


def _places(made: Schedule) -> dict[str, PlacedJob]:
    return {p.job.id: p for p in made.placed}


def loading(name: str, checkpoint: str) -> ScheduledJob:
    return ScheduledJob(
        id=name, slots=8, cold_s=360, warm_s=110, load_s=300, checkpoint=checkpoint, size_bytes=300 * GB
    )


def test_launches_of_a_checkpoint_follow_each_other_and_find_it_in_the_page_cache() -> None:
    jobs = [loading(f"{n}{c}", c) for n in range(2) for c in ("a", "b")]
    made = place_jobs(jobs, MachineKind(name="g", slots=8, memory_bytes=400 * GB))
    assert [(p.job.checkpoint, p.warm) for p in made.placed] == [("a", False), ("a", True), ("b", False), ("b", True)]
    assert made.makespan_s == 2 * (360 + 110)


def test_a_checkpoint_leaves_the_page_cache_when_another_needs_its_room() -> None:
    jobs = [loading("0", "a"), loading("1", "b"), *(loading(f"{n}", "a") for n in "23")]
    small, large = (place_jobs(jobs, MachineKind(name="g", slots=8, memory_bytes=m * GB)) for m in (300, 700))
    assert not any(p.warm for p in small.placed)  # 300 GB of weights are more than 90 % of the memory
    assert sum(p.warm for p in large.placed) == 2


def test_nothing_is_warm_where_the_memory_is_not_stated() -> None:
    made = place_jobs([loading("0", "a"), loading("1", "a")], MachineKind(name="g", slots=8))
    assert not any(p.warm for p in made.placed)


def test_another_machine_has_another_page_cache() -> None:
    jobs = [loading("0", "a"), loading("1", "a"), loading("2", "a")]
    made = _places(place_jobs(jobs, MachineKind(name="g", slots=8, count=2, memory_bytes=400 * GB)))
    assert [made[n].warm for n in "012"] == [False, False, True]


def test_a_job_waits_for_what_it_needs_and_others_go_first_meanwhile() -> None:
    jobs = [job("canary", 1, 50), job("gated", 1, 10, tier=1, needs=("canary",)), job("free", 1, 10, tier=1)]
    made = _places(place_jobs(jobs, MachineKind(name="g", slots=2)))
    assert (made["gated"].start_s, made["free"].start_s) == (50, 0)


@pytest.mark.parametrize(
    ("jobs", "why"),
    [
        ([job("wide", 9, 1)], "wide: more GPUs than g has"),
        ([job("a", 1, 1, needs=("gone",))], "a: waits for what no earlier tier has"),
        ([job("a", 1, 1, needs=("b",)), job("b", 1, 1, needs=("a",))], "waits for what no earlier tier has"),
    ],
)
def test_what_can_never_start_is_refused(jobs: list[ScheduledJob], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        place_jobs(jobs, MachineKind(name="g", slots=8))


@pytest.mark.parametrize(
    ("counts", "slots", "chain"), [({1, 2, 4}, 8, True), ({2, 3}, 6, False), ({4}, 6, False), (set(), 6, True)]
)
def test_a_chain_divides_step_by_step(counts: set[int], slots: int, chain: bool) -> None:
    assert is_chain(counts, slots) is chain


def test_several_machines_of_counts_that_do_not_divide_have_no_theorem() -> None:
    jobs = [job(f"j{n}", 3, 10) for n in range(5)]
    assert place_jobs(jobs, MachineKind(name="g", slots=8, count=2)).proven_s is None
