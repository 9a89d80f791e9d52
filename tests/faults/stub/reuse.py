"""Reuse: right from a cold cache, and something else from what is kept of a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.faults.stub.defect import Answer, Asked, Damage, Defect, says, when
from tests.faults.suite_tests import TALK

TOLD_TOO_MANY = 500  # tokens more than the prompt has


def _is_later_turn(asked: Asked) -> bool:
    return 0 < asked.cached_tokens < asked.prompt_tokens - 1


def _shift(nats: float) -> Damage:
    return lambda answer, asked: replace(answer, logprob_shift=nats)


def _tell_cached(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, cached_tokens=answer.cached_tokens + TOLD_TOO_MANY if answer.cached_tokens else 0)


DEFECTS: Mapping[str, Defect] = {
    "later_turns_read_other_pages": Defect(
        family="reuse", kills=(TALK,), damage=when(_is_later_turn, says("The secret code is 0badc0de."))
    ),
    "later_turns_have_other_numbers": Defect(family="reuse", kills=(TALK,), damage=when(_is_later_turn, _shift(1.0))),
    "evicted_prefix_is_read_again": Defect(
        family="reuse", kills=(TALK,), damage=when(lambda a: a.beyond and a.cached, _shift(1.0))
    ),
    "reloaded_prefix_is_another": Defect(
        family="reuse", kills=(TALK,), damage=when(lambda a: a.reloaded and a.cached, _shift(1.0))
    ),
    "tells_more_cached_tokens_than_there_are": Defect(family="reuse", kills=(TALK,), damage=_tell_cached),
    "never_finds_a_prefix": Defect(
        family="reuse", kills=(TALK,), damage=lambda answer, asked: replace(answer, cached_tokens=0)
    ),
}
