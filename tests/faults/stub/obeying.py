# ruff: noqa: RUF001  Chinese and Russian are what is asked for
"""Texts that obey an item's constraints, as a healthy model writes them."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence

from fixtures.banks.constraint import Constraint
from fixtures.banks.glm5.prose import draw_prose

LANGUAGES: Mapping[str, str] = {
    "zh": "河边的小路在春天里很安静。孩子们在那里看书。",
    "ru": "Весной дорога у реки тиха. Дети читают там книги.",
}
PLAIN = "The keeper of the lamp walked to the harbour. The boats were quiet there."


def write_obeying(constraints: Sequence[Constraint]) -> str:
    """Return a text for the first constraint, framed and cleaned for the others."""
    wanted = {c.kind: c for c in constraints}
    text = _begin(constraints[0])
    if "starts" in wanted:
        text = f"{wanted['starts'].text}, {text[0].lower()}{text[1:]}"
    if "ends" in wanted:
        kept = text.split(". ")[:-1] if "sentences" in wanted else text.rstrip(".").split(". ")
        text = f"{'. '.join(kept)}. {wanted['ends'].text}"
    return text


def _begin(first: Constraint) -> str:
    match first.kind:
        case "words":
            return _write_words(first.count if first.relation == "at_least" else first.count // 2)
        case "sentences":
            return " ".join(_sentences()[: first.count])
        case "paragraphs":
            return "\n\n".join(_sentences()[: first.count])
        case "bullets":
            return "\n".join(f"- a quiet boat number {i}" for i in range(first.count))
        case "text":
            return " ".join([f"The {first.text} was old."] * first.count) if first.count else PLAIN
        case "case":
            return PLAIN.upper() if first.text == "upper" else PLAIN.lower()
        case "json":
            return json.dumps(dict.fromkeys(first.text.split(","), "a quiet harbour"))
        case "language":
            return LANGUAGES[first.text]
        case _:
            return PLAIN


def _sentences() -> list[str]:
    return draw_prose(random.Random("obeying"), 400)


def _write_words(n: int) -> str:
    text = " ".join(_sentences())
    return " ".join(text.split()[:n]).rstrip(".,") + "."
