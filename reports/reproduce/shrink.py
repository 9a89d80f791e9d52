"""Shortens a request while its failure lasts: delta debugging over messages, tools and sentences. Pure.

A prompt without the answer, or without the question, fails for another reason. Hence units that hold a word of the
expected answer, and the first and last unit of the last message, always stay. A word that stands all over the prompt
says nothing of where the answer is: "the" alone kept every sentence of a needle's text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Json = Any
Lasts = Callable[[Json], bool]
SENTENCE: Final = re.compile(r".+?(?:[.!?。!?]\s+|\n+|\Z)", re.DOTALL)
WORD: Final = re.compile(r"[\w-]{3,}")
TRIALS: Final = 100
FEW, SHARE = 5, 20  # sentences that a telling word stands in at most: so many, or one of so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """The shortest request found. `minimal`: removing any one unit more ends the failure."""

    body: Json
    trials: int
    before_chars: int
    after_chars: int
    minimal: bool


@dataclass(slots=True)
class _ShrinkTrials:
    """Counts the questions; past the limit nothing more is tried."""

    lasts: Lasts
    most: int
    used: int = 0

    def ask(self, body: Json) -> bool:
        if self.used >= self.most:
            return False
        self.used += 1
        return self.lasts(body)

    @property
    def spent(self) -> bool:
        return self.used >= self.most


def shrink_request(body: Json, lasts: Lasts, *, expected: str = "", trials: int = TRIALS) -> Shrunk:
    """Shorten a chat request while `lasts(body)` holds, with at most `trials` questions."""
    asking = _ShrinkTrials(lasts, trials)
    kept_words = find_telling_words(body, expected)
    made = body
    # The largest first: a message that goes spares the questions about its sentences.
    for stage in (_shrink_messages, _shrink_tools, _shrink_texts):
        made = stage(made, asking, kept_words)
    return Shrunk(
        body=made,
        trials=asking.used,
        before_chars=count_chars(body),
        after_chars=count_chars(made),
        minimal=not asking.spent,
    )


def find_telling_words(body: Json, expected: str) -> frozenset[str]:
    """Find the words of the expected answer that few sentences of the prompt hold."""
    units = [unit for m in body.get("messages") or () for unit in SENTENCE.findall(_text_of(m))]
    held = Counter(word for unit in units for word in _split_words(unit))
    return frozenset(word for word in _split_words(expected) if held[word] <= max(FEW, len(units) // SHARE))


def count_chars(body: Json) -> int:
    """Count the characters of all message texts and tools."""
    messages = body.get("messages") or ()
    return sum(len(_text_of(m)) for m in messages) + sum(len(str(tool)) for tool in body.get("tools") or ())


def reduce_units(units: Sequence[int], lasts: Callable[[Sequence[int]], bool]) -> list[int]:
    """Remove units while `lasts(the units that stay)` holds (ddmin by complements: all, halves, quarters, ... each)."""
    left, parts = list(units), 1
    while left:
        size = -(-len(left) // parts)
        chunks = [left[at : at + size] for at in range(0, len(left), size)]
        for chunk in chunks:
            rest = [unit for unit in left if unit not in chunk]
            if lasts(rest):
                # From the beginning of what is left, in pieces as large: most of a long prompt goes in few questions.
                left, parts = rest, max(parts - 1, 1)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(left))
    return left


def _shrink_messages(body: Json, asking: _ShrinkTrials, words: frozenset[str]) -> Json:
    messages = list(body.get("messages") or ())
    loose = [n for n, m in enumerate(messages[:-1]) if _is_plain(m) and not _holds_word(_text_of(m), words)]

    def make(kept: Sequence[int]) -> Json:
        return {**body, "messages": [m for n, m in enumerate(messages) if n in kept or n not in loose]}

    return make(reduce_units(loose, lambda kept: asking.ask(make(kept))))


def _shrink_tools(body: Json, asking: _ShrinkTrials, words: frozenset[str]) -> Json:
    tools = list(body.get("tools") or ())
    # A tool that was called, or must be, stays: without its definition the request is another one, or is refused.
    fixed = f"{body.get('tool_choice')} {[m.get('tool_calls') for m in body.get('messages') or ()]}"
    loose = [n for n, t in enumerate(tools) if (name := _name_of(t)) not in fixed and name.lower() not in words]

    def make(kept: Sequence[int]) -> Json:
        left = [t for n, t in enumerate(tools) if n in kept or n not in loose]
        return {**body, "tools": left} if left else {k: v for k, v in body.items() if k != "tools"}

    return make(reduce_units(loose, lambda kept: asking.ask(make(kept)))) if loose else body


def _shrink_texts(body: Json, asking: _ShrinkTrials, words: frozenset[str]) -> Json:
    messages = list(body.get("messages") or ())
    for place, message in enumerate(messages):
        if isinstance(message.get("content"), str):
            units = SENTENCE.findall(message["content"])
            fixed = {0, len(units) - 1} if place == len(messages) - 1 else set()
            loose = [n for n, unit in enumerate(units) if n not in fixed and not _holds_word(unit, words)]
            body = _shrink_text(body, place, units, loose, asking)
    return body


def _shrink_text(body: Json, place: int, units: Sequence[str], loose: Sequence[int], asking: _ShrinkTrials) -> Json:
    def make(kept: Sequence[int]) -> Json:
        chosen, free = set(kept), set(loose)
        text = "".join(unit for n, unit in enumerate(units) if n in chosen or n not in free)
        messages = [{**m, "content": text} if n == place else m for n, m in enumerate(body["messages"])]
        return {**body, "messages": messages}

    return make(reduce_units(loose, lambda kept: asking.ask(make(kept)))) if loose else body


def _is_plain(message: Mapping[str, Json]) -> bool:
    """Return whether a message may go alone: calls and their results belong together."""
    return isinstance(message.get("content"), str) and not message.get("tool_calls") and message.get("role") != "tool"


def _holds_word(text: str, words: frozenset[str]) -> bool:
    return bool(words & _split_words(text))


def _split_words(text: str) -> frozenset[str]:
    return frozenset(word.lower() for word in WORD.findall(text))


def _text_of(message: Mapping[str, Json]) -> str:
    return str(message.get("content") or "")


def _name_of(tool: Json) -> str:
    return str((tool.get("function") or tool).get("name", ""))
