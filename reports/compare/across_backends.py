"""Judges cells that serve the same weights by other backends (another release, another GPU): their next-token
distributions are those of one model.

Pairs that differ only in how one release is launched belong to `reports.compare.same_answers`, whose numbers and bounds
are used here. What is new is what no reference was recorded for: a big checkpoint leaves the signature of its frozen
prompts, and two backends of one run are held against each other.

    with a reference  the mean of each prompt within what two such cells may be apart (canaries: on an H200 vLLM 0.33.0
                      and SGLang 0.5.23 were at most 0.62 of one tolerance apart in 57 prompts, and 4 are allowed)
    without           no position `SURELY_OTHER` apart; below it nothing is judged, since no floor was measured

What a backend differs from itself by is no bound: in those runs two backends were up to 39 times as far apart (FP8).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from matrix.judging.extremes import find_largest
from matrix.judging.kl import Divergence, merge_candidates, top_k_kl
from matrix.judging.logprobs import Logprobs, likeliest_first
from matrix.wording import list_first
from reports.compare.noise_floor import AGAIN, read_recording
from reports.compare.same_answers import BETWEEN_TWO, SHOWN, Outcome, PairVerdict, find_excused, rank_plainness
from reports.evidence.types import Found, Record, Run
from reports.expected import ExpectedCell

SIGNATURES: Final = ("signature.short", "signature.long")
# Nats at one position: one backend gives its likeliest token nearly no mass in the other. Rounding moves a logprob by
# tenths where a model is unsure, and there KL counts it by its square: 0.054 at most in 57 prompts of an H200.
SURELY_OTHER: Final = 1.0
ALIKE: Final = ("checkpoint",)
BACKEND: Final = ("gpu", "release")
Prompt = tuple[str, str]  # item, and what makes its text the same: a digest, or the commit whose bank it is of


class AcrossBackends(PairVerdict):
    """The verdict about cells that serve the same weights by two backends."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Numbers:
    positions: Logprobs
    tolerance: float | None  # from the reference; None: none was recorded


def judge_across_backends(
    cells: Iterable[ExpectedCell], records: Sequence[Record], up: Collection[str]
) -> tuple[AcrossBackends, ...]:
    """Judge each pair among the cells whose engines started (`up`): a failed start is told by itself."""
    pairs = [*find_backend_pairs(c for c in cells if c.id in up)]
    read = _make_reader(records, {c.id for pair in pairs for c in pair})
    return tuple(_judge_pair(mine, other, read(mine.id), read(other.id)) for mine, other in pairs)


def find_backend_pairs(cells: Iterable[ExpectedCell]) -> Iterator[tuple[ExpectedCell, ExpectedCell]]:
    """Pair the plainest cell of each backend with that of the first one, for each checkpoint and set of features."""
    kinds: dict[tuple[Any, ...], dict[tuple[Any, ...], list[ExpectedCell]]] = {}
    for cell in cells:
        if cell.facts:
            kind = (*(cell.facts.get(name) for name in ALIKE), cell.features - cell.varied)
            backend = tuple(str(cell.facts.get(name)) for name in BACKEND)
            kinds.setdefault(kind, {}).setdefault(backend, []).append(cell)
    for backends in kinds.values():
        first, *others = (min(own, key=rank_plainness) for _, own in sorted(backends.items()))
        yield from ((cell, first) for cell in others)


def _make_reader(
    records: Sequence[Record], wanted: Collection[str]
) -> Callable[[str], Mapping[Prompt, Sequence[_Numbers]]]:
    """Make what reads the numbers of one cell."""
    commits = {r.run: r.commit or r.run for r in records if isinstance(r, Run)}
    excused = find_excused(records)
    own: dict[str, list[Found]] = {cell: [] for cell in wanted}
    for r in records:
        if isinstance(r, Found) and r.cell in own and r.item and r.nodeid not in excused:
            own[r.cell].append(r)

    # Two, since pairs of one kind share their first backend: those of all cells at once are as large as the records.
    @lru_cache(2)
    def read(cell: str) -> Mapping[Prompt, Sequence[_Numbers]]:
        found: dict[Prompt, list[_Numbers]] = {}
        for r in own[cell]:
            for prompt, numbers in _read_numbers(r, commits.get(r.run, r.run)):
                found.setdefault(prompt, []).append(numbers)
        return found

    return read


def _read_numbers(found: Found, commit: str) -> Iterator[tuple[Prompt, _Numbers]]:
    """Read what a finding holds of a frozen prompt. A signature names no digest: its prompt is its commit's."""
    if found.check not in (AGAIN, *SIGNATURES):
        return
    positions = [_merge_names(each) for each in read_recording(found)]
    allowed = found.data.get("tolerance")
    mark = str(found.data.get("prompt_sha256", "")) if found.check == AGAIN else commit
    if positions and mark:
        tolerance = float(allowed) if isinstance(allowed, int | float) else None
        yield (found.item, mark), _Numbers(positions=positions, tolerance=tolerance)


def _merge_names(position: Mapping[str, float]) -> dict[str, float]:
    """Give control tokens one name, as engines spell them differently."""
    return likeliest_first(merge_candidates(list(position.items()), next(iter(position), "")))


def _judge_pair(
    mine: ExpectedCell,
    other: ExpectedCell,
    one: Mapping[Prompt, Sequence[_Numbers]],
    two: Mapping[Prompt, Sequence[_Numbers]],
) -> AcrossBackends:
    shared = sorted(one.keys() & two.keys())
    pairs = ((item, a, b) for item, mark in shared for a in one[item, mark] for b in two[item, mark])
    each = [(item, a, b, top_k_kl(a.positions, b.positions)) for item, a, b in pairs]
    wrong = [why for item, a, b, far in each if (why := _explain_far(item, a, b, far))]
    bounded = any(a.tolerance is not None and b.tolerance is not None for _, a, b, _ in each)
    nats = find_largest(far.mean for *_, far in each)
    outcome: Outcome = "differs" if wrong else "same" if bounded else "not_evidence"
    detail = f"{len(shared)} frozen prompts at most {nats:.2g} nats a position apart"
    if wrong:
        detail = list_first(wrong, SHOWN, by="; ")
    elif not shared:
        detail = "no frozen prompt was asked of both"
    elif not bounded:
        detail += f"; not judged below {SURELY_OTHER:g} nat at one: no floor was measured for these weights"
    return AcrossBackends(cell=mine.id, other=other.id, outcome=outcome, prompts=len(shared), nats=nats, detail=detail)


def _explain_far(item: str, one: _Numbers, two: _Numbers, far: Divergence) -> str:
    """Explain why two recordings are not of one model; empty where they may be. NaN is above every bound."""
    if one.tolerance is None or two.tolerance is None:
        high = not far.largest < SURELY_OTHER
        return f"{item}: {far.largest:.2g} nats apart at one position" if high else ""
    allowed = BETWEEN_TWO * find_largest([one.tolerance, two.tolerance])
    high = not far.mean <= allowed
    return f"{item}: {far.mean:.2g} nats a position apart, {allowed:.2g} allowed" if high else ""
