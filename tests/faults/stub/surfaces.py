"""The stub's other protocols: what is asked over them as a chat, a chat's answer as they say it, and their defects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from fixtures.client.surfaces import FINISHED, PATHS
from tests.faults.stub.answers import tokens
from tests.faults.stub.defect import Answer, Asked, Damage, Defect, when
from tests.faults.stub.replies import spent
from tests.faults.suite_tests import COMPLETIONS, MESSAGES, RESPONSES

Json = Any
SURFACES: Final = {path: name for name, path in PATHS.items()}
STATUSES: Final = {"stop": "completed", "tool_calls": "completed", "length": "incomplete"}
REASONS: Final = {
    finish: reason for reason, finish in FINISHED.items() if reason in ("end_turn", "max_tokens", "tool_use")
}


def as_chat(path: str, request: Mapping[str, Json]) -> dict[str, Json]:
    """Return the same question as a chat; templates think by default."""
    thinks = {"chat_template_kwargs": {"enable_thinking": True}}
    surface = SURFACES.get(path, "")
    match surface:
        case "completions":
            said: Json = {"messages": [{"role": "user", "content": request["prompt"]}]}
        case "responses":
            said = {"messages": request["input"], "max_tokens": request["max_output_tokens"], **thinks}
        case "messages":
            system = [{"role": "system", "content": request["system"]}] if "system" in request else []
            said = {"messages": [*system, *request["messages"]], **thinks}
        case _:
            return dict(request)
    tools = [_as_function(tool) for tool in request.get("tools") or ()]
    return {**request, **said, **({"tools": tools} if tools else {}), "surface": surface}


def _as_function(tool: Mapping[str, Json]) -> Json:
    parameters = tool.get("parameters", tool.get("input_schema"))
    function = {"name": tool["name"], "description": tool["description"], "parameters": parameters}
    return {"type": "function", "function": function}


def document(surface: str, answer: Answer) -> dict[str, Json]:
    """Return an answer in one piece."""
    counted = _count(surface, answer)
    match surface:
        case "completions":
            choice: Json = {"index": 0, "text": answer.content, "finish_reason": answer.finish_reason}
            if answer.echoed:
                choice["logprobs"] = {"token_logprobs": [*answer.echoed, -0.01]}
            return {"object": "text_completion", "model": answer.model, "choices": [choice], **counted}
        case "responses":
            status = STATUSES.get(answer.finish_reason, answer.finish_reason)
            return {"object": "response", "model": answer.model, "status": status, "output": _items(answer), **counted}
        case _:
            reason = REASONS.get(answer.finish_reason, answer.finish_reason)
            return {
                "type": "message",
                "model": answer.model,
                "content": _blocks(answer),
                "stop_reason": reason,
                **counted,
            }


def events(surface: str, answer: Answer) -> Iterator[dict[str, Json]]:
    """Yield the answer in pieces. Without `done` the last event is missing, which ends it."""
    told = {"completions": _chunks, "responses": _response_events, "messages": _message_events}[surface](answer)
    yield from told if answer.done else list(told)[:-1]


def _count(surface: str, answer: Answer) -> dict[str, Json]:
    if not answer.usage:
        return {}
    made = spent(answer) if answer.completion_tokens is None else answer.completion_tokens
    names = ("prompt_tokens", "completion_tokens") if surface == "completions" else ("input_tokens", "output_tokens")
    return {"usage": dict(zip(names, (answer.prompt_tokens, made), strict=True))}


def _items(answer: Answer) -> list[Json]:
    thought = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": answer.reasoning}]}
    words = {"type": "message", "content": [{"type": "output_text", "text": answer.content}]}
    calls = [{"type": "function_call", "call_id": c.id, "name": c.name, "arguments": c.arguments} for c in answer.calls]
    return [*([thought] if answer.reasoning else []), *([words] if answer.content else []), *calls]


def _blocks(answer: Answer) -> list[Json]:
    calls = [{"type": "tool_use", "id": c.id, "name": c.name, "input": json.loads(c.arguments)} for c in answer.calls]
    thought, words = {"type": "thinking", "thinking": answer.reasoning}, {"type": "text", "text": answer.content}
    return [*([thought] if answer.reasoning else []), *([words] if answer.content else []), *calls]


def _chunks(answer: Answer) -> Iterator[dict[str, Json]]:
    for token in tokens(answer.content):
        yield {"model": answer.model, "choices": [{"index": 0, "text": token, "finish_reason": None}]}
    end = {"index": 0, "text": "", "finish_reason": answer.finish_reason}
    yield {"model": answer.model, "choices": [end], **_count("completions", answer)}


def _response_events(answer: Answer) -> Iterator[dict[str, Json]]:
    for number, event in enumerate(_list_response_events(answer)):
        yield {**event, "sequence_number": number}


def _list_response_events(answer: Answer) -> Iterator[dict[str, Json]]:
    yield {"type": "response.created", "response": {"status": "in_progress"}}
    place = 0
    for name, said in (("reasoning_text", answer.reasoning), ("output_text", answer.content)):
        where = {"output_index": place, "content_index": 0, "item_id": f"item_{place}"}
        yield from ({"type": f"response.{name}.delta", "delta": token, **where} for token in tokens(said))
        place += bool(said)
    for call in answer.calls:
        yield {"type": "response.function_call_arguments.done", "arguments": call.arguments}
    whole = document("responses", answer)
    yield {"type": f"response.{whole['status']}", "response": whole}


def _message_events(answer: Answer) -> Iterator[dict[str, Json]]:
    whole = document("messages", answer)
    yield {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}}
    for index, block in enumerate(whole["content"]):
        kind = block["type"]
        head = {"type": kind, **({"id": block["id"], "name": block["name"]} if kind == "tool_use" else {})}
        yield {"type": "content_block_start", "index": index, "content_block": head}
        for delta in _deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": whole["stop_reason"]}, "usage": whole.get("usage")}
    yield {"type": "message_stop"}


def _deltas(block: Mapping[str, Json]) -> Iterator[Json]:
    match block["type"]:
        case "tool_use":
            yield from ({"type": "input_json_delta", "partial_json": t} for t in tokens(json.dumps(block["input"])))
        case "thinking":
            yield from ({"type": "thinking_delta", "thinking": t} for t in tokens(block["thinking"]))
        case _:
            yield from ({"type": "text_delta", "text": t} for t in tokens(block["text"]))


def _over(surface: str, damage: Damage, condition: Callable[[Asked], bool] = lambda asked: True) -> Damage:
    return when(lambda asked: asked.surface == surface and condition(asked), damage)


def _streamed(asked: Asked) -> bool:
    return asked.stream


def _silent(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, done=False)


def _drop_calls(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, calls=(), content="Of course.", finish_reason="stop") if answer.calls else answer


def _as_thought(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, reasoning=answer.content or answer.reasoning, content="")


def _shorter(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, content=answer.content[:-3]) if answer.content else answer


DEFECTS: Mapping[str, Defect] = {
    "responses_end_silently": Defect(
        does="a stream of /v1/responses ends without its last event",
        family="surfaces",
        kills=(RESPONSES,),
        damage=_over("responses", _silent, _streamed),
    ),
    "messages_end_silently": Defect(
        does="a stream of /v1/messages ends without its last event",
        family="surfaces",
        kills=(MESSAGES,),
        damage=_over("messages", _silent, _streamed),
    ),
    "completions_end_silently": Defect(
        does="a stream of /v1/completions ends without its last event",
        family="surfaces",
        kills=(COMPLETIONS,),
        damage=_over("completions", _silent, _streamed),
    ),
    "responses_lose_calls": Defect(
        does="/v1/responses returns `Of course.` instead of a call",
        family="surfaces",
        kills=(RESPONSES,),
        damage=_over("responses", _drop_calls),
    ),
    "messages_lose_calls": Defect(
        does="/v1/messages returns `Of course.` instead of a call",
        family="surfaces",
        kills=(MESSAGES,),
        damage=_over("messages", _drop_calls),
    ),
    "messages_answer_in_the_thought": Defect(
        does="/v1/messages returns the answer as the thought, and no answer",
        family="surfaces",
        kills=(MESSAGES,),
        damage=_over("messages", _as_thought),
    ),
    "responses_answer_in_the_thought": Defect(
        does="/v1/responses returns the answer as the thought, and no answer",
        family="surfaces",
        kills=(RESPONSES,),
        damage=_over("responses", _as_thought),
    ),
    "completions_lose_letters_in_streams": Defect(
        does="a stream of /v1/completions loses its last three letters",
        family="surfaces",
        kills=(COMPLETIONS,),
        damage=_over("completions", _shorter, _streamed),
    ),
    "messages_lose_letters_in_streams": Defect(
        does="a stream of /v1/messages loses its last three letters",
        family="surfaces",
        kills=(MESSAGES,),
        damage=_over("messages", _shorter, _streamed),
    ),
    "completions_leak_the_template": Defect(
        does="an answer of /v1/completions begins with `</think>`",
        family="surfaces",
        kills=(COMPLETIONS,),
        damage=_over("completions", lambda a, asked: replace(a, content=f"</think>{a.content}")),
    ),
    "surfaces_count_nothing": Defect(
        does="/v1/completions, /v1/responses and /v1/messages return no usage",
        family="surfaces",
        kills=(COMPLETIONS, RESPONSES, MESSAGES),
        damage=when(lambda asked: bool(asked.surface), lambda a, asked: replace(a, usage=False)),
    ),
    "surfaces_fail": Defect(
        does="/v1/completions, /v1/responses and /v1/messages answer HTTP 500",
        family="surfaces",
        kills=(COMPLETIONS, RESPONSES, MESSAGES),
        damage=when(lambda asked: bool(asked.surface), lambda a, asked: replace(a, status=500)),
    ),
}
