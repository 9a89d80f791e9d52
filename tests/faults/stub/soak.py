"""Soak: right and fast at first, and otherwise after a while."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.faults.stub.defect import Answer, Asked, Defect, about, says, when
from tests.faults.suite_tests import SOAK

SLOWER_S = 0.003  # with each request: well over what a busy host adds (suites.checks.drift)
FEWER, MIB = 0.01, 2**20
SOUND = 20  # requests, before it is wrong


def _slow_down(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, hold_s=SLOWER_S * asked.number)


def _forget_cached(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, cached_tokens=max(0, answer.cached_tokens - 8 * asked.number))


DEFECTS: Mapping[str, Defect] = {
    "slows_down_over_time": Defect(
        does="each request takes 3 ms longer than the one before", family="soak", kills=(SOAK,), damage=_slow_down
    ),
    "finds_less_over_time": Defect(
        does="each request finds 8 cached tokens fewer than the one before",
        family="soak",
        kills=(SOAK,),
        damage=_forget_cached,
    ),
    "accepts_less_over_time": Defect(
        does="each request has 1 % fewer of its drafts accepted than the one before",
        family="soak",
        kills=(SOAK,),
        drift={"accepted_tokens": lambda number: max(0.1, 1 - FEWER * number)},
    ),
    "grows_over_time": Defect(
        does="each request leaves 1 MiB more of the server's memory resident",
        family="soak",
        kills=(SOAK,),
        more_metrics=lambda requests: f"process_resident_memory_bytes {(20 + requests) * MIB}\n",
    ),
    "wrong_after_a_while": Defect(
        does="the engine finds no code in a text from request 21 on",
        family="soak",
        kills=(SOAK,),
        damage=when(lambda a: a.number > SOUND, about("needle", says("I do not know."))),
    ),
}
