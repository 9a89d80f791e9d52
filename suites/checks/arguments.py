"""Checks the arguments of a call by the schema that a client sent: `"007"` stays text where the schema says string.

| schema of the property | text `007` in the request |
|---|---|
| string, also behind anyOf, oneOf, $ref, a list of types, a default | `"007"` |
| integer | 7 |
| none, or one that admits text and numbers | `"007"`, or a number that is written the same |
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fixtures.banks.item import ExpectedCall, Item
from fixtures.client.reply import Reply, ToolCall
from matrix.judging.foreign_json import UnreadableJson, parse_foreign_json
from reports.evidence.finding import Finding
from suites.checks import tools

Json = Any
SPACES = 32  # white space at a cut: a schema's own indentation is shorter


def check_calls(item: Item, reply: Reply, *, check: str = "clients.call") -> Finding:
    """Check for exactly the expected calls, by value and by the type that the schema gives each value."""
    found = tools.check_calls(item, reply, check=check)
    if found.ok or len(reply.tool_calls) != len(item.call):
        return found
    rewritten = [_take_schema_types(item, want, made) for want, made in zip(item.call, reply.tool_calls, strict=True)]
    return replace(tools.check_calls(replace(item, call=tuple(rewritten)), reply, check=check), expected=found.expected)


def _take_schema_types(item: Item, want: ExpectedCall, made: ToolCall) -> ExpectedCall:
    """Return the expected call with those values as they were sent that the schema admits in several types."""
    schema = _find_schema(item, want.name)
    try:
        got = parse_foreign_json(made.arguments, numbers=False)
    except UnreadableJson:
        return want
    if not isinstance(got, Mapping):
        return want
    arguments = {
        key: got[key] if key in got and is_same_under(_find_property(schema, key), got[key], value) else value
        for key, value in want.arguments.items()
    }
    # Only where nothing unexpected was sent: an argument too many is no matter of defaults.
    if set(got) < set(arguments):
        arguments = {
            key: value for key, value in arguments.items() if key in got or not _may_be_left_out(schema, key, value)
        }
    return replace(want, arguments=arguments)


def _may_be_left_out(schema: Mapping[str, Json], key: str, value: Json) -> bool:
    """Return whether saying nothing means this value: an argument that is not required, with its own default."""
    own = (schema.get("properties") or {}).get(key)
    declared = isinstance(own, Mapping) and "default" in own and tools.same_value(own["default"], value)
    return declared and key not in (schema.get("required") or ())


def _find_schema(item: Item, name: str) -> Mapping[str, Json]:
    functions = [tools.tool_function(tool) for tool in item.tools]
    return next((f.get("parameters") or {} for f in functions if f["name"] == name), {})


def _find_property(schema: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    """Return the schema of one property, with the definitions that its references name."""
    own = (schema.get("properties") or {}).get(key)
    shared = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
    return {**(own if isinstance(own, Mapping) else {}), **shared}


def is_same_under(schema: Mapping[str, Json], got: Json, want: Json) -> bool:
    """Return whether `got` is `want` as a reader of this schema takes it: by value and type, or, where the schema
    admits both types, by how it is written."""
    if tools.same_value(got, want):
        return True
    if _is_scalar(got) and _is_scalar(want):
        # Both types must be admitted: `7` for "007" is another value, and no schema makes it the same.
        return _write_scalar(got) == _write_scalar(want) and _admits(schema, got) and _admits(schema, want)
    return False


def _admits(schema: Mapping[str, Json], value: Json) -> bool:
    import jsonschema  # late: no collection validates

    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


def _is_scalar(value: Json) -> bool:
    return value is None or isinstance(value, str | int | float)


def _write_scalar(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def write_in_parts(item: Item) -> Item:
    """Return the item with each content as a list of one text part, as the SDKs of agents write it."""
    said = (
        {**m, "content": [{"type": "text", "text": m["content"]}]} if isinstance(m.get("content"), str) else m
        for m in item.messages
    )
    return replace(item, messages=tuple(said))


def check_json(item: Item, reply: Reply, schema: Mapping[str, Json] | None, *, check: str) -> Finding:
    """Check that the content is one JSON document, and valid under `schema` (None: any object)."""
    wrong = _find_unfit(reply, schema)
    return Finding(
        check=check,
        ok=not wrong,
        expected=json.dumps(schema, sort_keys=True) if schema else "a JSON object",
        got=reply.content,
        item=item.id,
        detail="; ".join(wrong),
        data={"finish_reason": reply.finish_reason, "completion_tokens": reply.completion_tokens},
    )


def _find_unfit(reply: Reply, schema: Mapping[str, Json] | None) -> list[str]:
    import jsonschema  # late: no collection validates

    wrong = [] if reply.finish_reason == "stop" else [f"finish_reason is {reply.finish_reason!r}, not 'stop'"]
    try:
        # No grammar of an engine counts keys (RFC 8259 says SHOULD), so a free object may have one twice.
        value = parse_foreign_json(reply.content, numbers=False, unique=schema is not None)
    except UnreadableJson as error:
        return [*wrong, f"not JSON ({error})"]
    errors = jsonschema.Draft202012Validator(schema or {"type": "object"}).iter_errors(value)
    return [*wrong, *(f"{'/'.join(map(str, e.absolute_path)) or 'document'}: {e.message}" for e in errors)]


def is_cut_in_spaces(reply: Reply) -> bool:
    """Return whether a reply is the beginning of a JSON document and was cut in the white space between two parts."""
    text = reply.content.rstrip()
    if reply.finish_reason != "length" or len(reply.content) - len(text) < SPACES:
        return False
    try:
        json.loads(reply.content)
    except json.JSONDecodeError as error:
        return error.pos >= len(text)  # nothing is wrong before the white space
    except RecursionError:
        return False
    return False


def check_choice(item: Item, reply: Reply, choices: Sequence[str], *, check: str) -> Finding:
    """Check that the content is exactly one of the choices, and ended."""
    wrong = [] if reply.content in choices else ["none of the choices"]
    wrong += [] if reply.finish_reason == "stop" else [f"finish_reason is {reply.finish_reason!r}, not 'stop'"]
    return Finding(
        check=check,
        ok=not wrong,
        expected=" or ".join(choices),
        got=reply.content,
        item=item.id,
        detail="; ".join(wrong),
        data={"finish_reason": reply.finish_reason},
    )
