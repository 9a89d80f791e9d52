"""The corpus: every reply is what a template makes of its answer, in each format."""

from __future__ import annotations

import pytest

from matrix.parsers.corpus import load_corpus
from matrix.parsers.render import CALL_END, CALL_START, FORMATS, MARKERS, THINK_END, Format


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_has_each_topic(form: Format) -> None:
    corpus = load_corpus()
    kinds = {case.kind for case in corpus.list_cases("glm47")}
    assert {case.kind for case in corpus.list_cases(form)} == kinds
    assert len(corpus.list_cases(form)) > 100


@pytest.mark.parametrize("form", FORMATS)
def test_a_reply_within_the_thinking_ends_it_and_one_without_has_none(form: Format) -> None:
    for case in load_corpus().list_cases(form):
        if case.kind not in ("truncated", "thinking_skipped"):
            assert (THINK_END in case.reply.partition(CALL_START[form])[0]) is case.thinks, case.id


@pytest.mark.parametrize("form", FORMATS)
def test_a_whole_reply_has_a_call_for_each_that_is_expected(form: Format) -> None:
    for case in load_corpus().list_cases(form):
        if case.expected.calls is not None and case.kind != "markup_in_value":
            assert case.reply.count(CALL_START[form]) == len(case.expected.calls), case.id
            assert case.reply.count(CALL_END[form]) == len(case.expected.calls), case.id


def test_what_is_left_open_says_why() -> None:
    for case in load_corpus().cases.values():
        is_open = None in (case.expected.think, case.expected.say, case.expected.calls)
        assert bool(case.why) or not is_open, case.id


def test_a_cut_reply_ends_where_the_case_says() -> None:
    cases = load_corpus().cases
    assert cases["glm47", "cut_in_value"].reply.endswith("<arg_value>New Yo")
    assert cases["glm45", "cut_before_end"].reply.endswith("</arg_value>\n")
    assert cases["dsml", "cut_after_text"].reply.endswith(CALL_START["dsml"])
    assert not cases["glm47", "cut_in_thinking"].finished


def test_dsml_says_of_each_value_whether_it_is_a_string() -> None:
    cases = load_corpus().cases
    assert 'name="text" string="true">007<' in cases["dsml", "leading_zeros"].reply
    assert 'name="count" string="false">42<' in cases["dsml", "integer"].reply
    assert all(MARKERS["dsml"][2] in case.reply for case in load_corpus().list_cases("dsml") if case.expected.calls)
