"""Checks the edge of the context: the engine refuses cleanly and keeps serving."""

from __future__ import annotations

from typing import Final

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from matrix.judging.foreign_json import UnreadableJson, parse_foreign_json
from reports.evidence.finding import Finding

LEFT_FREE: Final = 8  # tokens at the end of a context that an engine may keep for itself and its drafts
CLIENT_ERRORS: Final = range(400, 500)
# The word by which each engine's refusal can be told from another 4xx. Seen: llama.cpp 2026.10.11549 answers 400
# {"error": {"type": "exceed_context_size_error", "message": "request (5449 tokens) exceeds the available context
# size ..."}}; vLLM and SGLang answer 400 with "maximum context length" and "longer than the model's context length".
ABOUT: Final = ("context", "max_model_len", "max_seq_len", "too long", "maximum", "longer than", "exceed")


def check_refusal(item: Item, answer: tuple[int, str] | Reply, *, tokens: int, context: int, exact: bool) -> Finding:
    """Check that a 4xx refused a prompt of `tokens` and names the reason; `answer` is status and body, or the reply
    that was served."""
    wrong = _explain_served(answer) if isinstance(answer, Reply) else _find_unclean(*answer)
    return Finding(
        check="limits.refused",
        ok=not wrong,
        expected=f"HTTP 4xx about the context of {context} tokens",
        got=answer.content if isinstance(answer, Reply) else f"HTTP {answer[0]}: {answer[1]}",
        item=item.id,
        detail="; ".join(wrong),
        data={"tokens": tokens, "context": context, "exact": exact},
    )


def check_full(item: Item, told: tuple[int, str] | Reply, *, room: int, context: int) -> Finding:
    """Check that a reply which may take what the context leaves ends there by `length`, up to a few tokens before.

    A refusal as the client's fault is kept and judges nothing: the last tokens are some engines' own.
    """
    wrong = _find_unfilled(told, room) if isinstance(told, Reply) else []
    refused = not isinstance(told, Reply) and told[0] in CLIENT_ERRORS
    if not isinstance(told, Reply) and not refused:
        wrong = [f"HTTP {told[0]} at the end of the context"]
    return Finding(
        check="limits.full",
        ok=not wrong,
        expected=f"{room} tokens that fill the context of {context}, and finish_reason 'length'",
        got=f"{told.completion_tokens} tokens" if isinstance(told, Reply) else f"HTTP {told[0]}: {told[1]}",
        item=item.id,
        detail="; ".join(wrong),
        sensitive=not refused,
        data={"room": room, "context": context},
    )


def _find_unfilled(reply: Reply, room: int) -> list[str]:
    spent = reply.completion_tokens
    wrong = [] if reply.finish_reason == "length" else [f"finish_reason is {reply.finish_reason!r}, not 'length'"]
    if spent is None or not room - LEFT_FREE <= spent <= room:
        wrong.append(f"{spent} tokens where {room} have room")
    return wrong


def _explain_served(reply: Reply) -> list[str]:
    return [f"{reply.prompt_tokens} prompt tokens were served: the prompt was cut silently, or the limit is another"]


def _find_unclean(status: int, body: str) -> list[str]:
    wrong = [] if status in CLIENT_ERRORS else [f"HTTP {status} blames the server for the client's prompt"]
    message = _read_message(body)
    if message is None:
        wrong.append("the body is not JSON with a message")
    # Any 4xx would do for a bad request; only the reason shows that the length was seen.
    elif not any(word in message.lower() for word in ABOUT):
        wrong.append(f"the message does not name the context: {message[:100]!r}")
    return wrong


def _read_message(body: str) -> str | None:
    """Read the error text of OpenAI's shape {"error": {"message"}}, vLLM's older {"message"}, or FastAPI's
    {"detail"}."""
    try:
        document = parse_foreign_json(body)
    except UnreadableJson:
        return None
    error = document.get("error", document) if isinstance(document, dict) else None
    found = (error.get("message") or error.get("detail")) if isinstance(error, dict) else error
    return found if isinstance(found, str) else None


def check_alive(item: Item, *, healthy: bool, after: Finding) -> Finding:
    """Check that the engine still reports itself healthy and answers the next question (`after`) correctly."""
    wrong = [] if healthy else ["/health does not answer 200"]
    if not after.ok:
        wrong.append(after.detail or after.got)
    return Finding(
        check="limits.alive",
        ok=not wrong,
        expected=after.expected,
        got=after.got,
        item=item.id,
        detail="; ".join(wrong),
    )
