"""Measures the run-to-run noise of one engine, from the recordings that one cell left of the long frozen prompt.

The signature test asks this prompt in every cell; canaries ask it again when they are compared with the reference, and
cells with IndexCache in their own test. On GPUs sparse attention does not repeat itself, and later requests come from
the prefix cache, so that two launches differ by as much without any feature between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, takewhile
from typing import Final

from matrix.judging.extremes import find_largest
from matrix.judging.kl import is_control
from matrix.judging.logprobs import (
    Logprobs,
    chosen_token,
    drop_drafted,
    likeliest_first,
    measure_distance,
    recorded_numbers,
)
from reports.evidence.types import Found, Record

FIRST: Final = "signature.long"
AGAIN: Final = "reference.kl"  # of every prompt: the item tells which


def measure_noise(cells: Iterable[Sequence[Record]]) -> float | None:
    """Measure the largest distance between two recordings within one of these cells; None where no cell has two."""
    pairs = (pair for records in cells for pair in combinations(_iterate_recordings(records), 2))
    found = [measure_distance(a, b) for (item, a), (other, b) in pairs if item == other]
    return find_largest(found) if found else None


def _iterate_recordings(records: Sequence[Record]) -> Iterator[tuple[str, Logprobs]]:
    found = [r for r in records if isinstance(r, Found)]
    items = {r.item for r in found if r.check == FIRST}
    for r in found:
        said = _read_spoken(r) if r.item in items and r.check in (FIRST, AGAIN) else []
        if said:
            yield r.item, said


def read_recording(found: Found) -> list[dict[str, float]]:
    """Read what a signature or a comparison with the reference left of each position, the likeliest candidate first."""
    listed = found.data.get("signature") or found.data.get("candidates") or []
    return [likeliest_first(recorded_numbers(p)) for p in listed]


def _read_spoken(found: Found) -> Logprobs:
    """Drop control tokens: llama.cpp spells all of them alike; a signature keeps one of them, and a list of
    candidates (`matrix.judging.kl.read_distributions`) their sum."""
    spoken = takewhile(lambda position: not is_control(chosen_token(position)), read_recording(found))
    return drop_drafted([{t: v for t, v in position.items() if not is_control(t)} for position in spoken])
