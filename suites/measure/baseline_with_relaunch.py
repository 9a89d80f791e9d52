"""Compares a load's speed with the cell's earlier launches, and measures a slower one again on a fresh launch.

The rule and its reason: docs/decisions/0012. Nothing else is measured again: a load that is incomplete, impossible or
below a published number fails as it is, and then no launch could change the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fixtures.banks.bank import Bank
from matrix.model import Cell
from reports.compare.baselines import Baseline
from reports.evidence.finding import Finding
from suites.asking.contract import EngineHandle, EvidenceSink, Relaunch
from suites.asking.depth import Depth
from suites.checks import throughput
from suites.measure import claims, load_text, loads

Measure = Callable[..., dict[str, Any]]  # as `loads.measure_load`
NOT_OURS = "the engine is somebody else's"
NOT_REPEATED = "what was asked there differs"  # other prompt lengths: some requests failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One load for an engine. `true` judges whether the result is a measurement at all."""

    streams: int = 1
    output_len: int
    waves: int = 1
    prompt_tokens: int
    true: Callable[[Mapping[str, Any]], Finding | Sequence[Finding]]
    where: Mapping[str, Any] = field(default_factory=dict)  # conditions that the result does not hold
    options: Mapping[str, Any] = field(default_factory=dict)  # more of what `measure` takes


@dataclass(frozen=True, slots=True)
class Taken:
    """A load on one launch: findings about the measurement, and findings against the baseline."""

    load: Load
    sound: Sequence[Finding]
    watched: Sequence[Finding]

    @property
    def is_sound(self) -> bool:
        return all(f.ok for f in self.sound)

    @property
    def slow(self) -> list[Finding]:
        return [f for f in self.watched if f.sensitive and not f.ok]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredInputs:
    """The inputs with which a test measures."""

    cell: Cell
    bank: Bank
    evidence: EvidenceSink
    depth: Depth
    baseline: Baseline
    relaunch: Relaunch
    measure: Measure = loads.measure_load

    def findings(self, engine: EngineHandle, asked: Iterable[Load]) -> Iterator[Finding]:
        """Run each load once; stop at the first invalid result. Run slow loads again on a fresh launch only if
        everything else is valid."""
        taken: list[Taken] = []
        for load in asked:
            taken.append(self._measure_load(engine, load))
            yield from taken[-1].sound
            if not taken[-1].is_sound:
                break
        again = [t for t in taken if t.slow] if all(t.is_sound for t in taken) else []
        yield from (f for t in taken for f in t.watched if not (again and f in t.slow))
        yield from self._measure_again(again) if again else ()

    def _measure_again(self, slow: Sequence[Taken]) -> Iterator[Finding]:
        fresh = self.relaunch("; ".join(f"{f.check} {f.got}" for t in slow for f in t.slow))
        for first in slow:
            if fresh is None:
                yield from (throughput.keep_first_verdict(f, NOT_OURS) for f in first.slow)
                continue
            second = self._measure_load(fresh, first.load, attempt=2)
            yield from second.sound
            found = {f.check: f for f in second.watched}
            for f in first.slow:
                yield (
                    throughput.judge_both_launches(f, found[f.check])
                    if f.check in found
                    else throughput.keep_first_verdict(f, NOT_REPEATED)
                )

    def _measure_load(self, engine: EngineHandle, load: Load, **attempt: int) -> Taken:
        depth = replace(self.depth, load_prompt_tokens=load.prompt_tokens)
        result = self.measure(
            engine,
            self.bank,
            depth,
            streams=load.streams,
            output_len=load.output_len,
            waves=load.waves,
            **load.options,
        )
        loads.require_fit(result, self.cell)
        where = loads.record_load(self.evidence, result, depth=depth.name, **load.where, **attempt)
        published = () if attempt else claims.check_claims(self.cell, result)
        read = load_text.check_texts(
            engine,
            self.bank,
            result,
            streams=load.streams,
            prompt_tokens=load.prompt_tokens,
            output_len=load.output_len,
        )
        complete = throughput.check_complete(result, output_len=load.output_len)
        judged = load.true(result)
        true = [judged] if isinstance(judged, Finding) else judged
        sound = [complete, *true, *published, *(read if complete.ok else ())]
        return Taken(load, sound, [*loads.check_baseline(self.baseline, self.cell, result, where)])
