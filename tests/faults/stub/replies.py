"""A stub's answer as JSON, whole or in chunks, in the shape that the engine's dialect gives it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from fixtures.client.reply import ToolCall
from fixtures.launch.attached.engine import STUB
from tests.faults.stub.answers import spent_on, tokens
from tests.faults.stub.defect import Answer
from tests.faults.stub.dialect import Dialect

Json = Any
MODEL: Final = STUB
CANDIDATES: Final = 5  # as many as the suites ask for
NOTHING: Final = {"content": None, "reasoning_content": None, "tool_calls": None}  # of a delta that spells it out


def spent(answer: Answer) -> int:
    """Completion tokens: everything that was said, tags, and the end."""
    spoken = len(tokens(answer.content + answer.reasoning))
    return spoken + spent_on(answer.calls) + (answer.finish_reason != "length")


def document(answer: Answer, dialect: Dialect, *, logprobs: bool) -> dict[str, Json]:
    """Return a completion in one piece."""
    message: dict[str, Json] = {"role": "assistant", "content": answer.content}
    if answer.reasoning:
        message[dialect.reasoning] = answer.reasoning
    if answer.calls:
        message["tool_calls"] = [_sent(c) for c in answer.calls]
    choice: dict[str, Json] = {"index": 0, "message": message, "finish_reason": answer.finish_reason}
    if logprobs:
        told = [_list_candidates(each) for each in answer.positions]
        choice["logprobs"] = {"content": told or [_logprob(t, answer) for t in _list_said(answer)]}
    return {
        "id": "stub",
        "object": "chat.completion",
        "model": answer.model,
        "choices": _several(answer, choice) if answer.choices else [choice],
        **_usage(answer),
    }


def _several(answer: Answer, choice: dict[str, Json]) -> list[Json]:
    """One choice for each content."""
    index = answer.index
    return [
        {**choice, "index": i if index is None else index, "message": {**choice["message"], "content": said}}
        for i, said in enumerate(answer.choices)
    ]


def events(answer: Answer, dialect: Dialect, *, logprobs: bool = False) -> Iterator[dict[str, Json]]:
    """Yield the chunks of a streamed answer."""
    empty = NOTHING if dialect.nulls else {}
    if len(answer.choices) > 1:
        yield from _stream_choices(answer, empty)
        return
    event = partial(_event, answer.model)
    yield event({"role": "assistant", "content": "" if dialect.nulls else None})
    for token in tokens(answer.reasoning):
        yield _number(event({**empty, dialect.reasoning: token}), token, answer, logprobs=logprobs)
    for token in tokens(answer.content):
        yield _number(event({**empty, "content": token}), token, answer, logprobs=logprobs)
    for index, call in enumerate(answer.calls):
        yield from (event({**empty, "tool_calls": [delta]}) for delta in _deltas(index, call, dialect))
    yield event({**empty}, answer.finish_reason)
    if answer.usage:
        yield {"id": "stub", "model": answer.model, "choices": [], **_usage(answer)}


def _list_said(answer: Answer) -> list[str]:
    return tokens(answer.reasoning) + tokens(answer.content)


def _number(event: dict[str, Json], token: str, answer: Answer, *, logprobs: bool) -> dict[str, Json]:
    if logprobs:
        event["choices"][0]["logprobs"] = {"content": [_logprob(token, answer)]}
    return event


def _stream_choices(answer: Answer, empty: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """Yield the chunks of several choices in turn."""
    told = [tokens(said) for said in answer.choices]
    numbers = [number if answer.index is None else answer.index for number in range(len(told))]
    for place in range(max(map(len, told)) + 1):
        for number, said in zip(numbers, told, strict=True):
            if place <= len(said):
                ends = place == len(said)
                delta = {**empty} if ends else {**empty, "content": said[place]}
                event = _event(answer.model, delta, answer.finish_reason if ends else None)
                event["choices"][0]["index"] = number
                yield event
    if answer.usage:
        yield {"id": "stub", "model": answer.model, "choices": [], **_usage(answer)}


def _deltas(index: int, call: ToolCall, dialect: Dialect) -> Iterator[dict[str, Json]]:
    """Name and id first, then the arguments in pieces, which name neither or, in some engines, null."""
    unnamed = {"name": None} if dialect.nulls else {}
    head = {"name": call.name, "arguments": ""}
    yield {"index": index, "id": call.id, "type": "function", "function": head}
    for piece in tokens(call.arguments):
        yield {"index": index, **({"id": None} if dialect.nulls else {}), "function": {**unnamed, "arguments": piece}}


def _usage(answer: Answer) -> dict[str, Json]:
    if not answer.usage:
        return {}
    told = spent(answer) if answer.completion_tokens is None else answer.completion_tokens
    usage: dict[str, Json] = {"prompt_tokens": answer.prompt_tokens, "completion_tokens": told}
    usage["prompt_tokens_details"] = {"cached_tokens": answer.cached_tokens}
    return {"usage": usage | {"total_tokens": answer.prompt_tokens + told}}


def _sent(call: ToolCall) -> dict[str, Json]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _logprob(token: str, answer: Answer) -> dict[str, Json]:
    mine = -0.01 - answer.logprob_shift
    top = [{"token": token, "logprob": mine}, {"token": " other", "logprob": -5.0 + answer.logprob_shift}]
    top += [{"token": f" other{n}", "logprob": -7.0 - n} for n in range(CANDIDATES - len(top))]
    return {"token": token, "logprob": mine, "top_logprobs": top}


def _list_candidates(position: Mapping[str, float]) -> dict[str, Json]:
    top = [{"token": token, "logprob": value} for token, value in position.items()]
    return {**top[0], "top_logprobs": top}


def _event(model: str, delta: dict[str, Json], finish_reason: str | None = None) -> dict[str, Json]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "stub", "object": "chat.completion.chunk", "model": model, "choices": [choice]}
