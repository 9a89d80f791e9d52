"""What a request takes from those that are in work with it: limits, samplers, grammars, thoughts and calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.faults.stub.answers import HOT_WORDS, THOUGHTS, make_call, tokens
from tests.faults.stub.defect import Answer, Asked, Damage, Defect
from tests.faults.stub.forms import fill_form
from tests.faults.suite_tests import CALLS_COMPANY, FIELDS_COMPANY, THINK_BESIDE

HELD_S = 0.15  # of a reply with several calls: those that are sent at once meet
TAKEN_S = 0.4  # of a reply that others take from: on a busy host threads begin late
Take = Callable[[Answer, Asked, Asked], Answer]  # answer, own request, the neighbour's


def _beside(wanted: Callable[[Asked], bool], take: Take) -> Damage:
    """Hold the replies that are wanted, and let those that come meanwhile take from them."""

    def damage(answer: Answer, asked: Asked) -> Answer:
        if wanted(asked):
            return replace(answer, hold_s=TAKEN_S)
        other = next((each for each in asked.beside if wanted(each)), None)
        return answer if other is None or asked.load else take(answer, asked, other)

    return damage


def _has_calls(asked: Asked) -> bool:
    return asked.item is not None and len(asked.item.call) > 1


def _among_calls(change: Take, *, streamed: bool = False) -> Damage:
    """Do the same among replies of several calls."""

    def damage(answer: Answer, asked: Asked) -> Answer:
        if len(answer.calls) < 2 or (streamed and not asked.stream):
            return answer
        other = next((each for each in asked.beside if _has_calls(each)), None)
        held = replace(answer, hold_s=HELD_S)
        return held if other is None else change(held, asked, other)

    return damage


def _take_second_call(answer: Answer, asked: Asked, other: Asked) -> Answer:
    assert other.item is not None
    return replace(answer, calls=(answer.calls[0], make_call(1, other.item.call[1])))


def _take_arguments(answer: Answer, asked: Asked, other: Asked) -> Answer:
    assert other.item is not None
    theirs = make_call(0, other.item.call[0])
    return replace(answer, calls=(replace(answer.calls[0], arguments=theirs.arguments), *answer.calls[1:]))


def _lose_second_call(answer: Answer, asked: Asked, other: Asked) -> Answer:
    return replace(answer, calls=answer.calls[:1])


def _take_limit(answer: Answer, asked: Asked, other: Asked) -> Answer:
    told = tokens(answer.content)
    if answer.calls or other.room >= len(told):
        return answer
    return replace(answer, content="".join(told[: other.room]))


def _take_temperature(answer: Answer, asked: Asked, other: Asked) -> Answer:
    return replace(answer, content="".join(HOT_WORDS)) if answer.content else answer


def _take_form(answer: Answer, asked: Asked, other: Asked) -> Answer:
    return replace(answer, content=fill_form(other.form)) if answer.content else answer


DEFECTS: Mapping[str, Defect] = {
    "second_calls_swap_in_company": Defect(
        does="the second call of a reply is that of another request in flight",
        family="together",
        kills=(CALLS_COMPANY,),
        damage=_among_calls(_take_second_call),
    ),
    "calls_take_arguments_in_company": Defect(
        does="the first call of a streamed reply has the arguments of another request's call in flight",
        family="together",
        kills=(CALLS_COMPANY,),
        damage=_among_calls(_take_arguments, streamed=True),
    ),
    "second_calls_are_lost_in_company": Defect(
        does="a reply with several calls keeps the first one only while another such request is in flight",
        family="together",
        kills=(CALLS_COMPANY,),
        damage=_among_calls(_lose_second_call),
    ),
    "takes_the_neighbours_limit": Defect(
        does="a reply ends at the max_tokens of another request in flight",
        family="together",
        kills=(FIELDS_COMPANY,),
        damage=_beside(lambda a: 0 < a.room <= 8, _take_limit),
    ),
    "takes_the_neighbours_temperature": Defect(
        does="a greedy request is sampled at the temperature of another request in flight",
        family="together",
        kills=(FIELDS_COMPANY,),
        damage=_beside(lambda a: a.hot, _take_temperature),
    ),
    "takes_the_neighbours_form": Defect(
        does="a free reply has the form that another request in flight demands",
        family="together",
        kills=(FIELDS_COMPANY,),
        damage=_beside(lambda a: bool(a.form), _take_form),
    ),
    "thinks_where_a_neighbour_does": Defect(
        does="a request with thinking off gets a thought while one with thinking on is in flight",
        family="thinking",
        kills=(THINK_BESIDE,),
        damage=_beside(lambda a: a.thinking, lambda a, asked, other: replace(a, reasoning=THOUGHTS[""])),
    ),
}
