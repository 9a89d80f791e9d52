"""What the stub refuses as no valid request, as pydantic models do; engines that refuse it wrongly or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from tests.faults.stub.defect import Answer, Asked, Defect, Json, always, when, words
from tests.faults.suite_tests import HALF_CALLS, INVALID, MALFORMED

FORMATS: Final = ("text", "json_object", "json_schema")
BODY: Final = "body"  # as what a body that is no JSON object is named
ARGUMENTS: Final = "arguments"  # of a call in the history, which are no JSON


def _is_message(told: Json) -> bool:
    content = told.get("content") if isinstance(told, Mapping) else 0
    return isinstance(content, str | list | None) and isinstance(told.get("role"), str)


def _is_list(of: Callable[[Json], bool]) -> Callable[[Json], bool]:
    return lambda told: isinstance(told, list) and all(map(of, told))


VALID: Final[Mapping[str, Callable[[Json], bool]]] = {
    "messages": _is_list(_is_message),
    "temperature": lambda told: isinstance(told, int | float),
    "max_tokens": lambda told: isinstance(told, int),
    "tools": _is_list(lambda tool: isinstance(tool, Mapping)),
    "stop": lambda told: isinstance(told, str) or _is_list(lambda word: isinstance(word, str))(told),
    "response_format": lambda told: isinstance(told, Mapping) and told.get("type") in FORMATS,
    "stream": lambda told: isinstance(told, bool),
    "n": lambda told: isinstance(told, int),
}


def read_request(body: bytes) -> tuple[dict[str, Json], tuple[str, ...]]:
    """Return a request and the fields of it that no chat may have; of what is no JSON object, BODY."""
    try:
        given = json.loads(body)
    except ValueError:
        return {}, (BODY,)
    if not isinstance(given, dict):
        return {}, (BODY,)
    wrong = tuple(name for name, is_valid in VALID.items() if name in given and not is_valid(given[name]))
    return given, wrong or (ARGUMENTS,) * any(map(_is_half, list_arguments(given)))


def list_arguments(given: Mapping[str, Json]) -> list[Json]:
    """Return the arguments of every call in a history; None where a call has none."""
    told = [call for message in given.get("messages") or () for call in message.get("tool_calls") or ()]
    return [call["function"].get("arguments") for call in told]


def _is_half(told: Json) -> bool:
    try:
        return isinstance(told, str) and bool(told) and not isinstance(json.loads(told), dict | None)
    except ValueError:
        return True


def is_odd(told: Json) -> bool:
    """Whether arguments are none of a sound call: no text of a JSON object."""
    return not isinstance(told, str) or not told.startswith("{")


def _other_after_a_refusal(answer: Answer, asked: Asked) -> Answer:
    told = asked.refused and answer.content
    return replace(answer, content=f"{answer.content} and more") if told else answer


DEFECTS: Mapping[str, Defect] = {
    "fails_on_what_is_invalid": Defect(
        does="a request that is no valid one gets HTTP 500 instead of 4xx",
        family="fields",
        kills=(INVALID, MALFORMED),
        refuses_with=dict.fromkeys((*VALID, BODY), 500),
    ),
    "fails_on_malformed_tools": Defect(
        does="tools that are none get HTTP 500, where other malformed fields get 400",
        family="fields",
        kills=(MALFORMED,),
        refuses_with={"tools": 500},
    ),
    "fails_on_half_a_body": Defect(
        does="a body that ends in its middle gets HTTP 500",
        family="fields",
        kills=(MALFORMED,),
        refuses_with={BODY: 500},
    ),
    "takes_a_malformed_stop": Defect(
        does="stop strings that are numbers get HTTP 200",
        family="fields",
        kills=(MALFORMED,),
        refuses_with={"stop": 200},
    ),
    "fails_on_half_a_call": Defect(
        does="a call in the history whose arguments are no JSON gets HTTP 500 (llama.cpp#25510, vllm#46328)",
        family="clients",
        kills=(HALF_CALLS,),
        refuses_with={ARGUMENTS: 500},
    ),
    "gives_no_reason_for_half_a_call": Defect(
        does="a call in the history whose arguments are no JSON is refused without a word",
        family="clients",
        kills=(HALF_CALLS,),
        refuses_saying="",
    ),
    "hangs_up_on_half_a_call": Defect(
        does="a call in the history without arguments ends the connection",
        family="clients",
        kills=(HALF_CALLS,),
        damage=when(lambda asked: asked.odd, always(cut_after=0)),
    ),
    "shows_its_template_behind_half_a_call": Defect(
        does="behind a call without arguments the reply holds a special token of the template",
        family="clients",
        kills=(HALF_CALLS,),
        damage=when(lambda asked: asked.odd, words(lambda said: f"{said}<|observation|>")),
    ),
    "reads_objects_as_text": Defect(
        does="arguments in the history that are an object are written into the prompt another way",
        family="clients",
        kills=(HALF_CALLS,),
        damage=when(lambda asked: asked.odd, lambda a, asked: replace(a, prompt_tokens=a.prompt_tokens + 9)),
    ),
    "answers_otherwise_after_a_refusal": Defect(
        does="answers are longer once a malformed request was refused",
        family="fields",
        kills=(INVALID, MALFORMED, HALF_CALLS),
        damage=_other_after_a_refusal,
    ),
}
