"""checks.yaml keeps its form: bases, days, sources, operators, facts that exist, ranges that parse."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from matrix.checking.conditions import FORMS, GROUPS, decide_condition
from matrix.checking.facts import collect_facts
from matrix.checking.launchers import Command
from matrix.checking.model_config import describe_model
from matrix.checking.releases import parse_release
from matrix.checking.rigs import parse_rig
from matrix.checking.rules import BASES, EFFECTS, LEVELS, Check, read_book, read_checks
from matrix.checking.settings import UNKNOWN, read_kinds, read_settings
from matrix.checking.variables import words_of

CHECKS = (*read_checks(), *read_book().computed.values())
# Facts that only some lines have.
SOMETIMES = {
    "chunk_rest",
    "stage_ranks",
    "dcp_spans_all",
    "scratch_gib",
    "context_and_draft",
    "steps_plus_one",
    "verified",
    "dspark_window",
    "partition_fits",
    "stage_starts",
    "attention_tp",
    "heads_divide",
    "sharing_keys",
    "kv",
    "dsa_prefill",
    "dsa_decode",
    "moe",
    "draft_moe",
    "page",
    "attention",
    "moe_layer",
    "draft_moe_layer",
    "fp4_gemm_chosen",
    "fp8_gemm_chosen",
    "chunk_per_group",
    "draft_batch",
    "guard_says",
    "guard_at",
}


def facts_of_a_line() -> dict[str, Any]:
    release = parse_release("sglang==0.5.17")
    command = Command(engine="sglang", entry="sglang serve", argv=words_of(["--model-path", "/w", "--tp", "8"]))
    settings = read_settings(command, release.snapshot)
    return collect_facts(command, release, describe_model("/w", None), settings, host=parse_rig("sm90x8"))


def conditions(check: Check) -> Iterator[tuple[str, Any]]:
    for when in (check.when, *check.unless):
        yield from when.items()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_a_check_says_what_it_rests_on(check: Check) -> None:
    assert check.level in (*LEVELS, "unknown")
    assert check.effect in EFFECTS
    assert check.decided_by.kind in BASES
    assert check.decided_by.fact
    assert check.decided_by.kind != "run" or check.decided_by.run != "not run", "a run names what ran, and where"
    assert datetime.date.fromisoformat(check.decided_by.read)
    assert check.sources
    assert check.cause.endswith((".", "{nearest}"))
    assert check.report_kind
    for side in check.conflict:
        assert set(side) == {"says", "source"}


@pytest.mark.parametrize("check", read_checks(), ids=lambda check: check.id)
def test_a_check_asks_for_facts_that_exist(check: Check) -> None:
    known = {*facts_of_a_line(), *SOMETIMES, *GROUPS, "version", "pins", "guard"}
    for key, wanted in conditions(check):
        assert key in known, key
        for value in wanted.values() if key in GROUPS else [wanted]:
            if isinstance(value, Mapping) and key != "pins":
                assert set(value) <= FORMS, value
        if key == "version":
            SpecifierSet(wanted)
    for subject in check.subject:
        assert subject in read_kinds(), subject
    for text in (check.cause, check.consequence, check.remedy):
        assert set(re.findall(r"\{(\w+)\}", text)) <= known


def test_ids_are_unique() -> None:
    ids = [check.id for check in CHECKS]
    assert len(ids) == len(set(ids))


def test_a_report_alone_seldom_makes_a_line_wrong() -> None:
    """Of the checks that only a report decides, those that refuse a line are named: each says why it is certain."""
    alone = {check.id for check in read_book().checks if check.level == "wrong" and check.decided_by.kind == "report"}
    assert alone == {
        "bf16_kv_gives_nonsense",
    }


@pytest.mark.parametrize(
    ("when", "facts", "answer"),
    [
        ({"a": 1}, {"a": 1}, True),
        ({"a": [1, 2]}, {"a": 2}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": "x"}, {"a": frozenset({"x", "y"})}, True),
        ({"a": {"not": ["x"]}}, {"a": frozenset({"x", "y"})}, False),
        ({"a": {"not": ["x"]}}, {}, True),
        ({"a": {"given": False}}, {}, True),
        ({"a": {"min": 2, "max": 3}}, {"a": 3}, True),
        ({"a": {"min": 2}}, {"a": "3"}, False),
        ({"a": {"above": "b"}}, {"a": 3, "b": 2}, True),
        ({"a": {"above": "b"}}, {"a": 3, "b": UNKNOWN}, None),
        ({"a": {"no_divisor_of": "b"}}, {"a": 3, "b": 8}, True),
        ({"a": {"no_divisor_of": "b"}}, {"a": 4, "b": 8}, False),
        ({"a": {"no_divisor_of": "b"}}, {"a": 0, "b": 8}, True),
        ({"a": 1, "b": 1}, {"a": UNKNOWN, "b": 2}, False),
        ({"a": 1, "b": 1}, {"a": UNKNOWN, "b": 1}, None),
        ({"version": ">=1,<2"}, {"version": "1.5+fork.1"}, True),
        ({"version": ">=1"}, {"version": UNKNOWN}, None),
        ({"pins": {"x": "<2"}}, {"pins": {"x": "1.9"}}, True),
        ({"pins": {"x": "<2"}}, {"pins": {}}, None),
        ({"env": {"X": {"not": ["1"]}}}, {"env": {"X": "1"}}, False),
        ({"env": {"X": {"not": ["1"]}}}, {"env": {"X": UNKNOWN}}, None),
    ],
)
def test_conditions_have_three_answers(when: dict[str, Any], facts: dict[str, Any], answer: bool | None) -> None:
    assert decide_condition(when, facts) is answer


def test_a_flag_has_one_name() -> None:
    """The last setting of a flag takes it, and every check of the other falls silent."""
    names = Counter(flag for kind in read_kinds().values() for flag in kind.flags)
    assert [flag for flag, many in names.items() if many > 1] == []
