"""A load that comes by the clock: right for those who wait for their reply, and wrong where requests pile up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.faults.stub.answers import tokens
from tests.faults.stub.defect import Answer, Asked, Defect
from tests.faults.suite_tests import OPEN

CLOSED_LOADS = 6  # a warm-up wave and two more of two streams come before the open loop
STALL_S = 7.0  # beyond what a busy host may cost: five times the least limit of a second
STALLED = range(CLOSED_LOADS + 2, CLOSED_LOADS + 7)  # load requests that come while the server stands still
PILE_S = 0.3
STREAMS = 2  # of the closed loop: more at once come by the clock alone
EACH_S = 0.05  # so that twelve arrivals at half of the capacity spread over more than half a second
LATE_S = 0.95  # of the first of them: within the least limit


def _stall(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, hold_s=STALL_S) if asked.load and asked.loads in STALLED else answer


def _drop_tail(answer: Answer, asked: Asked) -> Answer:
    if not (asked.load and asked.stream and asked.loads > CLOSED_LOADS):
        return answer
    told = tokens(answer.content)
    lost = "".join(told[:-2]) if asked.inside > STREAMS else answer.content
    return replace(answer, content=lost, completion_tokens=len(told), hold_s=PILE_S)


def _lose_request(answer: Answer, asked: Asked) -> Answer:
    """Refuse what comes beside more than a closed loop sends."""
    if not (asked.load and asked.loads > CLOSED_LOADS):
        return answer
    return replace(answer, status=429, error="busy") if asked.inside > STREAMS else replace(answer, hold_s=PILE_S)


def _serve_first_last(answer: Answer, asked: Asked) -> Answer:
    if not asked.load:
        return answer
    return replace(answer, hold_s=LATE_S if asked.loads == CLOSED_LOADS + 1 else EACH_S)


DEFECTS: Mapping[str, Defect] = {
    "stands_still_and_catches_up": Defect(family="performance", kills=(OPEN,), damage=_stall),
    "drops_tails_where_requests_pile_up": Defect(family="performance", kills=(OPEN,), damage=_drop_tail),
    "refuses_where_requests_pile_up": Defect(family="performance", kills=(OPEN,), damage=_lose_request),
    "serves_the_first_one_last": Defect(family="performance", kills=(OPEN,), damage=_serve_first_last),
}
