"""tool_choice is held to what the engine claims: enforced, not ended without, or merely recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import get_args, get_type_hints

import pytest
from packaging.version import Version

from fixtures.banks.item import ExpectedCall, Item
from fixtures.client.reply import Reply, ToolCall
from matrix.model import Engine
from matrix.preflight.snapshot import snapshot_for
from matrix.yaml.load import load_matrix
from suites.checks import tool_choice

TOOLS = tuple(
    {"type": "function", "function": {"name": n, "parameters": {"type": "object", "required": ["city"]}}}
    for n in ("forecast", "traffic")
)
ASKED = Item(
    id="x",
    kind="call",
    messages=({"role": "user", "content": "?"},),
    tools=TOOLS,
    call=(ExpectedCall(name="forecast", arguments={"city": "Rome"}),),
)
WORDS = Reply(content="I would rather talk.", finish_reason="stop")


def calling(name: str, arguments: str = '{"city": "Rome"}') -> Reply:
    return Reply(content="", tool_calls=(ToolCall(id="1", name=name, arguments=arguments),), finish_reason="tool_calls")


def test_none_means_no_call_whatever_is_said() -> None:
    assert tool_choice.check_none(ASKED, WORDS).ok
    assert tool_choice.check_none(ASKED, Reply(content="<tool_call>forecast", finish_reason="stop")).ok
    assert not tool_choice.check_none(ASKED, calling("forecast")).ok
    assert not tool_choice.check_none(ASKED, Reply(content="", finish_reason="tool_calls")).ok


@pytest.mark.parametrize("choice", ["required", "named"])
def test_what_fits_must_be_called_everywhere(choice: tool_choice.Choice) -> None:
    assert tool_choice.check_fitting(ASKED, calling("forecast"), choice).ok
    assert not tool_choice.check_fitting(ASKED, WORDS, choice).ok
    assert not tool_choice.check_fitting(ASKED, calling("traffic"), choice).ok


def test_a_call_is_told_whatever_reason_it_ended_with() -> None:
    """An engine that calls although it must not, and says `stop`, is no better."""
    found = tool_choice.check_none(ASKED, replace(calling("forecast"), finish_reason="stop"))
    assert (found.ok, found.detail, found.expected) == (False, "called forecast", "no tool call")
    assert found.got == 'forecast({"city": "Rome"})' and found.data == {"finish_reason": "stop", "calls": 1}
    assert tool_choice.check_none(ASKED, calling("forecast")).detail == "called forecast; finish_reason is 'tool_calls'"


def test_only_a_named_call_may_end_with_stop() -> None:
    ended = replace(calling("forecast"), finish_reason="stop")
    named, required = (tool_choice.check_fitting(ASKED, ended, choice) for choice in ("named", "required"))
    assert (named.ok, required.ok) == (True, False)
    assert (named.check, required.check) == ("tools.choice_named", "tools.choice_required")


def test_a_required_call_is_one_of_the_tools_whatever_its_name() -> None:
    found = tool_choice.check_forced(ASKED, calling("traffic"), "required", name="", how="enforced")
    assert found.ok and found.expected == "a call of forecast or traffic"
    assert not tool_choice.check_forced(ASKED, calling("weather"), "required", name="", how="enforced").ok
    right = tool_choice.check_forced(ASKED, calling("traffic"), "named", name="traffic", how="ignored")
    assert (right.detail, right.sensitive) == ("not claimed", False)


def test_a_name_that_is_enforced_is_called_whatever_fits() -> None:
    assert tool_choice.check_forced(ASKED, calling("traffic"), "named", name="traffic", how="enforced").ok
    assert not tool_choice.check_forced(ASKED, calling("forecast"), "named", name="traffic", how="enforced").ok
    assert not tool_choice.check_forced(ASKED, WORDS, "named", name="traffic", how="enforced").ok


def test_an_enforced_call_is_valid_under_its_schema() -> None:
    found = tool_choice.check_forced(ASKED, calling("traffic", "{}"), "named", name="traffic", how="enforced")
    assert "'city' is a required property" in found.detail
    assert not tool_choice.check_forced(ASKED, calling("traffic", "{"), "named", name="traffic", how="enforced").ok


def test_a_forced_call_that_the_limit_cut_is_held_to_no_schema() -> None:
    # Of a question that no tool fits, the flash canary wrote digits to the end; vLLM 0.33.0 told what it had by then.
    cut = replace(calling("traffic", '{"street": "x"}'), finish_reason="length")
    found = tool_choice.check_forced(ASKED, cut, "named", name="traffic", how="enforced")
    assert (found.ok, found.sensitive) == (True, False)
    other = replace(calling("forecast", "{}"), finish_reason="length")
    assert not tool_choice.check_forced(ASKED, other, "named", name="traffic", how="enforced").ok
    nothing = Reply(content="and so on", finish_reason="length")
    assert not tool_choice.check_forced(ASKED, nothing, "named", name="traffic", how="enforced").ok


def test_without_an_end_the_limit_may_come_before_the_call() -> None:
    running = Reply(content="and so on", finish_reason="length")
    assert tool_choice.check_forced(ASKED, running, "required", name="", how="no_end").ok
    assert not tool_choice.check_forced(ASKED, running, "required", name="", how="enforced").ok
    assert not tool_choice.check_forced(ASKED, WORDS, "required", name="", how="no_end").ok


def test_what_is_not_claimed_is_recorded_and_fails_nobody() -> None:
    found = tool_choice.check_forced(ASKED, WORDS, "named", name="traffic", how="ignored")
    assert (found.ok, found.sensitive) == (True, False)
    assert found.detail.startswith("not claimed; no call")


def test_every_dialect_is_in_the_table() -> None:
    dialects = get_args(get_type_hints(Engine)["dialect"])
    assert set(dialects) == tool_choice.CLAIMED.keys()
    assert tool_choice.claimed_strength("unheard_of", "required", "1") == "ignored"
    assert tool_choice.claimed_strength("llamacpp", "required", "2026.10.1") == "no_end"
    for choice in ("required", "named"):
        assert tool_choice.claimed_strength("sglang", choice, "0.5.23") == "enforced"
        assert tool_choice.claimed_strength("vllm", choice, "0.32.0") == "enforced"
        assert tool_choice.claimed_strength("vllm", choice, "0.33.0") == "call"


def test_arguments_are_free_from_the_release_on_that_asks_for_strict_tools() -> None:
    releases = [r for r in load_matrix().releases.values() if r.engine == "vllm" and not r.fork]
    read = {r.version: s for r in releases if (s := snapshot_for(r.id))}
    has = {v: any("--tool-strict-level" in flag.options for flag in s.flags) for v, s in read.items()}
    since = tool_choice.STRICT_TOOLS_ONLY_FROM["vllm"]
    assert set(has.values()) == {True, False}
    assert has == {version: Version(version) >= since for version in has}


def test_a_forced_call_is_held_to_its_schema_where_its_tool_is_strict() -> None:
    forced = calling("forecast", "{}")
    free, held = (tool_choice.check_forced(ASKED, forced, "required", name="", how=h) for h in ("call", "enforced"))
    assert (free.ok, held.ok) == (True, False)
    assert not tool_choice.check_forced(ASKED, WORDS, "required", name="", how="call").ok
    strict = tool_choice.make_strict(ASKED)
    assert [t["function"]["strict"] for t in strict.tools] == [True, True] and strict.id == "x.strict"
    assert "strict" not in ASKED.tools[0]["function"]


def test_the_field_is_openais() -> None:
    assert tool_choice.tool_choice_field("none") == {"tool_choice": "none"}
    named = tool_choice.tool_choice_field("named", "f")
    assert json.dumps(named) == '{"tool_choice": {"type": "function", "function": {"name": "f"}}}'


TWO = replace(ASKED, call=(*ASKED.call, ExpectedCall(name="traffic", arguments={"city": "Rome"})))


def test_one_call_of_two_is_made_where_one_is_wanted() -> None:
    both = replace(
        calling("forecast"),
        tool_calls=(*calling("forecast").tool_calls, replace(calling("traffic").tool_calls[0], id="2")),
    )
    assert tool_choice.check_single(TWO, calling("traffic"), dialect="vllm").ok
    for reply in (both, WORDS, calling("forecast", '{"city": "Lima"}')):
        assert not tool_choice.check_single(TWO, reply, dialect="vllm").ok
        told = tool_choice.check_single(TWO, reply, dialect="sglang")
        assert (told.ok, told.sensitive) == (True, False)
