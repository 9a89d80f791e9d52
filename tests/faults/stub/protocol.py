"""Protocol: the words are right and everything around them is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.faults.stub.defect import Answer, Asked, Defect, always, when
from tests.faults.suite_tests import ANY_REPLY, CALL, COUNTED, FACTS, LOADED, OVER, SIGNATURE, SINGLE, STREAM, TEXT


def _serves_cut(answer: Answer, asked: Asked) -> Answer:
    """Answer a prompt over the context as if it had been cut silently."""
    return replace(answer, status=200, content="a a a", prompt_tokens=4095) if asked.over else answer


DEFECTS: Mapping[str, Defect] = {
    "wrong_usage": Defect(
        does="usage reports ten times the prompt tokens, plus 500",
        family="protocol",
        kills=(*ANY_REPLY, SIGNATURE),
        damage=lambda a, asked: replace(a, prompt_tokens=10 * a.prompt_tokens + 500),
    ),
    "counts_too_many_tokens": Defect(
        does="usage reports 4,096 completion tokens for every reply",
        family="protocol",
        kills=(*ANY_REPLY, SINGLE, LOADED),
        damage=always(completion_tokens=4096),
    ),
    "no_usage": Defect(family="protocol", kills=(*ANY_REPLY, SINGLE, LOADED), damage=always(usage=False)),
    "counts_one_token_more": Defect(
        does="usage reports one prompt token too many, as after another chat template",
        family="protocol",
        kills=(COUNTED,),
        damage=lambda a, asked: replace(a, prompt_tokens=a.prompt_tokens + 1),
    ),
    "serves_over_the_context": Defect(
        does="the engine cuts a prompt over the context and answers it, instead of refusing it",
        family="protocol",
        kills=(OVER,),
        damage=_serves_cut,
    ),
    "500_over_the_context": Defect(
        does="a prompt over the context gets HTTP 500 instead of a refusal",
        family="protocol",
        kills=(OVER,),
        damage=when(lambda a: a.over, always(status=500)),
    ),
    "refuses_without_reason": Defect(
        does="the refusal of a prompt over the context does not name the limit",
        family="protocol",
        kills=(OVER,),
        damage=when(lambda a: a.over, always(error="bad request")),
    ),
    "missing_done": Defect(family="protocol", kills=(STREAM, TEXT), damage=always(done=False)),
    "wrong_finish_reason": Defect(family="protocol", kills=ANY_REPLY, damage=always(finish_reason="length")),
    "calls_finish_as_stop": Defect(
        family="protocol",
        kills=(CALL,),
        damage=lambda a, asked: replace(a, finish_reason="stop") if a.calls else a,
    ),
    "bursts_of_500": Defect(
        family="protocol", kills=(FACTS, LOADED), damage=when(lambda a: a.number % 3 == 0, always(status=500))
    ),
    "resets_connection": Defect(
        family="protocol", kills=(FACTS, SINGLE), damage=when(lambda a: a.number % 2 == 0, always(cut_after=1))
    ),
    "stalls_in_stream": Defect(
        does="a stream stops after two events and stays open",
        family="protocol",
        kills=(STREAM, TEXT),
        damage=always(stall_after=2),
    ),
}
