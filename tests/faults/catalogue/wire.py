"""A Reply back into the JSON that an engine would have sent, whole or as a stream."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fixtures.client.reply import Reply, ToolCall

Json = Any
_PIECE = re.compile(r"\s*\S{1,6}|\s+")  # about one token


def whole(reply: Reply) -> dict[str, Json]:
    """Return the document of `reply.raw` with everything in it that a fault may change."""
    document = copy.deepcopy(dict(reply.raw))
    choice = document["choices"][0]
    message = choice["message"]
    choice["finish_reason"] = reply.finish_reason
    _put(document, "model", reply.model)
    message["content"] = reply.content
    _put(message, "reasoning_content", reply.reasoning)
    _put(message, "tool_calls", [_call(c) for c in reply.tool_calls])
    if reply.logprobs:
        choice["logprobs"] = {"content": list(reply.logprobs)}
    _put(document, "usage", _usage(reply, document.get("usage") or {}))
    return document


def chunks(reply: Reply) -> Iterator[dict[str, Json]]:
    """Yield the chunks of a streamed reply, cut anew."""
    frame = {k: v for k, v in reply.raw.items() if k not in ("choices", "usage", "timings")}
    _put(frame, "model", reply.model)
    yield _chunk(frame, {"role": "assistant", "content": None})
    for piece in _PIECE.findall(reply.reasoning):
        yield _chunk(frame, {"reasoning_content": piece})
    for piece in _PIECE.findall(reply.content):
        yield _chunk(frame, {"content": piece})
    for index, call in enumerate(reply.tool_calls):
        yield from (_chunk(frame, {"tool_calls": [delta]}) for delta in _deltas(index, call))
    yield _chunk(frame, {}, reply.finish_reason)
    usage = _usage(reply, reply.raw.get("usage") or {})
    if usage:
        yield {**frame, "choices": [], "usage": usage}


def _deltas(index: int, call: ToolCall) -> Iterator[dict[str, Json]]:
    head = {"name": call.name, "arguments": ""}
    yield {"index": index, "id": call.id, "type": "function", "function": head}
    for piece in _PIECE.findall(call.arguments):
        yield {"index": index, "function": {"arguments": piece}}


def _chunk(frame: Mapping[str, Json], delta: Mapping[str, Json], finish: str | None = None) -> dict[str, Json]:
    return {**frame, "choices": [{"index": 0, "delta": dict(delta), "finish_reason": finish}]}


def _call(call: ToolCall) -> dict[str, Json]:
    return {"type": "function", "id": call.id, "function": {"name": call.name, "arguments": call.arguments}}


def _usage(reply: Reply, sent: Mapping[str, Json]) -> dict[str, Json]:
    prompt, spent = reply.prompt_tokens, reply.completion_tokens
    if prompt is None or spent is None:
        return {}
    return {**sent, "prompt_tokens": prompt, "completion_tokens": spent, "total_tokens": prompt + spent}


def _put(into: dict[str, Json], key: str, value: Json) -> None:
    """Set, or remove what is empty now."""
    into.pop(key, None)
    if value:
        into[key] = value


def event(payload: Json) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n\n"
