"""What the stub refuses as no valid request, as pydantic models do; engines that refuse it wrongly or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from tests.faults.stub.defect import Answer, Asked, Defect, Json
from tests.faults.suite_tests import INVALID, MALFORMED

FORMATS: Final = ("text", "json_object", "json_schema")
BODY: Final = "body"  # as what a body that is no JSON object is named


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
    return given, tuple(name for name, is_valid in VALID.items() if name in given and not is_valid(given[name]))


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
    "answers_otherwise_after_a_refusal": Defect(
        does="answers are longer once a malformed request was refused",
        family="fields",
        kills=(INVALID, MALFORMED),
        damage=_other_after_a_refusal,
    ),
}
