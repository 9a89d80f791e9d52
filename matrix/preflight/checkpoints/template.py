"""Can thinking be switched off? The chat template is rendered with the switch on and off, and the prompts compared.

prompts end alike, in an open <think>        it always thinks (GLM-5.3)
alike, with </think> or without a marker     it cannot be asked to think
apart                                        there is a switch
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache

from matrix.checkout import CHECKOUT
from matrix.preflight.checkpoints.remark import list_some, make_remark
from matrix.preflight.checkpoints.survey import Survey
from matrix.preflight.checkpoints.template_child import AS_PYTHON, LOST, NONE, REFUSES
from matrix.preflight.checkpoints.tokens import find_template
from matrix.preflight.verdict import Remark

MOST_LETTERS = 1_000_000
PATIENCE_S = 60.0  # the process itself has 3 s of a core: only a host that is busy takes longer
ASSISTANT = "<|assistant|>"
OPEN, CLOSE = "<think>", "</think>"
LOSSES = (  # mark of the variant, what the template does, effect
    (LOST, "leaves out {}", "requests with it are answered, HTTP 200, as if nobody had said it"),
    (
        REFUSES,
        "takes tools and raises an error at {}",
        "requests with it end with HTTP 400: an agent stops at its first tool result",
    ),
    (
        AS_PYTHON,
        "writes {} as a Python list",
        "vLLM hands every content on as parts where a template takes the user's so, and clients send parts: "
        "the model reads {'type': 'text', ...} instead of the text",
    ),
)
SWITCHES = ("enable_thinking", "thinking")
OUT_OF_TOKENS = (
    "requests that ask with enable_thinking false get thinking all the same, out of max_tokens: content is empty or cut"
)


def judge_template(survey: Survey) -> Iterator[Remark]:
    text, other = find_template(survey)
    if text is None:
        if "chat_template.jinja" not in survey.files.broken:
            yield make_remark(
                "error", "chat_template", "chat_template", "no chat template: chat and tool calls cannot work"
            )
        return
    yield from _check_names(survey)
    if isinstance(other, str) and isinstance(text, str) and other.strip() != text.strip():
        yield make_remark(
            "warning",
            "chat_template",
            "chat_template",
            "chat_template.jinja and tokenizer_config.json hold different templates",
            effect="transformers takes the file, older readers the other: prompts differ by release",
            remedy="keep the file alone",
        )
    if not isinstance(text, str) or len(text) > MOST_LETTERS:
        what = f"{len(text):,} letters" if isinstance(text, str) else type(text).__name__
        yield make_remark("error", "chat_template", "chat_template", f"the chat template is no usable text ({what})")
        return
    # rendered, not searched: a template that mentions a switch may still ignore it
    prompts = render_prompts(text)
    if "busy" in prompts:
        yield make_remark(
            "unknown", "chat_template", "chat_template", prompts["busy"], effect="thinking was not judged"
        )
    elif "error" in prompts:
        yield make_remark(
            "error",
            "chat_template",
            "chat_template",
            f"the chat template cannot be rendered: {prompts['error']}",
            effect="every chat request fails with HTTP 400 or 500",
            remedy="the template of the source",
        )
        return
    yield from _check_losses(prompts)
    yield from _check_turn(prompts)
    if "busy" not in prompts and (survey.architecture is None or survey.architecture.thinks):
        switch = survey.architecture.switch if survey.architecture else "enable_thinking"
        yield from _check_thinking(prompts, switch)


def _check_names(survey: Survey) -> Iterator[Remark]:
    """Tell a list of templates by name of which none is the default: nobody chooses for a chat without tools."""
    inside = (survey.files.tokenizer_config or {}).get("chat_template")
    if survey.files.chat_template is not None or not isinstance(inside, list):
        return
    names = [str(each.get("name"))[:40] for each in inside if isinstance(each, Mapping)]
    if names and "default" not in names:
        yield make_remark(
            "error",
            "chat_template",
            "tokenizer_config.json",
            f"of the chat templates {list_some(names)} none is called default",
            effect="transformers raises where a request names none: every chat without tools ends with HTTP 400 or 500",
            remedy="call one of them default",
        )


@lru_cache(maxsize=64)
def render_prompts(text: str) -> Mapping[str, str]:
    """Prompts by variant, or `error`, or `busy`. Its process has limits, for a template may never end."""
    command = [sys.executable, "-m", "matrix.preflight.checkpoints.template_child"]
    try:
        done = subprocess.run(
            command,
            input=json.dumps({"template": text}),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            cwd=CHECKOUT,
            check=False,
        )
        # a process that was killed by its limits prints half an answer or none
        found = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return {"busy": f"this host had no time to render the chat template within {PATIENCE_S:g} s"}
    except (ValueError, OSError) as error:
        ended = (
            f"the process that rendered it ended with {done.returncode}"
            if isinstance(error, ValueError)
            else str(error)
        )
        return {"error": f"{ended}: too much time or memory"}
    return found if isinstance(found, dict) else {"error": "no prompt came out"}


def _check_losses(prompts: Mapping[str, str]) -> Iterator[Remark]:
    for mark, says, effect in LOSSES:
        if named := [name.removeprefix(mark) for name in prompts if name.startswith(mark)]:
            yield make_remark(
                "warning",
                "template_loss",
                "chat_template",
                f"the chat template {says.format(list_some(named, 6))}",
                effect=effect,
                remedy="the template of the source",
            )
    if NONE in prompts:
        yield make_remark(
            "note",
            "template_loss",
            "chat_template",
            "the chat template writes the word None for a message whose content is null",
            effect="a caller that hands null on, as apply_chat_template does, prompts with None before each call",
            remedy="send an empty text with tool_calls",
        )


def _check_turn(prompts: Mapping[str, str]) -> Iterator[Remark]:
    """Tell a template that writes the same whether or not an answer is asked for, and ends in nobody's turn."""
    plain = prompts.get("plain")
    if plain is None or plain != prompts.get("no generation prompt") or ASSISTANT in plain[-40:] or OPEN in plain[-40:]:
        return
    yield make_remark(
        "warning",
        "template_turn",
        "chat_template",
        "the chat template leaves add_generation_prompt out: its prompt does not end in the assistant's turn",
        effect="the model may go on with the user's message, or begin with a marker that the answer then shows",
        remedy="{% if add_generation_prompt %}<|assistant|>{% endif %} at its end",
    )


