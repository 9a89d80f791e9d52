"""The judge: what is right by the template, what the format leaves open, and what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from matrix.parsers.corpus import ReplyCase, load_corpus
from matrix.parsers.judge import KINDS, ORDER, is_same, judge_outcome, judge_stream, list_readings, pick_worst


def case_of(name: str) -> ReplyCase:
    return load_corpus().cases["glm47", name]


def answer(case: ReplyCase, arguments: object) -> dict[str, Any]:
    return {"think": case.expected.think, "say": "", "calls": [["record", json.dumps(arguments)]]}


def kinds(name: str, arguments: object) -> list[str]:
    case = case_of(name)
    return [fault.kind for fault in judge_outcome(case, load_corpus().tools, answer(case, arguments))]


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("leading_zeros", {"text": "007"}, []),
        ("leading_zeros", {"text": 7}, ["wrong_type"]),
        ("leading_zeros", {"text": "7"}, ["wrong_value"]),
        ("leading_zeros", {}, ["lost_argument"]),
        ("leading_zeros", {"text": "007", "more": 1}, ["extra_argument"]),
        ("integer", {"count": 42}, []),
        ("integer", {"count": 42.0}, []),
        ("integer", {"count": "42"}, ["wrong_type"]),
        ("boolean_true", {"flag": 1}, ["wrong_type"]),
        ("reference", {"where": '{"x": 1, "y": -2}'}, ["wrong_type"]),
        ("optional_text_null", {"optional_text": None}, []),
        ("optional_text_null", {"optional_text": "null"}, []),  # the template writes both alike
        ("optional_text_null", {"optional_text": "None"}, ["wrong_type"]),
        ("optional_text_digits", {"optional_text": 123}, ["wrong_type"]),
        ("text_or_count_count", {"text_or_count": "7"}, []),
        ("untyped_integer", {"anything": "5"}, []),
        ("untyped_integer", {"anything": 5}, []),
        ("untyped_zeros", {"anything": 7}, ["wrong_type"]),
        ("spaces_around", {"text": "two spaces"}, ["wrong_value"]),
    ],
)
def test_an_argument_is_right_where_the_template_would_have_written_it(
    name: str, arguments: object, expected: list[str]
) -> None:
    assert kinds(name, arguments) == expected


def test_arguments_that_are_no_json_object_are_broken() -> None:
    case = case_of("leading_zeros")
    for text in ('{"text": "007"', '["007"]', "", '{"text": NaN}'):
        outcome = {"think": case.expected.think, "say": "", "calls": [["record", text]]}
        assert [fault.kind for fault in judge_outcome(case, load_corpus().tools, outcome)] == ["broken_json"]


def test_blanks_around_texts_and_between_them_are_nobodys() -> None:
    case = case_of("text_before")
    outcome = {"think": "\nLook up.\n", "say": "Let me check that.\n\n", "calls": [["get_weather", '{"city":"Paris"}']]}
    assert judge_outcome(case, load_corpus().tools, outcome) == []


def test_a_stream_has_to_say_what_the_whole_says_where_both_would_be_right() -> None:
    case, tools = case_of("untyped_integer"), load_corpus().tools
    whole, streamed = answer(case, {"anything": 5}), answer(case, {"anything": "5"})
    assert [fault.kind for fault in judge_stream(case, tools, whole, streamed)] == ["differs"]
    assert judge_stream(case, tools, whole, whole) == []


def test_what_the_whole_has_wrong_alike_is_told_once() -> None:
    case, tools = case_of("leading_zeros"), load_corpus().tools
    wrong = answer(case, {"text": 7})
    assert judge_stream(case, tools, wrong, wrong) == []
    assert judge_stream(case, tools, wrong, answer(case, {"text": "007"})) == []  # the whole is told to be wrong


def test_an_answer_in_the_thinking_is_told_and_not_as_two_faults() -> None:
    case = case_of("answer")
    outcome = {"think": f"{case.expected.think}{case.expected.say}", "say": "", "calls": []}
    assert [fault.kind for fault in judge_outcome(case, load_corpus().tools, outcome)] == ["answer_in_thinking"]


def test_a_text_that_may_be_thinking_or_answer_has_to_be_one_of_them() -> None:
    case, tools = case_of("no_thinking_end"), load_corpus().tools
    text = case.reply
    assert judge_outcome(case, tools, {"think": text, "say": "", "calls": []}) == []
    assert judge_outcome(case, tools, {"think": "", "say": text, "calls": []}) == []
    assert [f.kind for f in judge_outcome(case, tools, {"think": "", "say": text[:-3], "calls": []})] == ["lost_text"]


def test_half_a_call_may_be_anything_but_takes_the_text_before_it_nowhere() -> None:
    case, tools = case_of("cut_after_text"), load_corpus().tools
    half = [["get_weather", '{"city": "Pa']]
    assert judge_outcome(case, tools, {"think": "Look up.", "say": "Let me check that.", "calls": half}) == []
    assert [f.kind for f in judge_outcome(case, tools, {"think": "Look up.", "say": "", "calls": []})] == ["lost_text"]


def test_an_error_is_the_worst() -> None:
    faults = judge_outcome(case_of("answer"), load_corpus().tools, {"error": "IndexError: x"})
    assert [fault.kind for fault in faults] == ["exception"]
    assert pick_worst(faults) == faults[0]
    assert list(ORDER) == list(KINDS)


def test_values_that_only_python_holds_equal_are_not_the_same() -> None:
    assert not is_same(1, True)
    assert not is_same([True], [1])
    assert is_same({"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]})


def test_the_readings_of_a_value_are_what_the_template_writes_alike() -> None:
    assert list_readings("5", {"type": "string"}, {}) == ["5"]
    assert list_readings("5", None, {}) == ["5", 5]
    assert list_readings(5, {"type": "integer"}, {}) == [5]
    assert list_readings(None, {"anyOf": [{"type": "string"}, {"type": "null"}]}, {}) == [None, "null"]


def test_of_long_values_the_part_that_differs_is_shown() -> None:
    case = case_of("long_value")
    assert case.expected.calls is not None
    arguments = {key: str(value).rstrip() for key, value in case.expected.calls[0][1].items()}
    outcome = {"think": case.expected.think, "say": "", "calls": [["write_file", json.dumps(arguments)]]}
    (fault,) = judge_outcome(case, load_corpus().tools, outcome)
    before, after = fault.what.split(" became ")
    assert before.startswith("...")
    assert before.endswith('\\n"')
    assert not after.endswith('\\n"')
