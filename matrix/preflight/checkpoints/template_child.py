"""Render a chat template in a process of its own: a template is a program by strangers, and may never end.

Reads `{"template": ...}` on stdin; writes one JSON object on stdout: `{"error": ...}`, or the rendered prompts by name.
Run by `matrix.preflight.checkpoints.template`, with limits on time and memory.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

MOST_SECONDS: Final = 3
MOST_MEMORY_BYTES: Final = 1 << 30
MOST_LETTERS: Final = 200_000  # of one prompt; ours has two short messages
USER: Final[list[dict[str, Any]]] = [{"role": "user", "content": "Name a colour."}]
TALK: Final = [*USER, {"role": "assistant", "content": "Red."}, {"role": "user", "content": "Another."}]
PARTS: Final = [{"role": "user", "content": [{"type": "text", "text": "Name a colour."}]}]


def _in_parts(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**m, "content": [{"type": "text", "text": m["content"]}] if m["content"] else []} for m in messages]


# What a template may lose of a conversation, each with a word that must stand in its prompt
TOOL: Final[dict[str, Any]] = {
    "type": "function",
    "function": {
        "name": "paint_wall",
        "description": "Paint.",
        "parameters": {"type": "object", "properties": {"colour": {"type": "string"}}},
    },
}
CALL: Final[dict[str, Any]] = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "paint_wall", "arguments": {"colour": "teal"}},
}
ANSWERED: Final = [*USER, {"role": "assistant", "content": "", "tool_calls": [CALL]}]
RESULT: Final[dict[str, Any]] = {"role": "tool", "tool_call_id": "call_1", "content": "Dry."}
SECOND: Final = {**CALL, "id": "call_2"}
THOUGHT: Final = {**ANSWERED[-1], "reasoning_content": "Paint it."}
LOSABLE: Final[dict[str, tuple[list[dict[str, Any]], bool, str]]] = {  # messages, with tools, the word
    "the system message": ([{"role": "system", "content": "Speak Welsh."}, *USER], False, "Speak Welsh."),
    "the user's first message": (TALK, False, "Name a colour."),
    "the assistant's earlier answer": (TALK, False, "Red."),
    "the tools": (USER, True, "paint_wall"),
    "the assistant's calls": ([*ANSWERED, RESULT], True, "teal"),
    "the tool's result": ([*ANSWERED, RESULT], True, "Dry."),
    "the second of two results": (
        [
            *USER,
            {**ANSWERED[-1], "tool_calls": [CALL, SECOND]},
            RESULT,
            {**RESULT, "tool_call_id": "call_2", "content": "Wet."},
        ],
        True,
        "Wet.",
    ),
    "the thinking before a call, which the turn goes on from": ([*USER, THOUGHT, RESULT], True, "Paint it."),
}
AFTER_TOOLS: Final = ("the assistant's calls", "the tool's result", "the second of two results")
# What vLLM hands on as parts to a template that takes the user's text so: it looks whether the template iterates over
# content, and then gives every role's content as parts, also where the client sent a string. Clients send parts, too.
IN_PARTS: Final[dict[str, tuple[list[dict[str, Any]], bool, str]]] = {
    "the system message in parts": (_in_parts(LOSABLE["the system message"][0]), False, "Speak Welsh."),
    "the assistant's earlier answer in parts": (_in_parts(TALK), False, "Red."),
    "the tool's result in parts": (_in_parts([*ANSWERED, RESULT]), True, "Dry."),
}
LOST: Final = "loses "  # key of the variant that says what is lost
REFUSES: Final = "refuses "  # of the one that says what it raises an error at
AS_PYTHON: Final = "writes as Python "  # of the one that says what stands there as a Python list
NONE: Final = "writes None"
PYTHON: Final = ("'type': 'text'", '"type": "text"')
# name -> arguments beside the messages. Requests switch with enable_thinking (GLM) or thinking (DeepSeek).
VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "enable_thinking true": {"enable_thinking": True},
    "enable_thinking false": {"enable_thinking": False},
    "thinking true": {"thinking": True},
    "thinking false": {"thinking": False},
    "reasoning_effort high": {"reasoning_effort": "high"},
    "reasoning_effort none": {"reasoning_effort": "none"},
}


def render_prompts(text: str) -> dict[str, str]:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # transformers' own settings and extensions: a prompt of other blanks would be another prompt
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"]
    )
    # jinja's own escapes <, > and quotes as HTML, which no tokenizer has seen in training
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)

    def refuse(message: object) -> None:
        raise ValueError(str(message)[:200])

    environment.globals |= {
        "raise_exception": refuse,
        "strftime_now": lambda form: datetime.now(UTC).strftime(str(form)),
    }
    # transformers' tag for training masks: it prints nothing, and plain jinja refuses it
    template = environment.from_string(text.replace("{% generation %}", "").replace("{% endgeneration %}", ""))
    shared = {"tools": None, "bos_token": "", "eos_token": "", "pad_token": "", "unk_token": ""}
    # templates refuse what they do not expect (one turn, content as text): the first form that one takes is asked about
    messages = next((m for m in (USER, TALK, PARTS) if _can_render(template, m, shared)), USER)
    made = {
        name: template.render(messages=messages, add_generation_prompt=True, **shared, **given)
        for name, given in VARIANTS.items()
    }
    made["no generation prompt"] = template.render(messages=messages, add_generation_prompt=False, **shared)
    return {name: prompt[-MOST_LETTERS:] for name, prompt in made.items()} | _find_losses(template, shared)


def _find_losses(template: Any, shared: dict[str, Any]) -> dict[str, str]:
    """Return what a prompt lacks of its conversation, what it writes as Python, and the word None; keys alone count."""
    asked = dict(LOSABLE)
    in_parts = _render(template, PARTS, shared, with_tools=False) or ""
    # only a template that understands parts is asked for them: one that prints them as they are never gets any
    if TALK[0]["content"] in in_parts and not any(mark in in_parts for mark in PYTHON):
        asked |= IN_PARTS
    found: dict[str, str] = {}
    refused: list[str] = []
    for what, (messages, with_tools, word) in asked.items():
        prompt = _render(template, messages, shared, with_tools=with_tools)
        if prompt is None:
            refused.append(what)
            continue
        if word not in prompt:
            found[LOST + what] = ""
        elif what in IN_PARTS and any(mark in prompt for mark in PYTHON):
            found[AS_PYTHON + what] = ""
    # A template that refuses tools says so to its user; one that takes them and refuses their results ends every agent.
    if "the tools" not in refused:
        found |= {REFUSES + what: "" for what in refused if what in AFTER_TOOLS}
    empty = [*USER, {**ANSWERED[-1], "content": None}, RESULT]
    return found | ({NONE: ""} if "None" in (_render(template, empty, shared, with_tools=True) or "") else {})


def _render(template: Any, messages: list[dict[str, Any]], shared: dict[str, Any], *, with_tools: bool) -> str | None:
    """Return the prompt of a conversation, None where the template refuses it with arguments in either form."""
    settings = {**shared, "tools": [TOOL] if with_tools else None}
    for encode in (dict, json.dumps):  # engines give either
        given = [_with_arguments(m, encode) for m in messages]
        if _can_render(template, given, settings):
            prompt: str = template.render(messages=given, add_generation_prompt=True, **settings)
            return prompt
    return None


def _with_arguments(message: dict[str, Any], encode: Callable[[Any], Any]) -> dict[str, Any]:
    if "tool_calls" not in message:
        return message
    calls = [
        {**call, "function": {**call["function"], "arguments": encode(call["function"]["arguments"])}}
        for call in message["tool_calls"]
    ]
    return {**message, "tool_calls": calls}


def _can_render(template: Any, messages: object, shared: dict[str, Any]) -> bool:
    try:
        template.render(messages=messages, add_generation_prompt=True, **shared)
    except Exception:  # whatever a stranger's template raises is said by the attempt that counts
        return False
    return True


def main() -> int:
    # of the process, not a timer: a C loop inside a filter hears no signal of Python's
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    text = json.load(sys.stdin)["template"]
    try:
        answer: dict[str, str] = render_prompts(text)
    except Exception as error:  # a template may raise anything
        line = getattr(error, "lineno", None)
        answer = {"error": f"{f'line {line}: ' if line else ''}{type(error).__name__}: {str(error)[:200]}"}
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
