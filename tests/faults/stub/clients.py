"""What parsers make of arguments by their own idea of types, of many tools, of long loops, and of demanded forms."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.faults.stub.defect import Answer, Asked, Damage, Defect, Json, arguments, calls, when, words
from tests.faults.suite_tests import (
    CHOICES,
    FIFTY,
    LOOP,
    OBJECT,
    SCHEMA,
    SCHEMA_OTHER,
    SCHEMA_THOUGHT,
    SCHEMAS,
    SCHEMAS_STREAMED,
    THINK_LOOP,
)

LATE_MESSAGES, MANY_TOOLS = 12, 20


def _change_text(change: Callable[[str], Json]) -> Damage:
    return arguments(lambda made: {k: change(v) if isinstance(v, str) else v for k, v in made.items()})


def guess_type(text: str) -> Json:
    """Return what a parser makes of text that looks like JSON, or like Python."""
    try:
        return json.loads(text)
    except ValueError:
        return int(text, 0) if text.lstrip("0xX+-").isdigit() else text


def _stringify(made: dict[str, Json]) -> Json:
    return {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in made.items()}


def _text_of_numbers(made: dict[str, Json]) -> Json:
    return {k: v if isinstance(v, bool) or not isinstance(v, int) else str(v) for k, v in made.items()}


def _null_optionals(answer: Answer, asked: Asked) -> Answer:
    """Whatever may be null is."""
    tools = asked.item.tools if asked.item else ()
    if not answer.calls or "anyOf" not in json.dumps(list(tools)):
        return answer
    return arguments(dict.fromkeys)(answer, asked)


def _only_streams(damage: Damage) -> Damage:
    return when(lambda asked: asked.stream, damage)


def _late(damage: Damage) -> Damage:
    return when(lambda asked: asked.messages > LATE_MESSAGES, damage)


_CUT = calls(lambda c: replace(c, arguments=c.arguments[:-1]))


def _free(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, content="I would rather talk.") if asked.form else answer


DEFECTS: Mapping[str, Defect] = {
    "guesses_types_of_text": Defect(family="clients", kills=(SCHEMAS,), damage=_change_text(guess_type)),
    "drops_underscores": Defect(
        does="text arguments lose their underscores",
        family="clients",
        kills=(SCHEMAS,),
        damage=_change_text(lambda text: text.replace("_", "")),
    ),
    "nulls_empty_text": Defect(
        does="an empty text argument arrives as null",
        family="clients",
        kills=(SCHEMAS,),
        damage=_change_text(lambda text: text or None),
    ),
    "unescapes_text": Defect(
        does="text arguments lose their backslashes and quotes",
        family="clients",
        kills=(SCHEMAS,),
        damage=_change_text(lambda text: text.replace("\\", "").replace('"', "")),
    ),
    "nulls_optionals": Defect(
        does="every argument of a call arrives as null where the schema lets one be null",
        family="clients",
        kills=(SCHEMAS,),
        damage=_null_optionals,
    ),
    "writes_objects_as_text": Defect(
        does="arguments that are objects or lists arrive as text",
        family="clients",
        kills=(SCHEMAS,),
        damage=arguments(_stringify),
    ),
    "streams_numbers_as_text": Defect(
        family="clients", kills=(SCHEMAS_STREAMED,), damage=_only_streams(arguments(_text_of_numbers))
    ),
    "streams_text_as_numbers": Defect(
        does="text that looks like a number arrives as a number, only in streams",
        family="clients",
        kills=(SCHEMAS_STREAMED,),
        damage=_only_streams(_change_text(guess_type)),
    ),
    "streams_open_objects": Defect(
        does="the arguments of a streamed call lose their closing brace",
        family="clients",
        kills=(SCHEMAS_STREAMED,),
        damage=_only_streams(_CUT),
    ),
    "loses_calls_among_many_tools": Defect(
        family="clients",
        kills=(FIFTY,),
        damage=when(
            lambda asked: len(asked.offered) > MANY_TOOLS,
            lambda a, asked: replace(a, calls=(), content="I have no such tool.", finish_reason="stop"),
        ),
    ),
    "cuts_arguments_late": Defect(family="clients", kills=(LOOP, THINK_LOOP), damage=_late(_CUT)),
    "repeats_ids_late": Defect(
        does="calls have an empty id once the conversation has more than twelve messages",
        family="clients",
        kills=(LOOP,),
        damage=_late(calls(lambda c: replace(c, id=""))),
    ),
    "forgets_results_late": Defect(
        does="the engine answers `It is done.` once the conversation has more than twelve messages",
        family="clients",
        kills=(LOOP,),
        damage=_late(lambda a, asked: replace(a, content="It is done.") if a.content else a),
    ),
    "ignores_forms": Defect(
        does="the engine ignores response_format and grammars and writes free text",
        family="structured",
        kills=(SCHEMA, SCHEMA_THOUGHT, OBJECT, CHOICES),
        damage=_free,
    ),
    "ignores_forms_in_streams": Defect(
        does="the engine ignores response_format and grammars, only in streams",
        family="structured",
        kills=(SCHEMA, SCHEMA_THOUGHT),
        damage=_only_streams(_free),
    ),
    "reads_no_references_when_whole": Defect(
        does="a value that the schema gives by $ref is free, except in streams",
        family="structured",
        kills=(SCHEMA_OTHER,),
        damage=when(
            lambda asked: bool(asked.form) and not asked.stream, words(lambda t: t.replace('"hall"', '"cellar"'))
        ),
    ),
    "ignores_forms_after_thinking": Defect(
        does="the engine ignores response_format and grammars when it thinks first",
        family="structured",
        kills=(SCHEMA_THOUGHT,),
        damage=when(lambda asked: asked.thinking, _free),
    ),
    "forms_have_a_comma_too_many_in_streams": Defect(
        does="a streamed JSON document has a comma in front of its last brace",
        family="structured",
        kills=(SCHEMA,),
        damage=when(
            lambda a: bool(a.form) and a.stream,
            lambda a, asked: replace(a, content=f"{a.content[:-1]},}}") if a.content.endswith("}") else a,
        ),
    ),
    "forms_never_end": Defect(
        does="the engine writes spaces behind a finished form until max_tokens cuts it",
        family="structured",
        kills=(SCHEMA, CHOICES),
        damage=lambda a, asked: replace(a, content=a.content + " " * 99, finish_reason="length") if asked.form else a,
    ),
    "adds_words_to_forms": Defect(
        does="the engine writes `Here it is:` in front of the JSON or choice",
        family="structured",
        kills=(SCHEMA, OBJECT, CHOICES),
        damage=lambda a, asked: replace(a, content=f"Here it is: {a.content}") if asked.form else a,
    ),
}
