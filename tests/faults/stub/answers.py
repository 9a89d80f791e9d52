"""What a healthy stub answers: the bank's own words, cut at `max_tokens`, counted by the stub's own tokenizer."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from fixtures.banks.constraint import Constraint
from fixtures.banks.glm5.prose import draw_prose, join_paragraphs
from fixtures.banks.item import ExpectedCall, Item
from fixtures.client.reply import ToolCall
from tests.faults.stub.crowd import KIND, answer_crowd
from tests.faults.stub.defect import Answer, Asked
from tests.faults.stub.forms import fill_form
from tests.faults.stub.obeying import write_obeying

Json = Any
_TOKEN = re.compile(r"\s*\w{1,5}|\s*[^\w\s]|\s+")
TOKENS_PER_CALL = 8  # tags around a call
HOT_WORDS = (" sea", " tin", " owl", " and", " of", " red")  # of one token each
STORY = join_paragraphs(draw_prose(random.Random("stub"), 700))


def tokens(text: str) -> list[str]:
    """Cut a text into the stub's tokens: about one per short word."""
    return _TOKEN.findall(text)


THOUGHTS: Mapping[str, str] = {
    "": "The user wants something. I should answer.",
    "low": "The user wants something. I answer.",
    "high": "The user wants something. First I look at what was asked, then I answer with care.",
}


def right(asked: Asked, max_tokens: int) -> Answer:
    """Return what a healthy engine says: behind a thought, where one was asked for, of the tokens that are left."""
    if not asked.thinking or asked.over or asked.load or asked.item is None:
        return _said(asked, max_tokens)
    thought = tokens(THOUGHTS[asked.effort])
    if len(thought) >= max_tokens:
        return Answer(reasoning="".join(thought[:max_tokens]), finish_reason="length")
    return replace(_said(asked, max_tokens - len(thought)), reasoning="".join(thought))


def obey_fields(answer: Answer, asked: Asked, max_tokens: int) -> Answer:
    """Change the answer as stop strings, biases and `n` want it."""
    if asked.biased:
        answer = replace(answer, content=" so" * max_tokens, finish_reason="length")
    if asked.penalised:  # no token twice
        answer = replace(answer, content="".join(dict.fromkeys(tokens(answer.content))))
    for stop in asked.stops:
        if stop in answer.content:
            answer = replace(answer, content=answer.content.partition(stop)[0], finish_reason="stop")
    if asked.hot:
        drawn = random.Random(asked.seed).choices(HOT_WORDS, k=max_tokens)
        answer = replace(answer, content="".join(drawn), finish_reason="length")
    if asked.echoes:
        prompt = tokens(asked.prompt)
        numbers = (None, *(-0.1 * (len(token) % 7) for token in prompt[1:]))
        said = len(tokens(answer.content)) + (answer.finish_reason != "length")
        answer = replace(answer, content=asked.prompt + answer.content, echoed=numbers, completion_tokens=said)
    if asked.single:
        answer = replace(answer, calls=answer.calls[:1])
    if asked.load and asked.logprobs:  # past the end of a reply nobody is sure
        unsure = {" unsaid": -1.2, " other": -5.0, " others": -6.0, " none": -7.0}
        answer = replace(answer, positions=tuple({token: -0.4, **unsure} for token in tokens(answer.content)))
    return replace(answer, choices=tuple(_draw_choices(answer, asked, max_tokens))) if asked.n > 1 else answer


def _draw_choices(answer: Answer, asked: Asked, max_tokens: int) -> Iterator[str]:
    """Yield the contents of several choices: where they are hot, each is drawn for itself."""
    yield answer.content
    for place in range(1, asked.n):
        drawn = random.Random(f"{asked.seed}.{place}").choices(HOT_WORDS, k=max_tokens)
        yield "".join(drawn) if asked.hot else answer.content


def _said(asked: Asked, max_tokens: int) -> Answer:
    item = asked.item
    if asked.form and not asked.over:
        return Answer(content=fill_form(asked.form))
    if asked.over:
        return Answer(status=400, error="the prompt exceeds the context")
    if asked.load or item is None:
        return _fill(item.answer or "" if item else "", max_tokens)
    if item.call and asked.choice != "none":
        calls = tuple(make_call(i, call, asked.number) for i, call in enumerate(item.call))
        if spent_on(calls) > max_tokens:  # no call is finished, so none is told
            return Answer(content=" ".join(["I"] * max_tokens), finish_reason="length")
        return Answer(calls=calls, finish_reason="tool_calls")
    if asked.offered and (asked.choice == "required" or isinstance(asked.choice, Mapping)):
        return _forced(asked)
    if item.kind == "long_generation" and item.answer is None:
        return _limited(STORY, max_tokens)
    if item.kind == KIND:
        return answer_crowd(item, asked.index_topk)
    if item.constraints:
        return _limited(write_obeying(item.constraints), max_tokens)
    said = _limited(item.answer or "Sorry, I do not have a tool for that.", max_tokens)
    return replace(_fill(said.content, asked.least), finish_reason=said.finish_reason) if asked.least else said


def _fill(text: str, length: int) -> Answer:
    """Return the text and what comes behind it, up to a length: the end token is ignored."""
    room = max(0, length - len(tokens(text)))
    return Answer(content="".join([*tokens(text)[:length], *[" tok"] * room]), finish_reason="length")


def _forced(asked: Asked) -> Answer:
    """Return a call where none fits: the named tool or the first, with arguments of the schema's types."""
    name = asked.choice["function"]["name"] if isinstance(asked.choice, Mapping) else asked.offered[0]
    tools = asked.item.tools if asked.item else ()
    schema = next((f.get("parameters") or {} for t in tools if (f := t.get("function", t))["name"] == name), {})
    call = ExpectedCall(name=name, arguments=_made_up(schema))
    return Answer(calls=(make_call(0, call),), finish_reason="tool_calls")


def _made_up(schema: Mapping[str, Json]) -> Json:
    """Something that is valid under the small schemas of the banks."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "array":
            return [_made_up(schema.get("items") or {})] * schema.get("minItems", 1)
        case "string":
            return "x"
        case _:
            return {k: _made_up(v) for k, v in (schema.get("properties") or {}).items()}


def _limited(text: str, max_tokens: int) -> Answer:
    told = tokens(text)
    if len(told) < max_tokens:
        return Answer(content=text)
    return Answer(content="".join(told[:max_tokens]), finish_reason="length")


def make_call(index: int, call: ExpectedCall, number: int = 0) -> ToolCall:
    """Return a call as a reply has it, under an id of its request and place."""
    arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
    return ToolCall(id=f"call_{number}_{index}", name=call.name, arguments=arguments)


def spent_on(calls: Iterable[ToolCall]) -> int:
    """Count the tokens of calls with the tags around each."""
    return sum(TOKENS_PER_CALL + len(tokens(c.name + c.arguments)) for c in calls)


def item_to_json(item: Item) -> str:
    """One line of an answers file."""
    return json.dumps(asdict(item), ensure_ascii=False)


def item_from_json(line: str) -> Item:
    fields = json.loads(line)
    fields["call"] = tuple(ExpectedCall(**call) for call in fields["call"])
    fields["constraints"] = tuple(Constraint(**each) for each in fields["constraints"])
    fields["messages"], fields["tools"] = tuple(fields["messages"]), tuple(fields["tools"])
    return Item(**fields)
