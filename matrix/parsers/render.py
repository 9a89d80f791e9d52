"""Writes an answer as the chat template of a model would, so that a parser can be asked for the answer back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Format = Literal["glm45", "glm47", "dsml"]
Call = tuple[str, Mapping[str, object]]
FORMATS: Final[tuple[Format, ...]] = ("glm47", "glm45", "dsml")
THINK_START: Final = "<think>"
THINK_END: Final = "</think>"
DSML: Final = "\uff5cDSML\uff5c"  # one token of DeepSeek-V3.2's tokenizer, between two full-width bars
# What a tokenizer of the family holds as one token each (added tokens of GLM-5's and DeepSeek-V3.2's tokenizers).
GLM_MARKERS: Final = ("<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>")
MARKERS: Final[Mapping[Format, tuple[str, ...]]] = {
    "glm47": (THINK_START, THINK_END, *GLM_MARKERS),
    "glm45": (THINK_START, THINK_END, *GLM_MARKERS),
    "dsml": (THINK_START, THINK_END, DSML),
}
CALL_START: Final[Mapping[Format, str]] = {"glm47": "<tool_call>", "glm45": "<tool_call>", "dsml": f"<{DSML}invoke"}
CALL_END: Final[Mapping[Format, str]] = {"glm47": "</tool_call>", "glm45": "</tool_call>", "dsml": f"</{DSML}invoke>"}


@dataclass(frozen=True)
class IntendedReply:
    """What a reply means; `think` is None where the request switched thinking off."""

    think: str | None
    say: str = ""
    calls: tuple[Call, ...] = ()


def write_reply(answer: IntendedReply, form: Format) -> str:
    """Return the model's reply, which begins within the thinking that the prompt opened."""
    line = "\n" if form == "glm45" else ""
    # GLM-4.5's template breaks the line around each part, GLM-4.7's and 5's do not: that is all they differ in
    # the opening marker stands in the prompt, so a reply begins inside the block
    parts = [] if answer.think is None else [answer.think, THINK_END]
    if answer.say:
        parts += [line if parts else "", answer.say]
    if answer.calls:
        parts.append(write_calls(answer.calls, form, first=not parts))
    return "".join(parts)


def write_calls(calls: Sequence[Call], form: Format, first: bool) -> str:
    """Return the calls one after the other; `first` says that nothing stands before them."""
    if form == "dsml":
        body = "\n".join(_dsml(name, arguments) for name, arguments in calls)
        return f"{'' if first else chr(10) * 2}<{DSML}function_calls>\n{body}\n</{DSML}function_calls>"
    line = "\n" if form == "glm45" else ""
    return "".join(
        f"{'' if first and i == 0 else line}{_glm(name, args, line)}" for i, (name, args) in enumerate(calls)
    )


def _glm(name: str, arguments: Mapping[str, object], line: str) -> str:
    pairs = "".join(
        f"<arg_key>{key}</arg_key>{line}<arg_value>{write_value(value)}</arg_value>{line}"
        for key, value in arguments.items()
    )
    return f"<tool_call>{name}{line}{pairs}</tool_call>"


def _dsml(name: str, arguments: Mapping[str, object]) -> str:
    lines = [
        f'<{DSML}parameter name="{key}" string="{str(isinstance(value, str)).lower()}">'
        f"{write_value(value)}</{DSML}parameter>"
        for key, value in arguments.items()
    ]
    return "\n".join([f'<{DSML}invoke name="{name}">', *lines, f"</{DSML}invoke>"])


def write_value(value: object) -> str:
    """Return a string as it is, and anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
