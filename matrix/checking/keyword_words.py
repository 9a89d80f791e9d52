"""Keyword arguments of an engine's own classes -> the words of its command line: `LLM(tensor_parallel_size=8)`.

vLLM's LLM and SGLang's Engine take the fields that their parsers fill, so that a program is judged as a line would be.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from matrix.checking.variables import Word

MODEL: Final[Mapping[str, str]] = {"vllm": "--model", "sglang": "--model-path"}
ANY: Final = "options"  # of `**options`: any argument may be among them


@dataclass(frozen=True, kw_only=True)
class Keyword:
    """One argument: its name, its value, and whether that value is known (a call's result is not)."""

    name: str
    value: Any
    line: int
    known: bool = True


def make_words(keywords: Iterable[Keyword], engine: str) -> tuple[Word, ...]:
    """Write each keyword as the option of its name; None is an argument left out."""
    return tuple(word for keyword in keywords for word in _make_option(keyword, engine))


def _make_option(keyword: Keyword, engine: str) -> Iterator[Word]:
    option, value = f"--{keyword.name.replace('_', '-')}", keyword.value
    if keyword.name == "model" and engine == "sglang":
        option = MODEL[engine]
    if not keyword.known:
        if keyword.name != ANY:
            yield Word(option, keyword.line)
        yield Word(f"${keyword.name}", keyword.line, (keyword.name,))
    elif value is None:
        return
    elif isinstance(value, bool):
        if value:
            yield Word(option, keyword.line)
        elif engine == "vllm":  # whose switches come in pairs; SGLang's are off unless they are named
            yield Word(f"--no-{option[2:]}", keyword.line)
    elif isinstance(value, list | tuple) and not any(isinstance(each, dict | list) for each in value):
        yield Word(option, keyword.line)
        yield from (Word(str(each), keyword.line) for each in value)
    else:
        yield Word(option, keyword.line)
        yield Word(json.dumps(value) if isinstance(value, dict | list) else str(value), keyword.line)
