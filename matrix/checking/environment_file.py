"""`docker run --env-file`, compose's `env_file`, systemd's `EnvironmentFile`: lines of NAME=value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from matrix.checking.launchers import Circumstance
from matrix.checking.variables import Word

LINE: Final = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>.*?)\s*")
MAX_LINES: Final = 10_000
EXPORTED: Final = re.compile(r"\s*export\s+\w+\s*=")
QUOTED: Final = re.compile(r"\s*(?P<name>[A-Za-z_]\w*)=(?P<value>([\"']).*\3)\s*")
COMMENTED: Final = re.compile(r"\s*(?P<name>[A-Za-z_]\w*)=(?P<value>[^\"']*\S\s+#.*)")


def read_environment_file(text: str, first_line: int = 1) -> Iterator[tuple[str, Word]]:
    """Yield every name with its value; comments, names without a value and what is no assignment are passed over."""
    for number, line in enumerate(text.split("\n")[:MAX_LINES], start=first_line):
        found = None if line.lstrip().startswith(("#", ";")) else LINE.fullmatch(line.rstrip("\r"))
        if found is not None:
            value = found["value"]
            # compose and systemd take quotes off and docker keeps them: no value judged here holds one on purpose
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            yield found["name"], Word(value[1:-1] if quoted else value, number)


def note_docker_file(text: str, path: str, first_line: int = 1) -> Iterator[Circumstance]:
    """Note what `docker run --env-file` reads as no other reader of such files does: export, quotes, comments behind.

    One circumstance of a kind: a file is written in one manner.
    """
    seen: set[str] = set()
    for number, line in enumerate(text.split("\n")[:MAX_LINES], start=first_line):
        if line.lstrip().startswith("#"):
            continue
        for id_, pattern in (
            ("environment_file_exports", EXPORTED),
            ("environment_file_keeps_quotes", QUOTED),
            ("environment_file_keeps_comments", COMMENTED),
        ):
            found = pattern.match(line.rstrip("\r"))
            if found is not None and id_ not in seen:
                seen.add(id_)
                named = {"name": found["name"], "value": found["value"]} if "name" in pattern.groupindex else {}
                facts = {"path": path, "line": str(number), "text": line.strip(), **named}
                yield Circumstance(id=id_, subject=f"{path}:{number}", facts=facts)
