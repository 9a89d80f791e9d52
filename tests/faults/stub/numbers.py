"""Logprobs that depend on what must not matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.faults.stub.defect import HELD_S, Answer, Asked, Damage, Defect, when
from tests.faults.suite_tests import NEIGHBOURS, PREFIX, SECOND_TURN


def _shifts(nats: float) -> Damage:
    return lambda answer, asked: replace(answer, logprob_shift=nats)


def _shifts_in_batch(answer: Answer, asked: Asked) -> Answer:
    """Another kernel for more rows, and a wrong one."""
    return replace(answer, hold_s=HELD_S, logprob_shift=0.5 if asked.inside > 1 else 0.0)


def _never_repeats(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, logprob_shift=0.5 * (asked.number % 2))


DEFECTS: Mapping[str, Defect] = {
    "cache_changes_numbers": Defect(family="numbers", kills=(PREFIX,), damage=when(lambda a: a.cached, _shifts(0.5))),
    "batch_changes_numbers": Defect(
        does="logprobs are 0.5 nats off while another request is in flight",
        family="numbers",
        kills=(NEIGHBOURS,),
        damage=_shifts_in_batch,
    ),
    "never_repeats_itself": Defect(
        does="logprobs of every second request are 0.5 nats off, even if both requests are equal",
        family="numbers",
        kills=(PREFIX, NEIGHBOURS, SECOND_TURN),
        damage=_never_repeats,
    ),
}
