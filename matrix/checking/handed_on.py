"""What a program in front of an engine sets in its environment by options of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from matrix.checking.variables import Word

ASSIGNMENT: Final = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
HANDS_ON: Final = frozenset({"-e", "--env", "-E", "--setenv", "-x", "-genv", "--export"})


def read_handed_on(options: Sequence[Word]) -> dict[str, Word]:
    """`-e A=b`, `--setenv=A=b`, `-x A=b`, `--export=ALL,A=b` -> what a program in front sets for what it starts."""
    found: dict[str, Word] = {}
    names = [word.text for word in options]
    # `runuser -u llm -- env A=b vllm serve`: a program among them that sets it
    for word in options[names.index("env") + 1 :] if "env" in names else ():
        if (pair := ASSIGNMENT.fullmatch(word.text)) is not None and not word.text.startswith("-"):
            found[pair[1]] = Word(pair[2], word.line, word.holes)
    for word, after in pairwise((*options, Word(""))):
        name, equals, glued = word.text.partition("=")
        if name not in HANDS_ON:
            continue
        for text in (glued if equals else after.text).split("," if name == "--export" else "\n"):
            pair = ASSIGNMENT.fullmatch(text)
            if pair is not None:
                found[pair[1]] = Word(pair[2], word.line, word.holes if equals else after.holes)
    return found
