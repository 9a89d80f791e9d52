"""Counts the tokens of a prompt without the engine, with the checkpoint's own template and tokenizer.

An engine with another count renders another template, adds a token twice or cuts the prompt. Each such drift looks like
a slightly worse model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from fixtures.banks.item import Item
from fixtures.client.tape import LIVE, Tape
from fixtures.weights.locate import find_weights
from matrix.errors import HostError
from matrix.model import Checkpoint
from suites.checks.frozen import prompt_sha256

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

Rendered = Callable[[Item], int]  # prompt tokens of an item's request
TEMPLATE, TOKENIZER = "chat_template.jinja", "tokenizer.json"
FILLER = " a"  # one token in every byte-level vocabulary that splits before spaces, and never merged with the next
MOST_TRIES = 5


def find_token_counter(checkpoint: Checkpoint, tape: Tape = LIVE) -> Rendered | None:
    """Return the token counter of a checkpoint whose tokenizer and template are on this machine, or were when the
    test ran."""
    if not tape.note("tokenizer", {"checkpoint": checkpoint.id}, lambda: _find_directory(checkpoint) is not None):
        return None

    def count(item: Item) -> int:
        asked = {"prompt_sha256": prompt_sha256(item)}
        counted: int = tape.note("tokens", asked, lambda: _make_counter(_require_directory(checkpoint))(item))
        return counted

    return count


def find_token_text(checkpoint: Checkpoint, token: int, tape: Tape = LIVE) -> str | None:
    """Return the text of one token id by the checkpoint's tokenizer; None where it is not on this machine."""
    if not tape.note("tokenizer", {"checkpoint": checkpoint.id}, lambda: _find_directory(checkpoint) is not None):
        return None

    def decode() -> str:
        from tokenizers import Tokenizer  # late, as below

        tokenizer = Tokenizer.from_file(str(_require_directory(checkpoint) / TOKENIZER))
        return str(tokenizer.decode([token], skip_special_tokens=False))

    text: str = tape.note("token_text", {"checkpoint": checkpoint.id, "token": token}, decode)
    return text


def _find_directory(checkpoint: Checkpoint) -> Path | None:
    with suppress(HostError):
        directory = find_weights(checkpoint)
        if (directory / TEMPLATE).is_file() and (directory / TOKENIZER).is_file():
            return directory
    return None


@cache
def _require_directory(checkpoint: Checkpoint) -> Path:
    """Return a directory that existed a moment ago."""
    return find_weights(checkpoint)


@cache
def _make_counter(directory: Path) -> Rendered:
    encoded = make_encoder(directory)
    return lambda item: len(encoded(item))


def make_encoder(directory: Path) -> Callable[[Item], list[int]]:
    """Make a function that returns the token ids of an item's prompt, by the checkpoint's template and tokenizer."""
    from tokenizers import Tokenizer  # late, as jinja2: no collection renders

    template = _make_environment().from_string((directory / TEMPLATE).read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(directory / TOKENIZER))

    def encode(item: Item) -> list[int]:
        text = template.render(
            messages=[_parse_calls(m) for m in item.messages],
            tools=list(item.tools) or None,
            add_generation_prompt=True,
            enable_thinking=False,
        )
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    return encode


def _make_environment() -> ImmutableSandboxedEnvironment:
    """Make a jinja environment that renders as transformers does: its two trims, its JSON, its way to refuse."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    made.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    made.globals["raise_exception"] = _raise_template_error
    return made


def _raise_template_error(why: str) -> NoReturn:
    from jinja2.exceptions import TemplateError

    raise TemplateError(why)


def _parse_calls(message: Mapping[str, Any]) -> dict[str, Any]:
    """Parse the arguments of earlier calls into objects, as engines do before they render; half ones are left out."""
    calls = [
        {**c, "function": {**c["function"], "arguments": _parse_arguments(c["function"].get("arguments"))}}
        for c in message.get("tool_calls") or ()
    ]
    return {**message, "tool_calls": calls} if calls else dict(message)


def _parse_arguments(told: Any) -> Mapping[str, Any]:
    try:
        made = json.loads(told) if isinstance(told, str) else told
    except ValueError:
        return {}
    return made if isinstance(made, Mapping) else {}


def make_prompt_of(tokens: int, rendered: Rendered | None) -> Item:
    """Make a prompt of exactly `tokens` tokens; without a tokenizer it is longer by its frame, about a dozen tokens."""
    fillers = tokens
    for _ in range(MOST_TRIES if rendered else 0):
        off = tokens - rendered(_make_filler(fillers)) if rendered else 0
        if not off:
            break
        fillers += off
    return _make_filler(fillers)


def pad_prompt(item: Item, tokens: int, rendered: Rendered) -> Item | None:
    """Pad the last message of an item to exactly `tokens` prompt tokens; None where that is impossible."""
    fillers = tokens - rendered(item)
    for _ in range(MOST_TRIES):
        made = _prepend_filler(item, fillers)
        off = tokens - rendered(made)
        if not off:
            return made
        fillers += off
    return None


def _prepend_filler(item: Item, fillers: int) -> Item:
    *before, last = item.messages
    text = f"{FILLER * max(0, fillers)}\n{last['content']}"
    return replace(item, id=f"{item.id}.pad{fillers}", messages=(*before, {**last, "content": text}))


def _make_filler(fillers: int) -> Item:
    text = f"Count:{FILLER * max(0, fillers)}"
    return Item(id=f"limits.filler.{fillers}", kind="limit", messages=({"role": "user", "content": text},))