def _check_thinking(prompts: Mapping[str, str], switch: str) -> Iterator[Remark]:
    if prompts[f"{switch} true"] != prompts[f"{switch} false"]:
        yield from _check_inverted(prompts, switch)
        return
    plain = prompts["plain"]
    # before "no switch" is said: DeepSeek's word in a GLM template is a switch that requests do not send
    by_another = next((s for s in SWITCHES if prompts[f"{s} true"] != prompts[f"{s} false"]), None)
    # An effort that only writes a line is no switch: GLM-5.3 writes one for each and thinks all the same.
    opened = {_opens_thinking(prompts[f"reasoning_effort {effort}"]) for effort in ("high", "none")}
    if by_another is None and len(opened) > 1:
        by_another = "reasoning_effort"
    if by_another:
        yield make_remark(
            "warning",
            "thinking",
            "chat_template",
            f"the chat template switches thinking with {by_another} and not with {switch}, which has no effect",
            effect=OUT_OF_TOKENS,
            remedy=f"ask with chat_template_kwargs {{{by_another}: ...}}",
        )
    elif _opens_thinking(plain):
        yield make_remark(
            "warning",
            "thinking",
            "chat_template",
            f"the chat template always opens a thinking block: there is no switch ({switch} changes nothing)",
            effect=OUT_OF_TOKENS,
            remedy="give requests room for reasoning, or take a template with the switch",
        )
    elif plain != prompts["no generation prompt"] or CLOSE in plain[-40:]:
        closed = CLOSE in plain[-40:]
        yield make_remark(
            "warning",
            "thinking",
            "chat_template",
            f"the chat template has no switch for thinking ({switch} changes nothing) and "
            + ("always closes the block" if closed else "opens no block"),
            effect="no request gets reasoning"
            if closed
            else "the model itself decides whether it thinks; the reasoning parser may take an answer for reasoning",
            remedy="the template of the source",
        )
    elif ASSISTANT in plain[-40:]:
        yield make_remark(
            "warning",
            "thinking",
            "chat_template",
            f"the chat template has no switch for thinking ({switch} changes nothing)",
            effect="the model itself decides whether it thinks",
            remedy="the template of the source",
        )


def _opens_thinking(prompt: str) -> bool:
    # the last marker decides: earlier turns may hold whole blocks
    return prompt.rfind(OPEN) > prompt.rfind(CLOSE)


def _check_inverted(prompts: Mapping[str, str], switch: str) -> Iterator[Remark]:
    on, off = prompts[f"{switch} true"], prompts[f"{switch} false"]
    if _opens_thinking(off):
        fact = "opens a thinking block where the switch says false"
        fact += ", and none where it says true" if not _opens_thinking(on) else ", and only writes it differently"
        yield make_remark(
            "warning",
            "thinking",
            "chat_template",
            f"the chat template {fact} ({switch})",
            effect=OUT_OF_TOKENS,
            remedy="the template of the source",
        )
