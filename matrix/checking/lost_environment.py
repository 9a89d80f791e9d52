"""Which programs in front of an engine keep the shell's environment from it: sudo, and `env -i`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Final

from matrix.checking.handed_on import ASSIGNMENT
from matrix.checking.launchers import WRAPPERS
from matrix.checking.variables import Word

KEEPS: Final = re.compile(r"-[a-zA-Z]*E[a-zA-Z]*|--preserve-env(=.*)?")  # options of sudo by which variables pass


def drops_variables(words: Sequence[Word]) -> bool:
    """Whether sudo stands in front, which resets the environment that the shell gives it."""
    for word in words:
        name = PurePosixPath(word.text).name
        if name == "sudo":
            options = takewhile(lambda w: w.text.startswith("-"), words[words.index(word) + 1 :])
            return not any(KEEPS.fullmatch(option.text) for option in options)
        if name not in WRAPPERS and not ASSIGNMENT.fullmatch(word.text) and not word.text.startswith("-"):
            return False
    return False


def drops_environment(words: Sequence[Word]) -> bool:
    """Whether `env -i` stands in front, behind which only what it sets itself is left."""
    for index, word in enumerate(words):
        name = PurePosixPath(word.text).name
        if name == "env":
            options = takewhile(lambda w: w.text.startswith("-"), words[index + 1 :])
            return any(option.text in ("-", "-i", "--ignore-environment") for option in options)
        if name not in WRAPPERS and not ASSIGNMENT.fullmatch(word.text) and not word.text.startswith("-"):
            return False
    return False
