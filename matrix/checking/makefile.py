"""A Makefile's recipes -> lines as a POSIX shell has them, one for one: make puts its variables in as text.

IMAGE ?= vllm/vllm-openai:v0.33.0       (an empty line; $(IMAGE) becomes the text)
serve:                                  (an empty line)
        @docker run $(IMAGE) ...            docker run vllm/vllm-openai:v0.33.0 ...
$(shell nproc), $(UNKNOWN), $$HOME      ${make_shell_nproc}, ${UNKNOWN}, $HOME
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

NAMED: Final = re.compile(r"(?:^|/)(?:GNU)?[Mm]akefile(?:\.\w+)?$|\.mk$")
RULE: Final = re.compile(r"^[\w./%-]+(?: [\w./%-]+)*\s*::?(?![=:])[^\n]*\n(?:[ \t]*#[^\n]*\n)*\t", re.M)
SETS: Final = re.compile(
    r"^ *(?:[\w./%-]+\s*:\s*)?(?P<export>export\s+)?(?:override\s+)?(?P<name>[A-Za-z_][\w.-]*)"
    r"\s*(?P<how>\?|::?|\+|!)?=\s*(?P<value>.*)$"
)
EXPANDS: Final = re.compile(r"\$(?:\$|\((?P<round>[^()$]*)\)|\{(?P<curly>[^{}$]*)\})")
NAME: Final = re.compile(r"[A-Za-z_]\w*")
MAX_LINE: Final = 20_000
MAX_ROUNDS: Final = 10  # of values that hold further variables


def is_makefile(text: str, name: str) -> bool:
    """Whether a text is a Makefile: by its name, or by a rule with a recipe behind a tab."""
    return NAMED.search(name) is not None or ("\n\t" in text and RULE.search(text) is not None)


def translate_makefile(text: str) -> str:
    """Return the recipes, with the variables that the text sets; the number of lines stays."""
    known: dict[str, str] = {}
    made: list[str] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        begun, line = at, lines[at]
        while line.endswith("\\") and at + 1 < len(lines) and not lines[begun].startswith("\t"):
            at += 1
            line = f"{line[:-1]} {lines[at].strip()}"
        at += 1
        if line.startswith("\t") and begun and lines[begun - 1].startswith("\t") and lines[begun - 1].endswith("\\"):
            made.append(line)  # of a recipe's line that goes on: its dash is an option's
        else:
            made.append(_read_line(line, known))
        made += [""] * (at - begun - 1)
    return "\n".join(_expand(line, known) for line in made)


def _read_line(line: str, known: dict[str, str]) -> str:
    """Return what a shell would run of a line, before make's variables are put in."""
    if line.startswith("\t"):
        return re.sub(r"^[\t ]*[@+-]*", "", line)
    found = SETS.match(line)
    if found is None:
        # a line that continues a recipe may begin with blanks; a rule or a directive runs nothing
        return line if line[:1] == " " and "=" not in line.partition(" -")[0] else ""
    name, value = found["name"], found["value"].partition(" #")[0].strip()
    known[name] = f"{known.get(name, '')} {value}".strip() if found["how"] == "+" else value
    return f"export {name}='{value}'" if found["export"] else ""


def _expand(line: str, known: Mapping[str, str]) -> str:
    """Put the values in as text, again and again, as make does; `$$` last, since it is the shell's."""
    for _ in range(MAX_ROUNDS):
        before, line = line, EXPANDS.sub(lambda found: _write(found, known), line)[:MAX_LINE]
        if line == before:
            break
    return line.replace("$$", "$")


def _write(found: re.Match[str], known: Mapping[str, str]) -> str:
    name = found["round"] if found["round"] is not None else found["curly"]
    if name is None or (found["round"] is None and name not in known):
        return found.group()
    if name in known:
        return known[name]
    # a function, or a variable of the environment: a shell's variable that nobody sets
    made = name if NAME.fullmatch(name) else f"make_{re.sub(r'[^A-Za-z0-9]+', '_', name)}"
    return f"${{{made}}}"
