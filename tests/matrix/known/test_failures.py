"""Which entry a failure fits: stage, kind and signature, all three, or none."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from matrix.known.failures import SeenFailure, explain_mismatches, match_known_failure, remove_cell, speaks_of_test
from matrix.recorded import Fails, KnownFailure
from matrix.source import Source
from matrix.yaml.load import NEVER, load_matrix
from matrix.yaml.loaded import Loaded

OOM = "torch.OutOfMemoryError: CUDA out of memory"


def entry(id_: str = "k", **fails: Any) -> Loaded[KnownFailure]:
    value = KnownFailure(
        id=id_,
        when={},
        fails=Fails(**fails),
        expect="intermittent",
        symptom="s",
        issue="https://example.org/1",
        source=Source(kind="run", release="1"),
        owner="o",
        added=date(2026, 1, 1),
        review_by=date(2027, 1, 1),
    )
    return Loaded(value=value, file="k.yaml", line=1, lines={}, condition=NEVER)


LAUNCH = entry(at="before_ready", how="exit", signature="out of memory")
IN_TEST = entry(
    at="test", test="test_x", how="http_status", http_status=500, params=("1024",), signature="out of memory"
)
DIED = SeenFailure(at="before_ready", how="exit", texts=(OOM,))
REFUSED = SeenFailure(
    at="test", how="http_status", http_status=500, texts=(OOM,), test="test_x", test_id="test_x[1024-cell]"
)


@pytest.mark.parametrize(("known", "failure"), [(LAUNCH, DIED), (IN_TEST, REFUSED)])
def test_a_failure_that_fits_in_everything_is_known_by_its_words(
    known: Loaded[KnownFailure], failure: SeenFailure
) -> None:
    match = match_known_failure([known], failure)
    assert match is not None and (match.known, match.text) == (known, OOM)
    assert explain_mismatches([known], failure) == []


@pytest.mark.parametrize(
    ("known", "failure", "why"),
    [
        (LAUNCH, replace(DIED, at="first_request"), "before the engine was ready, this was at its first request"),
        (LAUNCH, replace(DIED, at="test", test="test_x"), "this was in a test"),
        (LAUNCH, replace(DIED, at="relaunch"), "this was at a later launch"),
        (LAUNCH, replace(DIED, at="attach"), "this was at the first contact with somebody else's server"),
        (LAUNCH, replace(DIED, how="hang"), "shows as exit, this as hang"),
        (LAUNCH, replace(DIED, how="rejected"), "shows as exit, this as rejected"),
        (LAUNCH, replace(DIED, texts=("illegal memory access",)), "fits nothing that was said"),
        (LAUNCH, replace(DIED, texts=()), "fits nothing that was said"),
        (IN_TEST, replace(REFUSED, http_status=503), "shows as HTTP 500, this as HTTP 503"),
        (IN_TEST, replace(REFUSED, test_id="test_x[2048-cell]"), "is about test_x['1024'], this was test_x[2048-cell]"),
        (IN_TEST, replace(REFUSED, texts=(OOM, "needle.found: NOT OK")), "fits nothing that was said in 1 of 2"),
    ],
)
def test_what_differs_in_anything_is_another_failure_and_says_in_what(
    known: Loaded[KnownFailure], failure: SeenFailure, why: str
) -> None:
    assert match_known_failure([known], failure) is None
    [said] = explain_mismatches([known], failure)
    assert why in said


@pytest.mark.parametrize(
    ("test_id", "without"),
    [
        ("test_x[CELL]", "test_x"),
        ("test_x[CELL-1024-50]", "test_x[1024-50]"),
        ("test_x[1024-CELL-50]", "test_x[1024-50]"),
        ("test_x[1024-CELL]", "test_x[1024]"),
        ("test_x", "test_x"),
    ],
)
def test_the_digits_of_a_cell_are_no_parameter(test_id: str, without: str) -> None:
    """`params: ["10"]` fitted every test of llamacpp_2026_10_11549."""
    cell = "cpu.llamacpp_2026_10_11549.canary.baseline"
    assert remove_cell(test_id.replace("CELL", cell), cell) == without
    assert not speaks_of_test(replace(IN_TEST.value.fails, params=("2026",)), "test_x", without)


def test_another_test_of_the_same_cell_is_not_excused_and_not_even_told_of_it() -> None:
    other = replace(REFUSED, test="test_y", test_id="test_y[1024-cell]")
    assert match_known_failure([IN_TEST], other) is None
    assert explain_mismatches([IN_TEST], other) == []


def test_of_several_entries_the_one_that_fits_is_named() -> None:
    others = [
        entry("a", at="before_ready", how="hang", signature="out of memory"),
        LAUNCH,
        entry("b", at="before_ready", how="exit", signature="oom"),
    ]
    match = match_known_failure(others, DIED)
    assert match is not None and match.known is LAUNCH


ENVELOPE = "protocol.envelope: NOT OK only reasoning, no answer"
UNENDED = {  # as seen with SGLang 0.5.23 on an H200, and what another fault of the same test says
    "test_calls_the_right_tool": ("tools.call: NOT OK no tool call, only reasoning", "tools.call: NOT OK no tool call"),
    "test_answers_without_a_tool": (
        "tools.none_needed: NOT OK empty; the answer is not in the reply",
        "tools.none_needed: NOT OK the answer is not in the reply",
    ),
    "test_refuses_a_missing_tool": (
        "tools.missing: NOT OK empty; the answer is not in the reply",
        "tools.missing: NOT OK called 'lock'",
    ),
    "test_uses_the_tool_result": (
        "tools.result_used: NOT OK empty; the answer is not in the reply",
        "tools.result_used: NOT OK the last number is 3",
    ),
    "test_obeys_tool_choice": (
        "tools.choice_named: NOT OK no tool call, only reasoning",
        "tools.choice_named: NOT OK no tool call",
    ),
    "test_obeys_required_tool_choice": (
        "tools.choice_required: NOT OK no tool call, only reasoning",
        "tools.choice_required: NOT OK no call add({})",
    ),
    "test_stream_equals_non_stream": (ENVELOPE, "tools.stream: NOT OK content: 'a' streamed, 'b' whole"),
}


@pytest.mark.parametrize("test", UNENDED)
def test_a_thought_that_may_not_end_is_known_and_nothing_else_of_its_tests(test: str) -> None:
    known = [k for k in load_matrix().known_failures if k.value.id.startswith("sglang_unended_thought_")]
    seen, other = UNENDED[test]
    empty = "protocol.envelope: NOT OK an empty reply"
    for texts, fits in (((seen,), True), ((seen, other), False), ((other,), False), ((seen, empty), False)):
        failure = SeenFailure(at="test", how="wrong_answer", texts=texts, test=test, test_id=test)
        assert (match_known_failure(known, failure) is not None) is fits, texts
