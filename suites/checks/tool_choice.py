"""Checks `tool_choice` as far as each engine claims to enforce it. Without a claim, the result is recorded and never
fails.

| value | everywhere | where enforced |
|---|---|---|
| none | no tool call comes back, even when one would fit | |
| required | the fitting call is made | a call is made although none fits, with arguments that the schema admits |
| named | the named tool is called when it fits | no other tool is called, whatever fits |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal

from packaging.version import Version

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from reports.evidence.finding import Finding
from suites.checks import tools

Choice = Literal["none", "required", "named"]
# How far a dialect goes: `enforced` by constrained decoding, `call` (the same, but arguments are held to their schema
# only where the tool says `strict: true`), `no_end` (text may come first, but the reply cannot end without a call),
# `ignored` (served as auto).
Strength = Literal["enforced", "call", "no_end", "ignored"]
# vllm     docs/features/tool_calling: named and required by structured outputs, required since 0.8.3
#          From the release on that has --tool-strict-level, arguments are free unless a tool is strict
#          (tool_parsers/tool_strict_level.py of 0.33.0: auto and function leave them free). Seen on one H200 on
#          2026-11-30: three forced calls of four lacked what their schema requires
# sglang   the same by grammar; TensorRT-LLM's pull request 14290 names both as its models
# trtllm   named since pull request 14290 (2026-05-19), required not stated anywhere: recorded only
# llamacpp seen on 2026.10.11549: required is a grammar that allows text before the call (llama.cpp#27217 is another
#          case), an object is read as "auto" with a warning in the log (llama.cpp#26535)
CLAIMED: Final[Mapping[str, Mapping[Choice, Strength]]] = {
    "vllm": {"required": "enforced", "named": "enforced"},
    "sglang": {"required": "enforced", "named": "enforced"},
    "trtllm": {"required": "ignored", "named": "ignored"},
    "llamacpp": {"required": "no_end", "named": "ignored"},
    "transformers": {"required": "ignored", "named": "ignored"},
}

# parallel_tool_calls: vLLM tells the first call alone (pull request 26233, 2025-10), llama.cpp's grammar ends behind
# it (seen on 2026.10.11549). SGLang's protocol has the field; that calls of `auto` obey it is stated nowhere.
ONE_CALL: Final = frozenset({"vllm", "llamacpp"})

STRICT_TOOLS_ONLY_FROM: Final[Mapping[str, Version]] = {"vllm": Version("0.33.0")}  # tests hold it to the snapshots


def claimed_strength(dialect: str, choice: Choice, version: str) -> Strength:
    """Return how far this release of the dialect's engine claims to enforce a choice."""
    claimed = CLAIMED.get(dialect, {}).get(choice, "ignored")
    since = STRICT_TOOLS_ONLY_FROM.get(dialect)
    return "call" if claimed == "enforced" and since and Version(version) >= since else claimed


def make_strict(item: Item) -> Item:
    """Return the item with tools whose arguments the client wants to be held to their schema."""
    tools_ = ({**tool, "function": {**tools.tool_function(tool), "strict": True}} for tool in item.tools)
    return replace(item, id=f"{item.id}.strict", tools=tuple(tools_))


def tool_choice_field(choice: Choice, name: str = "") -> dict[str, Any]:
    """Return the request field for a choice."""
    value: Any = {"type": "function", "function": {"name": name}} if choice == "named" else choice
    return {"tool_choice": value}


def check_none(item: Item, reply: Reply) -> Finding:
    """Check that no call is made, although one fits. The reply's text is not judged: raw tags are common there."""
    made = [c.name for c in reply.tool_calls]
    wrong = [f"called {', '.join(made)}"] if made else []
    if reply.finish_reason == "tool_calls":
        wrong.append("finish_reason is 'tool_calls'")
    return _make_finding("none", item, reply, "no tool call", wrong)


def check_fitting(item: Item, reply: Reply, choice: Choice) -> Finding:
    """Check that exactly the expected call is made when choice and question agree, under every engine.

    A named call may end with `stop`: OpenAI's API does so, and vLLM follows it (chat_completion/serving.py, 0.26.0).
    """
    finish = ("tool_calls", "stop") if choice == "named" else ("tool_calls",)
    return tools.check_calls(item, reply, check=f"tools.choice_{choice}", finish=finish)


def check_forced(item: Item, reply: Reply, choice: Choice, *, name: str, how: Strength) -> Finding:
    """Check that a call is made although no tool fits, or another than the named one does, as far as the engine
    claims it. A model that was made to call may write on until `max_tokens`: what that cut is held to no schema."""
    allowed = {name} if choice == "named" else {tools.tool_function(t)["name"] for t in item.tools}
    made = [c.name for c in reply.tool_calls]
    wrong = [f"called {m!r}" for m in made if m not in allowed]
    if not made and not (how == "no_end" and reply.finish_reason == "length"):
        wrong.append(f"no call, finish_reason {reply.finish_reason!r}")
    cut = bool(made) and reply.finish_reason == "length"
    if how == "enforced" and not cut:
        wrong += [w for c in reply.tool_calls for w in tools.find_invalid(item, c)]
    found = _make_finding(f"{choice}_forced", item, reply, f"a call of {' or '.join(sorted(allowed))}", wrong)
    if cut and not wrong:
        return replace(found, sensitive=False, detail="cut at max_tokens: held to no schema")
    if how != "ignored":
        return found
    return replace(found, ok=True, sensitive=False, detail=f"not claimed; {found.detail}".rstrip("; "))


def check_single(item: Item, reply: Reply, *, dialect: str) -> Finding:
    """Check that one of the expected calls is made where `parallel_tool_calls` is off, where the engine claims it."""
    one = [replace(item, call=(call,)) for call in item.call]
    told = [tools.check_calls(each, reply) for each in one]
    found = next((each for each in told if each.ok), told[0])
    wrong = [] if found.ok else [found.detail]
    made = _make_finding("single", item, reply, f"one of {len(one)} calls", wrong)
    if dialect in ONE_CALL:
        return made
    return replace(made, ok=True, sensitive=False, detail=f"not claimed; {made.detail}".rstrip("; "))


def _make_finding(name: str, item: Item, reply: Reply, expected: str, wrong: list[str]) -> Finding:
    return Finding(
        check=f"tools.choice_{name}",
        ok=not wrong,
        expected=expected,
        got="; ".join(f"{c.name}({c.arguments})" for c in reply.tool_calls) or reply.content,
        item=item.id,
        detail="; ".join(wrong),
        data={"finish_reason": reply.finish_reason, "calls": len(reply.tool_calls)},
    )
