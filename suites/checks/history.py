"""Checks what an engine says to a history that holds a call whose arguments are no whole JSON object.

A reply that `max_tokens` or a lost connection cut ends inside a call. An agent keeps it, and sends it with every later
turn: an engine that fails on it fails for the rest of the conversation (llama.cpp#25510, vllm#43995, sglang#28035).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from reports.evidence.finding import Finding
from suites.checks import answer
from suites.checks.fields import CLIENT_ERRORS
from suites.checks.tools import find_invalid

CHECK: Final = "clients.history"
ABSENT: Final = object()
AS_OBJECT: Final = "arguments that are an object"


def damage_arguments(item: Item) -> Iterator[tuple[str, Item]]:
    """Yield histories whose last call has other arguments, and what they are; nothing where the history has no call."""
    for what, value in _list_values(_find_arguments(item)):
        yield what, replace(item, id=f"{item.id}.{what.replace(' ', '_')}", messages=_put_arguments(item, value))


def _find_arguments(item: Item) -> str:
    made = [call for message in item.messages for call in message.get("tool_calls") or ()]
    return str(made[-1]["function"]["arguments"]) if made else ""


def _list_values(whole: str) -> Iterator[tuple[str, Any]]:
    if not whole:
        return
    yield "arguments cut in their middle", whole[: len(whole) // 2]
    yield "arguments that are one brace", "{"
    yield "arguments twice", whole + whole
    yield "empty arguments", ""
    yield "arguments that are null", None
    yield "arguments that are the word null", "null"
    yield AS_OBJECT, json.loads(whole)
    yield "arguments that are a text", json.dumps("a text")
    yield "arguments that are a list", "[]"
    yield "a call without arguments", ABSENT


def _put_arguments(item: Item, value: Any) -> tuple[Mapping[str, Any], ...]:
    last = max(n for n, message in enumerate(item.messages) if message.get("tool_calls"))
    return tuple(_put_into(m, value) if n == last else m for n, m in enumerate(item.messages))


def _put_into(message: Mapping[str, Any], value: Any) -> Mapping[str, Any]:
    *others, call = message["tool_calls"]
    made = {"name": call["function"]["name"], **({} if value is ABSENT else {"arguments": value})}
    return {**message, "tool_calls": [*others, {**call, "function": made}]}


def check_refused_history(item: Item, what: str, status: int, body: str) -> Finding:
    """Check that a history is refused as the client's fault, with a reason: an agent then knows what to mend."""
    wrong = [] if status in CLIENT_ERRORS else [f"HTTP {status} for {what}"]
    if not wrong and not _find_reason(body):
        wrong = [f"HTTP {status} without a reason for {what}"]
    return _make_finding(item, f"HTTP {status}: {body[:200]}", wrong)


def _find_reason(body: str) -> str:
    """Return the reason in a refusal, whichever engine's form it has; a text that is no JSON is one, too."""
    try:
        told = json.loads(body)
    except ValueError:
        return body.strip()
    error = told.get("error", told) if isinstance(told, Mapping) else told
    said = [error.get(name) for name in ("message", "detail")] if isinstance(error, Mapping) else [error]
    return " ".join(str(each) for each in said if each).strip()


def check_served_history(item: Item, what: str, reply: Reply, sound: Reply) -> Finding:
    """Check that a history that is served is answered soundly: words without a defect, or valid calls once more.

    Arguments as an object mean the same as their text, so prompt and answer must be those of the text.
    """
    if what == AS_OBJECT:
        wrong = [] if reply.prompt_tokens == sound.prompt_tokens else _tell_other_prompt(reply, sound)
        wrong += [] if (told := answer.check_answer(item, reply)).ok else [told.detail]
    elif reply.tool_calls:
        wrong = [each for call in reply.tool_calls for each in find_invalid(item, call)]
    else:
        wrong = answer.find_reply_defects(reply, prompt=answer.prompt_text(item) + (item.answer or ""))
        wrong += [] if reply.content.strip() else ["it says nothing"]
    return _make_finding(item, reply.content, [f"{each}, behind {what}" for each in wrong])


def _tell_other_prompt(reply: Reply, sound: Reply) -> list[str]:
    return [f"{reply.prompt_tokens} prompt tokens, {sound.prompt_tokens} for the same arguments as text"]


def _make_finding(item: Item, got: str, wrong: list[str]) -> Finding:
    expected = "HTTP 4xx with a reason, or a sound reply"
    return Finding(check=CHECK, ok=not wrong, expected=expected, got=got, item=item.id, detail="; ".join(wrong))
