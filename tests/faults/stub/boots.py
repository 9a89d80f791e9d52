"""Boots: right in most launches of one plan, and wrong in some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.faults.stub.defect import Answer, Asked, Damage, Defect, always, says, when
from tests.faults.suite_tests import BOOTS

WRONG_BOOT = 3  # of five
CRASH = "CUDA error: an illegal memory access was encountered"


def _in_one_boot(damage: Damage) -> Damage:
    return when(lambda asked: asked.boot == WRONG_BOOT, damage)


def _shift(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, logprob_shift=1.0)


DEFECTS: Mapping[str, Defect] = {
    "wrong_in_one_boot_of_five": Defect(
        does="one launch of five answers every question wrong",
        family="boots",
        kills=(BOOTS,),
        damage=_in_one_boot(says("It is Atlantis.")),
    ),
    "other_numbers_in_one_boot_of_five": Defect(
        does="logprobs of one launch of five are 1 nat off", family="boots", kills=(BOOTS,), damage=_in_one_boot(_shift)
    ),
    "fails_in_one_boot_of_five": Defect(
        does="one launch of five answers every request with HTTP 500 and a CUDA error",
        family="boots",
        kills=(BOOTS,),
        damage=_in_one_boot(always(status=500, error=CRASH)),
    ),
}
