"""Checks the envelope of an answer: separate reasoning, and a finish_reason and usage that fit the content.

Wrong envelopes pass every text check and break every agent framework.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from reports.evidence.finding import Finding
from suites.checks.frozen import prompt_sha256
from suites.checks.text import LEAKS, find_half_character

FINISH_REASONS = ("stop", "length", "tool_calls")
# A bank knows the length of its prompts only about; the engine's own template adds to it. A usage that is wrong
# by more than this counted something else (characters, the completion, a truncated prompt).
PROMPT_TOKENS_FACTOR = 2.0
PROMPT_TOKENS_SLACK = 64  # template frame of a short prompt
# A step with six drafts makes 9 to 30 characters (at most 9 on average on an H200, MTP included, docs/evidence).
CHUNK_CHARS = 160
TOKENS_PER_BYTE = 1  # no byte-level vocabulary needs more than one token per byte ...
TOKENS_FRAME = 24  # ... plus tags around calls and the end token


def check_envelope(item: Item, reply: Reply, *, max_tokens: int | None = None) -> Finding:
    """Check everything that must hold for every reply, whatever its text."""
    wrong = [
        *_check_finish_reason(reply, max_tokens),
        *_check_usage(item, reply, max_tokens),
        *_check_separation(reply),
        *_find_half_characters(reply),
        *_find_lumps(reply),
        *reply.form_faults,
    ]
    if reply.streamed and not reply.done_seen:
        wrong.append("the stream ended without [DONE]")
    return Finding(
        check="protocol.envelope",
        ok=not wrong,
        expected="finish_reason, usage and reasoning that fit the content",
        got=f"{reply.finish_reason=} {reply.prompt_tokens=} {reply.completion_tokens=} {reply.content[:200]!r}",
        item=item.id,
        detail="; ".join(wrong),
        data={
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
            "prompt_sha256": prompt_sha256(item),
        },
    )


def _check_finish_reason(reply: Reply, max_tokens: int | None) -> list[str]:
    reason = reply.finish_reason
    if reason not in FINISH_REASONS:
        return [f"finish_reason {reason!r} is not one of {', '.join(FINISH_REASONS)}"]
    # Both ways: calls under `stop` are dropped by agents, and `tool_calls` without one makes them wait.
    if (reason == "tool_calls") != bool(reply.tool_calls):
        return [f"finish_reason is {reason!r} with {len(reply.tool_calls)} tool calls"]
    spent = reply.completion_tokens
    if reason == "length" and max_tokens is not None and spent is not None and spent < max_tokens:
        return [f"finish_reason is 'length' after {spent} of {max_tokens} tokens"]
    return []


def _check_usage(item: Item, reply: Reply, max_tokens: int | None) -> list[str]:
    prompt, spent = reply.prompt_tokens, reply.completion_tokens
    if prompt is None or spent is None:
        return ["no usage"]
    wrong = []
    if not spent and (reply.content or reply.reasoning or reply.tool_calls):
        wrong.append("usage counts no completion token")
    if max_tokens is not None and spent > max_tokens:
        wrong.append(f"{spent} completion tokens, {max_tokens} allowed")
    if spent > _most_tokens(reply):
        wrong.append(f"{spent} completion tokens for {_most_tokens(reply) - TOKENS_FRAME} bytes of text")
    if (total := _told_total(reply)) is not None and total != prompt + spent:
        wrong.append(f"a total of {total!r} tokens for {prompt} + {spent}")
    if (cached := reply.cached_tokens) is not None and cached > prompt:
        wrong.append(f"{cached} cached tokens of a prompt of {prompt}")
    about = item.tokens_prompt_about
    if about is not None and not _is_near(prompt, about):
        wrong.append(f"{prompt} prompt tokens, about {about} expected")
    return wrong


def _told_total(reply: Reply) -> object:
    """`usage.total_tokens` of the last object received, if it told one: what a user is billed by."""
    usage = reply.raw.get("usage")
    return usage.get("total_tokens") if isinstance(usage, Mapping) else None


def _most_tokens(reply: Reply) -> int:
    calls = "".join(c.name + c.arguments for c in reply.tool_calls)
    # `surrogatepass`: half of an emoji is found by a check of its own and must not raise in this one.
    size = len((reply.content + reply.reasoning + calls).encode("utf-8", "surrogatepass"))
    return TOKENS_PER_BYTE * size + TOKENS_FRAME * (1 + len(reply.tool_calls))


def _is_near(count: int, about: int) -> bool:
    low, high = about / PROMPT_TOKENS_FACTOR, about * PROMPT_TOKENS_FACTOR
    return low - PROMPT_TOKENS_SLACK <= count <= high + PROMPT_TOKENS_SLACK


def _check_separation(reply: Reply) -> list[str]:
    wrong = []
    if not (reply.content.strip() or reply.tool_calls):
        wrong.append("only reasoning, no answer" if reply.reasoning.strip() else "an empty reply")
    if leak := LEAKS.search(reply.content):
        wrong.append(f"{leak.group()!r} leaked into the content")
    if leak := LEAKS.search(reply.reasoning):
        wrong.append(f"{leak.group()!r} was left in the reasoning: a call or an answer may be swallowed there")
    return wrong


def _find_lumps(reply: Reply) -> list[str]:
    """Find a stream that is none: its text came in pieces that no step of a model makes."""
    said = len(reply.content) + len(reply.reasoning)
    lumps = reply.streamed and said > CHUNK_CHARS * (reply.chunks or 1)
    return [f"a stream of {said} characters came in {reply.chunks} chunk(s)"] if lumps else []


def _find_half_characters(reply: Reply) -> list[str]:
    """Find text that a strict JSON or UTF-8 reader of the user rejects."""
    calls = [("a call", text) for c in reply.tool_calls for text in (c.id, c.name, c.arguments)]
    parts = [("content", reply.content), ("reasoning", reply.reasoning), *calls]
    return [
        f"half of a surrogate pair in {where}: {half!r}" for where, text in parts if (half := find_half_character(text))
    ]


def check_new_ids(item: Item, reply: Reply, known: Container[str]) -> Finding:
    """Check that no call has the id of a call of an earlier turn: agents file results under ids, over a whole talk."""
    again = [call.id for call in reply.tool_calls if call.id in known]
    return Finding(
        check="protocol.call_ids",
        ok=not again,
        expected="ids that no earlier turn has",
        got=", ".join(call.id for call in reply.tool_calls),
        item=item.id,
        detail=f"{again[0]!r} is the id of an earlier turn's call" if again else "",
    )


def check_prompt_tokens(item: Item, reply: Reply, expected: int) -> Finding:
    """Check that the engine's prompt count equals that of the rendered chat template, exactly. Finds template and
    tokenizer drift."""
    return Finding(
        check="protocol.prompt_tokens",
        ok=reply.prompt_tokens == expected,
        expected=str(expected),
        got=str(reply.prompt_tokens),
        item=item.id,
    )
