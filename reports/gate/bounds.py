"""Holds each measured decode speed between the roofline and what was published on its GPU. Pure.

    above the ceiling   red, whatever the policy: nothing reads its weights faster than memory delivers them
    below a floor       red where a published number of the same GPU supports it and the policy judges speed
                        (`throughput`); else a note, which says what it rests on

Speeds under load are held, too: each stream makes a token only when the weights were read once, and so many streams
make at most so many times the ceiling.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from matrix.judging.roofline import Floor
from matrix.wording import list_first
from reports.evidence.types import Measured, Record
from reports.expected import ExpectedCell
from reports.gate.speed import Sentence, SpeedJudged

RULE: Final = "roofline"
PER_STREAM: Final = "median_tpot_ms"
TOGETHER: Final = "output_throughput"
SHOWN: Final = 3


def judge_bounds(expected: Sequence[ExpectedCell], records: Sequence[Record], *, published_is_red: bool) -> SpeedJudged:
    """Judge every decode speed of these cells by their bounds."""
    own: dict[str, list[Measured]] = {cell.id: [] for cell in expected}
    for r in records:
        if isinstance(r, Measured) and r.name in (PER_STREAM, TOGETHER) and r.cell in own:
            own[r.cell].append(r)
    reasons: list[Sentence] = []
    told: list[str] = []
    for cell in expected:
        reasons += ((cell.id, text) for text in _list_impossible(cell, own[cell.id]))
        slow = _list_slow(cell, own[cell.id])
        for is_red in (True, False):
            texts = [text for floor, text in slow if (floor.published and published_is_red) is is_red]
            said = list_first(texts, SHOWN, by="; ")
            if texts and is_red:
                reasons.append((cell.id, f"{said}."))
            elif texts:
                told.append(f"{cell.id}: {said}.")
    return SpeedJudged(reasons=tuple(reasons), told=tuple(told))


def _list_impossible(cell: ExpectedCell, measured: Sequence[Measured]) -> Iterator[str]:
    ceiling = cell.bounds.ceiling
    for m in measured if ceiling else ():
        streams, speed = _read_conditions(m.conditions)[1], _read_speed(m)
        most = (ceiling or 0.0) * (streams if m.name == TOGETHER else 1)
        # `not <=`, so that NaN is above every ceiling.
        if not speed <= most:
            yield (
                f"{m.name} of {m.value:.4g} {m.unit} ({streams:g} at once) is {speed:.4g} tok/s, above the roofline of"
                f" {most:.4g}: it is no measurement."
            )


def _list_slow(cell: ExpectedCell, measured: Sequence[Measured]) -> list[tuple[Floor, str]]:
    """List what is below a floor, with the floor; of a client that was too late nothing follows."""
    found = []
    for m in measured:
        context, streams = _read_conditions(m.conditions)
        floor = cell.bounds.find_floor(context, streams) if m.name == PER_STREAM else None
        speed = _read_speed(m)
        if floor and speed < floor.tps and m.conditions.get("client_fit") is not False:
            after = f"{speed:.3g} tok/s a stream after {context:g} tokens ({streams:g} at once)"
            found.append((floor, f"{after} is far below what is known: {floor}"))
    return found


def _read_speed(m: Measured) -> float:
    """Read tokens per second; infinite for a step that took no time."""
    if m.name == TOGETHER:
        return m.value
    return 1000 / m.value if m.value > 0 else math.inf


def _read_conditions(conditions: Mapping[str, object]) -> tuple[float, float]:
    """Read the prompt's length and the number of streams; a prompt whose length is not told may be of any."""
    context, streams = conditions.get("input_len"), conditions.get("concurrency")
    return (
        # An unknown length as infinite: no floor was measured under conditions that hard, so none is applied.
        float(context) if isinstance(context, int | float) else math.inf,
        float(streams) if isinstance(streams, int | float) else 1.0,
    )
