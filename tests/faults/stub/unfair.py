"""A closed load of which one request is served worse than the others: it waits, stands still, or crawls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.faults.stub.defect import Answer, Asked, Damage, Defect
from tests.faults.suite_tests import LOADED

LOSES = 3  # of the load requests: the first that is measured, behind a warm-up wave of two
EACH_S = 0.15  # of the others: what is sent within 0.1 s has no order
STARVED_S = 2.5
PACE_S = 0.01  # between two tokens
CRAWL_S = 0.15


def _one_loses(loser: Callable[[Answer], Answer], others: Callable[[Answer], Answer]) -> Damage:
    def damage(answer: Answer, asked: Asked) -> Answer:
        if not (asked.load and asked.stream):
            return answer
        return loser(answer) if asked.loads == LOSES else others(answer)

    return damage


DEFECTS: Mapping[str, Defect] = {
    "starves_one_of_a_closed_load": Defect(
        does="one request of a closed load gets its first token when all others came and went",
        family="performance",
        kills=(LOADED,),
        damage=_one_loses(lambda a: replace(a, hold_s=STARVED_S), lambda a: replace(a, hold_s=EACH_S)),
    ),
    "one_slot_crawls": Defect(
        does="a reply of a load takes fifteen times as long a token as those beside it",
        family="performance",
        kills=(LOADED,),
        damage=_one_loses(lambda a: replace(a, delay_s=CRAWL_S), lambda a: replace(a, delay_s=PACE_S)),
    ),
}
