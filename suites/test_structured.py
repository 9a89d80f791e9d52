"""Tests that output obeys the form that a request demands: a JSON schema, any JSON object, one of several choices.

A small model may say nonsense in that form; the form is the engine's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import THOUGHT_TOKENS, Client
from fixtures.client.reply import Reply
from matrix.model import Cell
from reports.evidence.finding import Finding
from suites.asking import constraints
from suites.asking.contract import EvidenceSink, expect_ok
from suites.asking.depth import POOL, Depth
from suites.asking.surfaces import ask_surface, keep_first_turns
from suites.checks import arguments
from suites.checks import thinking as checks

pytestmark = [
    pytest.mark.structured,
    pytest.mark.from_depth("full"),
    pytest.mark.for_cells(claims=["constrained_output"]),
]

Json = Any
ROOM_TOKENS: Final = 128  # the longest document that the schemas allow has 40 tokens in a byte-level vocabulary
# Everything is bounded: a small model that may write any number or text need not come to an end.
SCHEMAS: Final[Sequence[Json]] = (
    {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}, "open": {"type": "boolean"}},
        "required": ["city", "open"],
        "additionalProperties": False,
    },
    {
        "type": "object",
        "properties": {
            "place": {"$ref": "#/$defs/Place"},
            "note": {"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]},
            "tags": {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 1, "maxItems": 2},
        },
        "required": ["place", "note", "tags"],
        "additionalProperties": False,
        "$defs": {
            "Place": {
                "type": "object",
                "properties": {"name": {"enum": ["hall", "yard"]}},
                "required": ["name"],
                "additionalProperties": False,
            }
        },
    },
)
CHOICES: Final = ("apple", "pear", "plum")


def test_obeys_a_json_schema(cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Whole and streamed, with the references and nullable parts that pydantic writes."""
    expect_ok(evidence, _check_schemas(cell, client, bank.facts(depth.structured)))


def test_obeys_each_json_schema_whole_and_streamed(
    cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """The schemas in the other form than above: what a grammar makes of a reference must not depend on the stream."""
    expect_ok(evidence, _check_schemas(cell, client, bank.facts(min(1, depth.structured)), first_streamed=True))


def test_obeys_its_own_schema_beside_others(
    cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """The grammars of a batch lie in one table, a row for each request: other schemas at once, streamed and whole."""
    room = {"max_tokens": _budget_tokens(client)}
    each = [(item, schema) for item in bank.facts(depth.structured) for schema in SCHEMAS]
    asks = [
        (item, {**room, "stream": bool(n % 2), "extra": constraints.schema_fields(schema)})
        for n, (item, schema) in enumerate(each)
    ]
    replies = client.together(asks)
    answered = zip(each, replies, strict=True)
    expect_ok(evidence, (_check_schema(cell, item, reply, schema) for (item, schema), reply in answered))


@pytest.mark.for_cells(claims=["separate_thoughts"])
def test_obeys_a_json_schema_over_responses(
    cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """`text.format` of /v1/responses, whole and streamed: it is built of its own request, and its grammar has not been
    bound there while chats obeyed theirs (vllm#44012)."""
    expect_ok(evidence, _check_responses(cell, client, keep_first_turns(bank.facts(POOL))[: min(1, depth.structured)]))


@pytest.mark.for_cells(claims=["separate_thoughts"])
def test_obeys_a_json_schema_after_thinking(
    *, cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """The thought is free and the answer is not: grammars have begun too early, and never, and have left no thought."""
    expect_ok(evidence, _check_schemas(cell, client, bank.facts(depth.structured), thinking=True))


def test_answers_with_a_json_object(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    expect_ok(evidence, _check_objects(client, bank.facts(depth.structured)))


def test_answers_with_one_of_the_choices(
    cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    extra = constraints.choice_fields(cell.engine.dialect, CHOICES)
    items = bank.facts(depth.structured)
    expect_ok(
        evidence,
        (
            arguments.check_choice(
                item,
                client.ask(item, max_tokens=_budget_tokens(client), extra=extra, stream=bool(i % 2)),
                CHOICES,
                check="structured.choice",
            )
            for i, item in enumerate(items)
        ),
    )


def _check_schemas(
    cell: Cell, client: Client, items: Sequence[Item], *, thinking: bool = False, first_streamed: bool = False
) -> Iterator[Finding]:
    replies: list[Reply] = []
    for item in items:
        for i, schema in enumerate(SCHEMAS, start=int(first_streamed)):
            reply = client.ask(
                item,
                max_tokens=_budget_tokens(client, thinking=thinking),
                thinking=thinking,
                stream=bool(i % 2),
                extra=constraints.schema_fields(schema),
            )
            replies.append(reply)
            yield _check_schema(cell, item, reply, schema)
    if thinking:  # a grammar that begins too early switches it off (vllm#47027)
        yield checks.check_separated(replies)


def _check_schema(cell: Cell, item: Item, reply: Reply, schema: Json) -> Finding:
    found = arguments.check_json(item, reply, schema, check="structured.schema")
    # A canary never learnt JSON. The grammars of vLLM and SGLang admit any space between two parts of it, and a
    # canary may take spaces to its last token (seen on H200): what it wrote obeys, and tells nothing more.
    spaces = cell.checkpoint.canary and arguments.is_cut_in_spaces(reply)
    return replace(found, ok=True, sensitive=False, detail="cut in spaces") if spaces else found


def _check_responses(cell: Cell, client: Client, items: Sequence[Item]) -> Iterator[Finding]:
    # These routes have no switch for thinking, so the template thinks as it does by default.
    room, claimed = ROOM_TOKENS + THOUGHT_TOKENS, cell.engine.dialect in constraints.FORMS_RESPONSES
    for item in items:
        for stream, schema in enumerate(SCHEMAS):
            extra = {"text": {"format": constraints.name_schema(schema)}}
            reply = ask_surface(client, "responses", item, max_tokens=room, stream=bool(stream), extra=extra)
            found = arguments.check_json(item, reply, schema, check="structured.responses")
            yield found if claimed else replace(found, ok=True, sensitive=False, detail=f"not claimed; {found.detail}")


def _check_objects(client: Client, items: Sequence[Item]) -> Iterator[Finding]:
    for i, item in enumerate(items):
        reply = client.ask(item, max_tokens=_budget_tokens(client), stream=bool(i % 2), extra=constraints.OBJECT)
        # Nothing but the kind is demanded, so a small model may still be writing at the limit.
        found = arguments.check_json(item, reply, None, check="structured.object")
        if reply.finish_reason == "length" and reply.content.lstrip().startswith("{"):
            found = replace(found, ok=True, sensitive=False, detail="the object was not at its end")
        yield found


def _budget_tokens(client: Client, *, thinking: bool = False) -> int:
    return ROOM_TOKENS + (THOUGHT_TOKENS if thinking or client.always_thinks else 0)
