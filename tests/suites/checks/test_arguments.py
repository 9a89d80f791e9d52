"""Text stays text: by examples, and as a law over whatever text and numbers there are."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.banks.glm5.clients import LOOKALIKES
from fixtures.banks.item import ExpectedCall, Item
from fixtures.client.reply import Reply, ToolCall
from suites.checks import arguments, tools

STRING = {"type": "string"}
OPTIONAL = {"anyOf": [STRING, {"type": "null"}], "default": None}
REF = {"$ref": "#/$defs/Name"}
TEXT_ONLY = (STRING, OPTIONAL, {"type": ["string", "null"]}, REF, {"oneOf": [STRING]})
EITHER: tuple[dict[str, Any], ...] = ({}, {"oneOf": [STRING, {"type": "integer"}]}, {"type": ["string", "integer"]})


def reply_to(schema: dict[str, Any], want: Any, arguments_made: dict[str, Any], *, required: bool = True) -> Any:
    parameters = {
        "type": "object",
        "properties": {"value": schema},
        "required": ["value"] * required,
        "$defs": {"Name": STRING},
    }
    item = Item(
        id="i",
        kind="client_call",
        messages=({"role": "user", "content": "Store it."},),
        tools=({"name": "store", "parameters": parameters},),
        call=(ExpectedCall(name="store", arguments={"value": want}),),
    )
    call = ToolCall(id="a", name="store", arguments=json.dumps(arguments_made))
    return arguments.check_calls(item, Reply(content="", tool_calls=(call,), finish_reason="tool_calls"))


@pytest.mark.parametrize("schema", TEXT_ONLY)
@pytest.mark.parametrize("text", [t for t in LOOKALIKES if t.strip() == t])
def test_text_that_looks_like_something_else_stays_text(schema: dict[str, Any], text: str) -> None:
    assert reply_to(schema, text, {"value": text}).ok
    for changed in (f"{text}x", 7, True, 123456) if text == "null" else (f"{text}x", 7, True, 123456, None):
        assert not reply_to(schema, text, {"value": changed}).ok


@pytest.mark.parametrize("schema", EITHER)
def test_a_schema_of_both_types_takes_what_is_written_the_same(schema: dict[str, Any]) -> None:
    assert reply_to(schema, "17", {"value": 17}).ok
    assert reply_to(schema, 17, {"value": "17"}).ok
    assert not reply_to(schema, "007", {"value": 7}).ok
    assert not reply_to(schema, "1e5", {"value": 100000}).ok


def test_null_and_its_word_are_written_the_same_in_the_models_own_format() -> None:
    assert reply_to(OPTIONAL, "null", {"value": None}).ok
    assert not reply_to(STRING, "null", {"value": None}).ok


def test_an_optional_argument_with_its_own_default_may_be_left_out() -> None:
    assert reply_to(OPTIONAL, None, {}, required=False).ok
    assert not reply_to(OPTIONAL, "x", {}, required=False).ok
    assert not reply_to(OPTIONAL, None, {}).ok
    assert not reply_to({**OPTIONAL, "default": "x"}, None, {}, required=False).ok, "left out, it means x"


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8))


@given(SCALARS, SCALARS)
def test_where_text_is_all_that_a_schema_admits_only_the_value_itself_is_right(got: Any, want: Any) -> None:
    same = arguments.is_same_under(STRING, got, want)
    assert same is (tools.same_value(got, want) or (isinstance(want, str) and got == want))


@given(SCALARS, SCALARS)
def test_no_schema_confuses_values_that_are_written_in_two_ways(got: Any, want: Any) -> None:
    if arguments.is_same_under({}, got, want):
        assert arguments._write_scalar(got).strip() == arguments._write_scalar(want)


ITEM = Item(id="i", kind="fact", messages=())
SCHEMA = {"type": "object", "properties": {"a": {"enum": [1]}}, "required": ["a"]}
SAID = Reply(content='{"a": 1}', finish_reason="stop")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"content": '{"a": 2}'}, "a: 2 is not one of"),
        ({"content": "Here: {}"}, "not JSON"),
        ({"finish_reason": "length"}, "not 'stop'"),
    ],
)
def test_a_demanded_document_is_judged(changed: Any, said: str) -> None:
    found = arguments.check_json(ITEM, replace(SAID, **changed), SCHEMA, check="structured.schema")
    assert found.ok is (not said)
    assert said in found.detail


def test_a_free_object_may_have_a_key_twice_and_one_under_a_schema_may_not() -> None:
    twice = replace(SAID, content='{"a": 2, "a": 1}')
    assert arguments.check_json(ITEM, twice, None, check="structured.object").ok
    assert "twice" in arguments.check_json(ITEM, twice, SCHEMA, check="structured.schema").detail
    broken = replace(SAID, content='{"a": NaN, "a": 1}')
    assert not arguments.check_json(ITEM, broken, None, check="structured.object").ok


@pytest.mark.parametrize(
    ("content", "finish", "cut"),
    [
        ('{ "city"' + "\n " * 40, "length", True),
        ('{"city": "Rome",' + " " * 32, "length", True),
        ('{"city": "Rome",' + " " * 31, "length", False),  # an indentation
        ('{"city": "Rome",' + " " * 40, "stop", False),  # ended by itself: a broken document
        ('{"city" "Rome",' + " " * 40, "length", False),  # wrong before the white space
        ('{"city": "Rome"}' + " " * 40, "length", False),  # whole
        ('{"city": "Ro' + " " * 40, "length", False),  # inside a text
        ("[" * 100_000 + " " * 40, "length", False),
    ],
)
def test_only_white_space_between_two_parts_is_cut_in_spaces(content: str, finish: str, cut: bool) -> None:
    assert arguments.is_cut_in_spaces(replace(SAID, content=content, finish_reason=finish)) is cut


def test_a_choice_is_exactly_one_of_them() -> None:
    assert arguments.check_choice(ITEM, replace(SAID, content="a"), ("a", "b"), check="structured.choice").ok
    assert not arguments.check_choice(ITEM, replace(SAID, content="a b"), ("a", "b"), check="structured.choice").ok
    assert not arguments.check_choice(ITEM, SAID, ("a", "b"), check="structured.choice").ok
    cut = replace(SAID, content="a", finish_reason="length")
    found = arguments.check_choice(ITEM, cut, ("a", "b"), check="structured.choice")
    assert not found.ok and "finish_reason is 'length'" in found.detail
    assert (found.expected, found.got, found.data) == ("a or b", "a", {"finish_reason": "length"})
    both = arguments.check_choice(ITEM, replace(cut, content="c"), ("a", "b"), check="structured.choice")
    assert both.detail.startswith("none of the choices; finish_reason")


def test_content_is_written_as_one_part_and_nothing_else_changes() -> None:
    said = Item(
        id="x", kind="fact", messages=({"role": "user", "content": "Hi"}, {"role": "assistant", "content": None})
    )
    assert arguments.write_in_parts(said).messages == (
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "assistant", "content": None},
    )
