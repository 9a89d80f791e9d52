"""The forms that requests demand of a reply, in every engine's words, and a reply of that form."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

Json = Any


def form_of(request: Mapping[str, Json]) -> Json:
    """Return what the reply must be; None for free text."""
    wanted: Mapping[str, Json] = request.get("response_format") or (request.get("text") or {}).get("format") or {}
    if wanted.get("type") == "json_schema":  # /v1/responses names it one level higher
        return {"schema": wanted.get("json_schema", wanted)["schema"]}
    if wanted.get("type") == "json_object":
        return {"object": True}
    if choices := (request.get("structured_outputs") or {}).get("choice"):
        return {"choices": choices}
    if regex := request.get("regex"):
        return {"choices": regex.strip("()").split("|")}
    return {"choices": re.findall(r'"([^"]+)"', request["grammar"])} if request.get("grammar") else None


def fill_form(form: Json) -> str:
    """Return the first reply of that form."""
    if "choices" in form:
        return str(form["choices"][0])
    schema = form.get("schema")
    return json.dumps(_fill(schema, schema) if schema else {"answer": 42})


def _fill(schema: Mapping[str, Json], root: Mapping[str, Json]) -> Json:
    if "$ref" in schema:
        return _fill(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    if "anyOf" in schema:
        return _fill(schema["anyOf"][0], root)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "boolean":
            return True
        case "array":
            return [_fill(schema["items"], root)] * schema.get("minItems", 1)
        case _:
            return {name: _fill(own, root) for name, own in schema["properties"].items()}
