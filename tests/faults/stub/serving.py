"""Slower or faster than is true, features that are not there, and engines that are gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.faults.stub.answers import tokens
from tests.faults.stub.defect import Answer, Asked, Damage, Defect, always, when
from tests.faults.suite_tests import (
    BOOT,
    BY_CONTEXT,
    CALL,
    CHUNKS,
    FACTS,
    LOADED,
    MTP,
    MTP_COMPANY,
    OVER,
    PREFILL,
    SINGLE,
    SWEEP,
)

ILLEGAL_ACCESS = "CUDA error: an illegal memory access was encountered"


def _short_load(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, content=answer.content[: len(answer.content) // 2]) if asked.load else answer


def _lose_text(change: Callable[[list[str]], list[str]]) -> Damage:
    """Change the text of a load's stream; usage counts the tokens that it should have."""

    def damage(answer: Answer, asked: Asked) -> Answer:
        told = tokens(answer.content)
        if not (asked.load and asked.stream and len(told) > 1):
            return answer
        return replace(answer, content="".join(change(told)), completion_tokens=len(told))

    return damage


DEFECTS: Mapping[str, Defect] = {
    # performance
    "ends_load_early": Defect(family="performance", kills=(SINGLE, LOADED, BY_CONTEXT, SWEEP), damage=_short_load),
    "cold_is_warm": Defect(
        does="a prompt that the engine never saw is reported as cached",
        family="performance",
        kills=(PREFILL,),
        damage=lambda a, asked: replace(a, cached_tokens=a.prompt_tokens - 1),
    ),
    "drops_a_delta_in_load": Defect(
        does="a stream of a load test loses its last delta, and usage counts it",
        family="performance",
        kills=(SINGLE, LOADED),
        damage=_lose_text(lambda t: t[:-1]),
    ),
    "repeats_a_delta_in_load": Defect(
        does="a stream of a load test sends its last delta twice, and usage counts it once",
        family="performance",
        kills=(SINGLE, LOADED),
        damage=_lose_text(lambda t: [*t, t[-1]]),
    ),
    # Caught by the baseline (checks.throughput.not_slower), not by one run: no single speed is wrong in itself.
    "slow_decode": Defect(family="performance", kills=(), damage=always(delay_s=0.02)),
    # features
    "mtp_accepts_everything": Defect(family="features", kills=(MTP, MTP_COMPANY), metrics={"accepted_tokens": 1.25}),
    "mtp_accepts_nothing": Defect(
        does="the counter of accepted draft tokens stays at 0",
        family="features",
        kills=(MTP, MTP_COMPANY),
        metrics={"accepted_tokens": 0.0},
    ),
    "mtp_drafts_nothing": Defect(
        family="features",
        kills=(MTP, MTP_COMPANY),
        metrics={
            "accepted_tokens": 0.0,
            "drafted_tokens": 0.0,
        },
    ),
    "ignores_chunk_size": Defect(
        does="the engine prefills in chunks five times as large as configured",
        family="features",
        kills=(CHUNKS,),
        chunk_factor=5,
    ),
    # lifecycle
    "never_healthy": Defect(family="lifecycle", kills=(), healthy=False),  # the launcher's to notice
    "hangs": Defect(family="lifecycle", kills=(BOOT, FACTS), damage=always(stall_after=0)),
    "dies": Defect(
        does="the process ends at the first request", family="lifecycle", kills=(BOOT, FACTS), damage=always(die=True)
    ),
    "dies_after_the_first": Defect(
        does="the process ends at the second request",
        family="lifecycle",
        kills=(FACTS, CALL),
        damage=when(lambda a: a.number > 1, always(die=True)),
    ),
    "fails_after_the_first": Defect(
        does="every request but the first gets HTTP 500 with a CUDA error",
        family="lifecycle",
        kills=(FACTS, CALL),
        damage=when(lambda a: a.number > 1, always(status=500, error=ILLEGAL_ACCESS)),
    ),
    "dies_over_the_context": Defect(
        does="the process ends at a prompt over the context",
        family="lifecycle",
        kills=(OVER,),
        damage=when(lambda a: a.over, always(die=True)),
    ),
}
