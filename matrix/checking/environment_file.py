"""`docker run --env-file`, compose's `env_file`, systemd's `EnvironmentFile`: lines of NAME=value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from matrix.checking.variables import Word

LINE: Final = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>.*?)\s*")
MAX_LINES: Final = 10_000


def read_environment_file(text: str, first_line: int = 1) -> Iterator[tuple[str, Word]]:
    """Yield every name with its value; comments, names without a value and what is no assignment are passed over."""
    for number, line in enumerate(text.split("\n")[:MAX_LINES], start=first_line):
        found = None if line.lstrip().startswith(("#", ";")) else LINE.fullmatch(line.rstrip("\r"))
        if found is not None:
            value = found["value"]
            # compose and systemd take quotes off and docker keeps them: no value judged here holds one on purpose
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            yield found["name"], Word(value[1:-1] if quoted else value, number)
