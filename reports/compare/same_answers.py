"""Judges cells that differ only in layout, cache, graphs or schedule: none of these may change an answer.

    numbers   the next-token distributions of the frozen prompts: each cell within its tolerance of the reference, and
              each pair within what two such cells can be apart
    answers   an item that one of them answers rightly is not answered wrongly by the other

A cell is held against the plainest cell of its kind (fewest GPUs, nothing varied), so that the work grows with the
evidence. A launch whose tokens are random passes each test that asks no canary's numbers and fails here; one that was
never asked is no evidence that it answers alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from matrix.judging.extremes import find_largest
from matrix.judging.kl import top_k_kl
from matrix.judging.logprobs import Logprobs, recorded_number
from matrix.judging.status import Status
from matrix.wording import list_first
from reports.compare.noise_floor import AGAIN, read_recording
from reports.evidence.types import Found, Record, Result
from reports.expected import ExpectedCell

Outcome = Literal["same", "differs", "not_evidence"]
ALIKE: Final = ("gpu", "release", "checkpoint")  # facts that both cells have in common
# Each may be its tolerance away from the reference, in either direction, and nats grow as the square of a distance.
# Healthy launches of one checkpoint were at most 0.3 of one tolerance apart (four releases on H100 and H200).
BETWEEN_TWO: Final = 4.0
SHOWN: Final = 3
Prompt = tuple[str, str]  # item, sha256 of its prompt
Question = tuple[str, str, str]  # check, item, sha256 of its prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class PairVerdict:
    """The verdict about `cell` beside `other`. `not_evidence`: nothing to compare, or no floor to judge by."""

    cell: str
    other: str
    outcome: Outcome
    prompts: int  # with numbers of both
    nats: float  # the farthest pair, a position
    detail: str

    def __str__(self) -> str:
        return f"{self.cell} beside {self.other}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SameAnswers(PairVerdict):
    """The verdict about cells that share all but what the launch varies."""

    answers: int  # asked of both


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenNumbers:
    """The numbers of one answer to a frozen prompt."""

    positions: Logprobs
    from_reference: float  # nats a position
    tolerance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CellAnswers:
    """What a cell left to compare."""

    numbers: Mapping[Prompt, Sequence[FrozenNumbers]]
    answers: Mapping[Question, bool]


def judge_same_answers(
    cells: Iterable[ExpectedCell], records: Sequence[Record], up: Collection[str]
) -> tuple[SameAnswers, ...]:
    """Judge each pair whose engines both started (`up`); a failed start is told by itself."""
    pairs = [(mine, other) for mine, other in find_pairs(cells) if mine.id in up and other.id in up]
    wanted = {c.id for pair in pairs for c in pair}
    split = _split_cells(records, wanted)

    # Two, since pairs of one kind share the plainest cell: those of all cells at once are as large as the records.
    @lru_cache(2)
    def read(cell: str) -> CellAnswers:
        return _read_told(split[cell])

    return tuple(_judge_pair(mine, other, read(mine.id), read(other.id)) for mine, other in pairs)


def find_pairs(cells: Iterable[ExpectedCell]) -> Iterator[tuple[ExpectedCell, ExpectedCell]]:
    """Pair each cell that varies a launch, or is a canary on more GPUs, with the plainest cell that is otherwise it."""
    kinds: dict[tuple[Any, ...], list[ExpectedCell]] = {}
    for cell in cells:
        if cell.facts:
            place = tuple(cell.facts.get(name) for name in ALIKE)
            kinds.setdefault((*place, cell.features - cell.varied), []).append(cell)
    for own in kinds.values():
        plainest, *others = sorted(own, key=rank_plainness)
        yield from ((c, plainest) for c in others if c.varied or c.facts.get("canary"))


def rank_plainness(cell: ExpectedCell) -> tuple[int, int, str]:
    """Rank a cell among its kind: the plainest varies nothing and has the fewest GPUs."""
    return len(cell.varied), cell.facts.get("gpus") or 0, cell.id


def _split_cells(records: Sequence[Record], wanted: Collection[str]) -> Mapping[str, list[Record]]:
    found: dict[str, list[Record]] = {cell: [] for cell in wanted}
    for record in records:
        if record.cell in found:
            found[record.cell].append(record)
    return found


def _read_told(records: Sequence[Record]) -> CellAnswers:
    """Read what was found, without tests that failed as a known failure says: those have their own entry.

    Records are in the order of time. Of answers the last run's count; numbers count of every run: what a launch once
    computed wrongly is not answered by another launch.
    """
    excused = find_excused(records)
    numbers: dict[Prompt, list[FrozenNumbers]] = {}
    answers: dict[Question, tuple[str, bool]] = {}  # run, right in all of its findings
    for found in (r for r in records if isinstance(r, Found) and r.item and r.nodeid not in excused):
        digest = str(found.data.get("prompt_sha256", ""))
        if found.check == AGAIN:
            numbers.setdefault((found.item, digest), []).extend(_read_numbers(found))
        if found.sensitive:
            key = (found.check, found.item, digest)
            run, right = answers.get(key, (found.run, True))
            answers[key] = (found.run, found.ok and (right or run != found.run))
    return CellAnswers(
        numbers={p: r for p, r in numbers.items() if r}, answers={key: right for key, (_, right) in answers.items()}
    )


def find_excused(records: Sequence[Record]) -> frozenset[str]:
    """Find the tests that failed as a known failure says."""
    return frozenset(r.nodeid for r in records if isinstance(r, Result) and r.status is Status.XFAIL)


def _read_numbers(found: Found) -> Iterator[FrozenNumbers]:
    positions, allowed = read_recording(found), found.data.get("tolerance")
    if positions and isinstance(allowed, int | float):
        nats = recorded_number(found.data.get("mean_nats"))
        yield FrozenNumbers(positions=positions, from_reference=nats, tolerance=float(allowed))


def _judge_pair(mine: ExpectedCell, other: ExpectedCell, one: CellAnswers, two: CellAnswers) -> SameAnswers:
    shared = sorted(one.numbers.keys() & two.numbers.keys())
    asked = one.answers.keys() & two.answers.keys()
    each = {prompt: _measure_apart(one.numbers[prompt], two.numbers[prompt]) for prompt in shared}
    wrong = [*_list_far(one, mine.id), *_list_far(two, other.id)]
    wrong += [
        f"{item}: {nats:.2g} nats a position apart, {allowed:.2g} allowed"
        for (item, _), (nats, allowed) in each.items()
        if not nats <= allowed
    ]
    wrong += [f"{key[0]} of {key[1]}: right in one, wrong in the other" for key in sorted(_list_lost(one, two, asked))]
    nats = find_largest(n for n, _ in each.values())
    outcome: Outcome = "differs" if wrong else "same" if shared else "not_evidence"
    detail = (
        list_first(wrong, SHOWN, by="; ") if wrong else f"{len(shared)} frozen prompts at most {nats:.2g} nats apart"
    )
    if outcome == "not_evidence":
        detail = f"{_name_silent(mine, other, one, two)} no numbers of a prompt that both were asked"
    return SameAnswers(
        cell=mine.id,
        other=other.id,
        outcome=outcome,
        prompts=len(shared),
        nats=nats,
        answers=len(asked),
        detail=f"{detail}; {len(asked)} answers compared",
    )


def _measure_apart(mine: Sequence[FrozenNumbers], yours: Sequence[FrozenNumbers]) -> tuple[float, float]:
    """Measure the farthest of any two recordings, and what is allowed."""
    allowed = BETWEEN_TWO * find_largest(r.tolerance for r in (*mine, *yours))
    return find_largest(top_k_kl(a.positions, b.positions).mean for a in mine for b in yours), allowed


def _list_far(told: CellAnswers, cell: str) -> Iterator[str]:
    for (item, _), recordings in told.numbers.items():
        for r in recordings:
            if not r.from_reference <= r.tolerance:
                yield f"{cell} is {r.from_reference:.2g} nats a position from the reference in {item}"


def _list_lost(one: CellAnswers, two: CellAnswers, asked: Collection[Question]) -> list[Question]:
    return [key for key in asked if key[0] != AGAIN and one.answers[key] is not two.answers[key]]


def _name_silent(mine: ExpectedCell, other: ExpectedCell, one: CellAnswers, two: CellAnswers) -> str:
    silent = [c.id for c, told in ((mine, one), (other, two)) if not told.numbers]
    return f"{' and '.join(silent)} left" if silent else "there are"
