"""Checks tool calls as an agent framework needs them: the right tool, valid and copied arguments, no leaked tags
around them."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fixtures.banks.item import ExpectedCall, Item
from fixtures.client.reply import Reply, ToolCall
from matrix.judging.foreign_json import UnreadableJson, parse_foreign_json
from reports.evidence.finding import Finding
from suites.checks import answer, text
from suites.checks.normal import contains_words
from suites.checks.text import LEAKS

TRIGGER_F1 = 0.98  # MiniMax's provider verifier; K2-Vendor-Verifier accepts 0.73 to 0.80
SAID_TWICE_CHARS = 12  # of arguments as JSON
Json = Any


def check_calls(
    item: Item, reply: Reply, *, check: str = "tools.call", finish: Container[str | None] = ("tool_calls",)
) -> Finding:
    """Check for exactly the expected calls, by value; each must be valid under the offered schema."""
    wrong = [*_check_form(reply, finish), *(w for c in reply.tool_calls for w in find_invalid(item, c))]
    wrong += _find_faults_beside(item, reply)
    if not wrong:
        wrong = _find_unequal(item.call, reply.tool_calls)
    return Finding(
        check=check,
        ok=not wrong,
        expected="; ".join(f"{c.name}({_show_json(c.arguments)})" for c in item.call),
        got=_shown_calls(reply),
        item=item.id,
        detail="; ".join(wrong),
        data={"finish_reason": reply.finish_reason, "calls": len(reply.tool_calls)},
    )


def _check_form(reply: Reply, finish: Container[str | None]) -> list[str]:
    wrong = []
    if not reply.tool_calls:
        # told apart from a call that was lost or put into words: here nothing followed the thought
        thought_only = bool(reply.reasoning.strip()) and not reply.content.strip()
        wrong.append("no tool call, only reasoning" if thought_only else "no tool call")
    if reply.tool_calls and reply.finish_reason not in finish:
        wrong.append(f"finish_reason is {reply.finish_reason!r}, not 'tool_calls'")
    if leak := LEAKS.search(reply.content):
        wrong.append(f"{leak.group()!r} leaked into the content")
    ids = [c.id for c in reply.tool_calls]
    if not all(ids) or len(set(ids)) != len(ids):
        wrong.append(f"call ids are not unique and non-empty: {ids}")
    return wrong


def _find_faults_beside(item: Item, reply: Reply) -> list[str]:
    """Find what is wrong with the words beside calls: a user reads them, and an agent feeds them back."""
    if not (reply.tool_calls and reply.content.strip()):
        return []
    said = "".join(reply.content.split())
    # Short arguments such as `{}` may be said by chance.
    told = (c for c in reply.tool_calls if len(c.arguments) >= SAID_TWICE_CHARS)
    wrong = [f"the call of {c.name!r} stands in the content, too" for c in told if "".join(c.arguments.split()) in said]
    return wrong + [f"beside a call: {w}" for w in text.find_defects(reply.content, prompt=answer.prompt_text(item))]


def find_invalid(item: Item, made: ToolCall) -> list[str]:
    """Find what is wrong with a call under the offered schema."""
    import jsonschema  # late: no collection validates

    schemas = {tool_function(t)["name"]: tool_function(t).get("parameters") or {} for t in item.tools}
    if made.name not in schemas:
        return [f"{made.name!r} is not among the tools ({', '.join(sorted(schemas))})"]
    # Before the JSON: `</arg_value>` inside a string value is valid JSON and valid under most schemas.
    if leak := LEAKS.search(made.arguments):
        return [f"{leak.group()!r} leaked into the arguments"]
    try:
        arguments = parse_foreign_json(made.arguments, numbers=False)
    except UnreadableJson as error:
        return [f"{made.name}: arguments are not JSON ({error})"]
    errors = jsonschema.Draft202012Validator(schemas[made.name]).iter_errors(arguments)
    return [f"{made.name}: {'/'.join(map(str, e.absolute_path)) or 'arguments'}: {e.message}" for e in errors]


def _find_unequal(expected: Sequence[ExpectedCall], made: Sequence[ToolCall]) -> list[str]:
    """Find missing and extra calls. Parallel calls are a multiset: their order has no meaning."""
    # Safe here: `check_calls` compares only calls that `find_invalid` could parse.
    left = [(c.name, parse_foreign_json(c.arguments, numbers=False)) for c in made]
    wrong = []
    for want in expected:
        match = next((m for m in left if m[0] == want.name and same_value(m[1], want.arguments)), None)
        if match is None:
            wrong.append(f"no call {want.name}({_show_json(want.arguments)})")
        else:
            left.remove(match)
    return wrong + [f"extra call {name}({_show_json(arguments)})" for name, arguments in left]


def same_value(got: Json, want: Json) -> bool:
    """Return whether two values are equal by value and type: `"5"` is not 5, true is not 1, but 5.0 is 5 (JSON has
    one number type)."""
    match want:
        case bool() | None:
            # `is`, since `1 == True` in Python; the case stands before `int`, of which bool is a subclass.
            return got is want
        case int() | float():
            return isinstance(got, int | float) and not isinstance(got, bool) and got == want
        case str():
            # GLM writes values between tags on lines of their own; parsers differ in whether they strip the newlines.
            return isinstance(got, str) and got.strip() == want
        case Mapping():
            return (
                isinstance(got, Mapping)
                and got.keys() == want.keys()
                and all(same_value(got[k], v) for k, v in want.items())
            )
        case _:
            return (
                isinstance(got, list)
                and len(got) == len(want)
                and all(same_value(g, w) for g, w in zip(got, want, strict=True))
            )


def check_cut_call(item: Item, reply: Reply, max_tokens: int) -> Finding:
    """Check that a reply whose limit ends inside its call does not say `tool_calls`, unless all of its calls are
    valid."""
    invalid = [wrong for call in reply.tool_calls for wrong in find_invalid(item, call)]
    finished = reply.finish_reason == "tool_calls"
    wrong = [f"finish_reason is 'tool_calls': {each}" for each in invalid] if finished else []
    if finished and not reply.tool_calls:
        wrong.append("finish_reason is 'tool_calls' without a call")
    if reply.finish_reason == "stop" and not reply.tool_calls and (reply.completion_tokens or 0) >= max_tokens:
        wrong.append("finish_reason is 'stop' where the limit ended it: the half call was dropped without a word")
    if (spent := reply.completion_tokens) is not None and spent > max_tokens:
        wrong.append(f"{spent} tokens, {max_tokens} allowed")
    return Finding(
        check="tools.cut",
        ok=not wrong,
        expected=f"no half call under 'tool_calls' in {max_tokens} tokens",
        got=f"{reply.finish_reason}: {_shown_calls(reply)}",
        item=item.id,
        detail="; ".join(wrong),
    )


def check_no_call(item: Item, reply: Reply, *, check: str = "tools.no_call") -> Finding:
    """Check that the model answers in words although tools are offered, since none fits. An expected answer is
    compared too."""
    if item.answer:
        right = answer.check_answer(item, reply, check=check)
        return replace(right, data={**right.data, "called": bool(reply.tool_calls)})
    wrong = [f"called {c.name!r}" for c in reply.tool_calls]
    wrong += text.find_defects(reply.content, prompt=answer.prompt_text(item))
    if reply.finish_reason != "stop":
        wrong.append(f"finish_reason is {reply.finish_reason!r}, not 'stop'")
    return Finding(
        check=check,
        ok=not wrong,
        expected="words, no tool call",
        got=_shown_calls(reply) or reply.content,
        item=item.id,
        detail="; ".join(wrong),
        data={"called": bool(reply.tool_calls)},
    )


def check_both_results(item: Item, reply: Reply) -> Finding:
    """Check that the values of two results stand in the answer, in either order."""
    first, _, second = (item.answer or "").partition(" and ")
    wrong = answer.find_reply_defects(reply, prompt=answer.prompt_text(item))
    wrong += [f"{value!r} is not in the reply" for value in (first, second) if not contains_words(reply.content, value)]
    if reply.finish_reason != "stop":
        wrong.append(f"finish_reason is {reply.finish_reason!r}, not 'stop'")
    return Finding(
        check="tools.both_results",
        ok=not wrong,
        expected=f"{item.answer}, in either order",
        got=_shown_calls(reply) or reply.content,
        item=item.id,
        detail="; ".join(wrong),
    )


def check_stream_equals_whole(item: Item, streamed: Reply, whole: Reply) -> Finding:
    """Check one greedy request in both forms: the same words, calls, finish_reason and counts of tokens."""
    wrong = [
        f"{name}: {a!r} streamed, {b!r} whole" for name, a, b in _pair_fields(streamed, whole) if not same_value(a, b)
    ]
    # Other words have another count. Equal ones are billed alike: with drafts a stream has fewer chunks than tokens.
    if not wrong and streamed.completion_tokens != whole.completion_tokens:
        wrong = [f"completion_tokens: {streamed.completion_tokens} streamed, {whole.completion_tokens} whole"]
    return Finding(
        check="tools.stream_equals_whole",
        ok=not wrong,
        expected=_shown_calls(whole) or whole.content,
        got=_shown_calls(streamed) or streamed.content,
        item=item.id,
        detail="; ".join(wrong),
    )


def _pair_fields(a: Reply, b: Reply) -> list[tuple[str, Json, Json]]:
    return [
        # Stripped: a stream cannot take back a newline that it sent before the call's tag, a whole answer can.
        ("content", a.content.strip(), b.content.strip()),
        ("reasoning", a.reasoning.strip(), b.reasoning.strip()),
        ("calls", _call_values(a), _call_values(b)),
        ("finish_reason", a.finish_reason or "", b.finish_reason or ""),
        ("prompt_tokens", a.prompt_tokens or 0, b.prompt_tokens or 0),
    ]


def _call_values(reply: Reply) -> list[list[Json]]:
    return [list(call) for call in read_calls(reply)]


def read_calls(reply: Reply) -> list[tuple[str, Json]]:
    """Return the calls of a reply by name and value; arguments that are no JSON are text."""
    return [(c.name, _parse_arguments(c.arguments)) for c in reply.tool_calls]


def _parse_arguments(arguments: str) -> Json:
    try:
        return parse_foreign_json(arguments, numbers=False)
    except UnreadableJson:
        return f"not JSON: {arguments}"


def check_trigger_f1(wanted: Mapping[str, bool], called: Mapping[str, bool]) -> Finding:
    """Check that the model calls a tool when, and only when, the reference does, over items of both kinds."""
    hits = sum(wanted[i] and called[i] for i in wanted)
    wrong = [i for i in wanted if wanted[i] != called[i]]
    # `wrong` is false positives and false negatives together, which is all that F1 needs of them.
    f1 = 2 * hits / (2 * hits + len(wrong)) if hits or wrong else 1.0
    return Finding(
        check="tools.trigger_f1",
        ok=f1 >= TRIGGER_F1,
        expected=f">= {TRIGGER_F1}",
        got=f"{f1:.4f}",
        detail=", ".join(wrong),
        sensitive=len(set(wanted.values())) == 2,  # without both kinds, always-calling would score 1
        data={"f1": f1, "items": len(wanted)},
    )


def tool_function(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a tool's own part, with or without OpenAI's wrapper."""
    own: Mapping[str, Any] = tool.get("function", tool)
    return own


def _shown_calls(reply: Reply) -> str:
    return "; ".join(f"{c.name}({c.arguments})" for c in reply.tool_calls) or reply.content


def _show_json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
