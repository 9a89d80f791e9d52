"""What tools returned, on its way to the engine: cut, merged, or lost where two came in one turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tests.faults.stub.answers import tokens
from tests.faults.stub.defect import Answer, Asked, Defect, Json
from tests.faults.suite_tests import LONG_RESULT, TWO_RESULTS

MOST_CHARS: Final = 4_000  # of a result


def _list_results(asked: Asked) -> list[Mapping[str, Json]]:
    return [m for m in asked.item.messages if m["role"] == "tool"] if asked.item else []


def _cut_results(answer: Answer, asked: Asked) -> Answer:
    """Answer as if all were there: the value stands in what is left."""
    lost = "".join(str(m["content"])[MOST_CHARS:] for m in _list_results(asked))
    return replace(answer, prompt_tokens=answer.prompt_tokens - len(tokens(lost))) if lost else answer


def _forget_long(answer: Answer, asked: Asked) -> Answer:
    long = any(len(str(m["content"])) > MOST_CHARS for m in _list_results(asked))
    return replace(answer, content="The tool returned no reference.") if long else answer


def _tell_first_only(answer: Answer, asked: Asked) -> Answer:
    told = len(_list_results(asked)) > 1
    return replace(answer, content=answer.content.partition(" and ")[0]) if told else answer


def _tell_first_of_turned(answer: Answer, asked: Asked) -> Answer:
    ids = [m["tool_call_id"] for m in _list_results(asked)]
    return _tell_first_only(answer, asked) if ids != sorted(ids) else answer


DEFECTS: Mapping[str, Defect] = {
    "cuts_long_tool_results": Defect(
        does="a tool's result is cut at 4,000 characters, and the answer does not show it",
        family="tools",
        kills=(LONG_RESULT,),
        damage=_cut_results,
    ),
    "ignores_long_tool_results": Defect(
        does="the value in a tool's result of more than 4,000 characters is not found",
        family="tools",
        kills=(LONG_RESULT,),
        damage=_forget_long,
    ),
    "reads_one_of_two_results": Defect(
        does="of two results in one turn only the first reaches the engine",
        family="tools",
        kills=(TWO_RESULTS,),
        damage=_tell_first_only,
    ),
    "reads_results_in_the_order_of_calls_only": Defect(
        does="of two results that come in another order than the calls one is lost",
        family="tools",
        kills=(TWO_RESULTS,),
        damage=_tell_first_of_turned,
    ),
}
