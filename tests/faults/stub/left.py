"""Requests whose client hung up: work that goes on, and prefixes that were half written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.faults.stub.defect import Answer, Asked, Defect
from tests.faults.suite_tests import FOR_NOBODY, HALF_READ, OTHERS_LEFT

PREFILL_S = 0.3  # of a prompt beyond index_topk that is not cached: longer than a client waits that hangs up
EACH_S = 0.002  # between two tokens of a load
STORY_S = 0.01  # between two tokens of a long text: others hang up meanwhile
LONG_PREFILL_S = 30.0  # nobody waits so long who hangs up


def _read_half(answer: Answer, asked: Asked) -> Answer:
    if asked.beyond and not asked.cached:
        return replace(answer, hold_s=PREFILL_S)
    return replace(answer, logprob_shift=1.0) if asked.spoiled and asked.cached else answer


def _take_time(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, delay_s=EACH_S) if asked.load and asked.stream else answer


def _take_long(answer: Answer, asked: Asked) -> Answer:
    if asked.kind == "long_generation":
        return replace(answer, delay_s=STORY_S) if asked.stream else replace(answer, hold_s=STORY_S * asked.room)
    return replace(answer, hold_s=LONG_PREFILL_S) if asked.beyond else answer


DEFECTS: Mapping[str, Defect] = {
    "half_written_prefix_is_read": Defect(
        does="logprobs are 1 nat off where the prefix was computed for a request that was left before its first token",
        family="reuse",
        kills=(HALF_READ,),
        damage=_read_half,
    ),
    "works_on_for_nobody": Defect(
        does="a stream whose reader hung up is computed to its end",
        family="lifecycle",
        kills=(FOR_NOBODY,),
        damage=_take_time,
        after_hang_up="works on",
    ),
    "keeps_the_slot_of_a_left_stream": Defect(
        does="the next request waits until a stream that was left would have ended, and no counter shows it",
        family="lifecycle",
        kills=(FOR_NOBODY,),
        damage=_take_time,
        after_hang_up="blocks",
    ),
    "hang_ups_end_others": Defect(
        does="a stream ends with finish_reason stop when another client hangs up",
        family="lifecycle",
        kills=(OTHERS_LEFT,),
        damage=_take_long,
        beside_hang_up="end",
    ),
    "hang_ups_garble_others": Defect(
        does="a stream gets a rest of another one whose client hung up",
        family="bleed",
        kills=(OTHERS_LEFT,),
        damage=_take_long,
        beside_hang_up="get its rest",
    ),
}
