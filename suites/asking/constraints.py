"""Names the request fields that constrain output, as far as each engine claims them for its launch here.

| | json_schema, json_object | one of several choices |
|---|---|---|
| vLLM | `response_format` | `structured_outputs.choice`, which replaced `guided_choice` before 0.16 |
| SGLang | `response_format` | `regex` |
| llama.cpp | `response_format` | `grammar`, GBNF |
| TensorRT-LLM | wants a guided decoding backend, which no recipe sets | |
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

Json = Any
# Whose /v1/responses obeys `text.format`: vLLM's, whose request becomes structured outputs. llama.cpp 2026.10.11549
# takes the field and ignores it, seen on the canary; SGLang states nothing.
FORMS_RESPONSES: Final = frozenset({"vllm"})
OBJECT: Final[Mapping[str, Json]] = {"response_format": {"type": "json_object"}}


def schema_fields(schema: Mapping[str, Json]) -> dict[str, Json]:
    """Return the request fields for a JSON schema, as OpenAI's client sends them."""
    named = {"name": "reply", "schema": dict(schema), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def name_schema(schema: Mapping[str, Json]) -> dict[str, Json]:
    """Return what `text.format` of /v1/responses is for a JSON schema."""
    return {"type": "json_schema", "name": "reply", "schema": dict(schema), "strict": True}


def choice_fields(dialect: str, choices: Sequence[str]) -> dict[str, Json]:
    """Return the request fields for one of several choices."""
    match dialect:
        case "vllm":
            return {"structured_outputs": {"choice": list(choices)}}
        case "sglang":
            return {"regex": "(" + "|".join(map(re.escape, choices)) + ")"}
        case _:
            return {"grammar": "root ::= " + " | ".join(json.dumps(choice) for choice in choices)}
