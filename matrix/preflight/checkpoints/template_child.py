"""Render a chat template in a process of its own: a template is a program by strangers, and may never end.

Reads `{"template": ...}` on stdin; writes one JSON object on stdout: `{"error": ...}`, or the rendered prompts by name.
Run by `matrix.preflight.checkpoints.template`, with limits on time and memory.
"""

from __future__ import annotations

import json
import resource
import sys
from datetime import UTC, datetime
from typing import Any, Final

MOST_SECONDS: Final = 3
MOST_MEMORY_BYTES: Final = 1 << 30
MOST_LETTERS: Final = 200_000  # of one prompt; ours has two short messages
USER: Final[list[dict[str, Any]]] = [{"role": "user", "content": "Name a colour."}]
TALK: Final = [*USER, {"role": "assistant", "content": "Red."}, {"role": "user", "content": "Another."}]
PARTS: Final = [{"role": "user", "content": [{"type": "text", "text": "Name a colour."}]}]
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
LOSABLE: Final[dict[str, tuple[list[dict[str, Any]], bool, str]]] = {  # messages, with tools, the word
    "the system message": ([{"role": "system", "content": "Speak Welsh."}, *USER], False, "Speak Welsh."),
    "the user's first message": (TALK, False, "Name a colour."),
    "the assistant's earlier answer": (TALK, False, "Red."),
    "the tools": (USER, True, "paint_wall"),
    "the assistant's calls": ([*ANSWERED, {"role": "tool", "tool_call_id": "call_1", "content": "Dry."}], True, "teal"),
    "the tool's result": ([*ANSWERED, {"role": "tool", "tool_call_id": "call_1", "content": "Dry."}], True, "Dry."),
}
LOST: Final = "loses "  # key of the variant that says what is lost
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

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"]
    )
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)

    def refuse(message: object) -> None:
        raise ValueError(str(message)[:200])

    environment.globals |= {
        "raise_exception": refuse,
        "strftime_now": lambda form: datetime.now(UTC).strftime(str(form)),
    }
    template = environment.from_string(text.replace("{% generation %}", "").replace("{% endgeneration %}", ""))
    shared = {"tools": None, "bos_token": "", "eos_token": "", "pad_token": "", "unk_token": ""}
    messages = next((m for m in (USER, TALK, PARTS) if _can_render(template, m, shared)), USER)
    made = {
        name: template.render(messages=messages, add_generation_prompt=True, **shared, **given)
        for name, given in VARIANTS.items()
    }
    made["no generation prompt"] = template.render(messages=messages, add_generation_prompt=False, **shared)
    lost = {LOST + what: "" for what in LOSABLE if _loses(template, what, shared)}
    return {name: prompt[-MOST_LETTERS:] for name, prompt in made.items()} | lost


def _loses(template: Any, what: str, shared: dict[str, Any]) -> bool:
    """Return whether a prompt lacks what it was made of. A template that refuses it says so to its user."""
    messages, with_tools, word = LOSABLE[what]
    arguments = CALL["function"]["arguments"]
    for form in (arguments, json.dumps(arguments)):  # engines give either
        call = {**CALL, "function": {**CALL["function"], "arguments": form}}
        given = [{**m, "tool_calls": [call]} if "tool_calls" in m else m for m in messages]
        settings = {**shared, "tools": [TOOL] if with_tools else None}
        if _can_render(template, given, settings):
            return word not in template.render(messages=given, add_generation_prompt=True, **settings)
    return False


def _can_render(template: Any, messages: object, shared: dict[str, Any]) -> bool:
    try:
        template.render(messages=messages, add_generation_prompt=True, **shared)
    except Exception:  # whatever a stranger's template raises is said by the attempt that counts
        return False
    return True


def main() -> int:
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
