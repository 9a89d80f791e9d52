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
        does="a later turn answers from another conversation's KV pages",
        family="reuse",
        kills=(TALK,),
        damage=when(_is_later_turn, says("The secret code is 0badc0de.")),
    ),
    "later_turns_have_other_numbers": Defect(
        does="logprobs of a later turn are 1 nat off where its beginning comes from the prefix cache",
        family="reuse",
        kills=(TALK,),
        damage=when(_is_later_turn, _shift(1.0)),
    ),
    "evicted_prefix_is_read_again": Defect(
        does="logprobs of a long prompt are 1 nat off when the engine reads a prefix whose pages were given away",
        family="reuse",
        kills=(TALK,),
        damage=when(lambda a: a.beyond and a.cached, _shift(1.0)),
    ),
    "reloaded_prefix_is_another": Defect(
        does="logprobs are 1 nat off when the prefix was loaded back from host memory",
        family="reuse",
        kills=(TALK,),
        damage=when(lambda a: a.reloaded and a.cached, _shift(1.0)),
    ),
    "tells_more_cached_tokens_than_there_are": Defect(
        does="usage reports 500 cached tokens more than the prefix cache holds",
        family="reuse",
        kills=(TALK,),
        damage=_tell_cached,
    ),
    "never_finds_a_prefix": Defect(
        does="usage reports 0 cached tokens for every request",
        family="reuse",
        kills=(TALK,),
        damage=lambda answer, asked: replace(answer, cached_tokens=0),
    ),
}
