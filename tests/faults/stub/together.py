"""Company: right alone, and something else where several long requests are in work at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fixtures.client.reply import ToolCall
from tests.faults.stub.answers import tokens
from tests.faults.stub.defect import Answer, Asked, Damage, Defect
from tests.faults.suite_tests import COMPANY, STREAMS_BEYOND

SPOILED_BY = 2  # requests at once, after which a cache is wrong
HELD_S = 0.2  # longer than what lies between two arrivals of a company, on a busy host, too


def _beside(condition: Callable[[Asked], bool], damage: Callable[[Answer, Asked], Answer]) -> Damage:
    """Hold requests beyond index_topk, so that they meet, and damage those that meet another one."""

    def change(answer: Answer, asked: Asked) -> Answer:
        if not asked.beyond:
            return answer
        changed = damage(answer, asked) if asked.inside > 1 and condition(asked) else answer
        return replace(changed, hold_s=HELD_S)

    return change


def _alter_call(call: ToolCall) -> ToolCall:
    told: dict[str, Any] = json.loads(call.arguments)
    return replace(call, arguments=json.dumps({name: f"{value}0" for name, value in told.items()}))


def _swap(answer: Answer, asked: Asked) -> Answer:
    # Of one that it meets: which came right before it is chance on a busy host, and not each has an answer.
    near = [each.item for each in asked.beside] + [asked.before]
    others = (item.answer for item in near if item and item.answer and item.answer != answer.content)
    return replace(answer, content=other) if (other := next(others, None)) and answer.content else answer


def _spoil_cache(answer: Answer, asked: Asked) -> Answer:
    """Shift logprobs of a request alone that reads a page written beside others."""
    held = replace(answer, hold_s=HELD_S) if asked.beyond else answer
    spoiled = asked.cached and asked.inside == 1 and asked.most_inside >= SPOILED_BY
    return replace(held, logprob_shift=1.0) if spoiled and asked.beyond else held


def _drop_token(answer: Answer, asked: Asked) -> Answer:
    told = tokens(answer.content)
    lost = "".join([*told[:2], *told[3:]])
    return replace(answer, content=lost) if asked.stream and asked.beyond and len(told) > 3 else answer


def _is_long_talk(asked: Asked) -> bool:
    return asked.item is not None and sum(m["role"] == "user" for m in asked.item.messages) > 1


DEFECTS: Mapping[str, Defect] = {
    "long_turns_swap_in_company": Defect(family="together", kills=(COMPANY,), damage=_beside(_is_long_talk, _swap)),
    "long_calls_change_in_company": Defect(
        family="together",
        kills=(COMPANY,),
        damage=_beside(lambda a: True, lambda a, _: replace(a, calls=tuple(map(_alter_call, a.calls)))),
    ),
    "company_changes_numbers_beyond_index_topk": Defect(
        does="logprobs of a prompt longer than index_topk are 1 nat off while another request is in flight",
        family="together",
        kills=(COMPANY,),
        damage=_beside(lambda a: True, lambda a, _: replace(a, logprob_shift=1.0)),
    ),
    "company_spoils_the_cache": Defect(
        does="a prefix that was cached while two requests were in flight is wrong for the next request that reads it",
        family="together",
        kills=(COMPANY,),
        damage=_spoil_cache,
    ),
    "streams_lose_a_token_beyond_index_topk": Defect(
        does="a stream behind a prompt longer than index_topk loses its third token",
        family="together",
        kills=(STREAMS_BEYOND,),
        damage=_drop_token,
    ),
}
