"""Dockerfile -> the engine that its last stage starts. FROM, ARG, ENV, RUN (pip lines), ENTRYPOINT and CMD are read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from matrix.checking.launchers import Command
from matrix.checking.shell_script import ShellReader
from matrix.checking.variables import Variables, Word, expand_word
from matrix.checking.words import RawWord, split_statements
from matrix.errors import Problem

NAME: Final = re.compile(
    r"(^|/)((Docker|Container)file([._-][\w.-]+)?|[\w.-]+\.(docker|container)file)$", re.IGNORECASE
)
FIRST: Final = re.compile(r"\s*(#[^\n]*\n\s*)*(ARG\s[^\n]*\n\s*(#[^\n]*\n\s*)*)*FROM\s+\S", re.IGNORECASE)
INSTRUCTION: Final = re.compile(r"\s*(?P<name>[A-Za-z]+)\s+(?P<rest>.*)", re.DOTALL)
MAX_INSTRUCTIONS: Final = 2_000


@dataclass
class Stage:
    """One build stage: what it begins with, what it sets, what it starts."""

    image: Word
    variables: Variables = field(default_factory=Variables)
    entrypoint: tuple[Word, ...] = ()
    cmd: tuple[Word, ...] = ()
    shell: bool = False  # the entry point is a shell's text, which takes no words of CMD
    line: int = 0


def is_dockerfile(text: str, name: str) -> bool:
    return NAME.search(name) is not None or FIRST.match(text) is not None


def read_dockerfile(text: str, name: str) -> tuple[list[Command], list[Problem]]:
    """Read the last stage; what is no known instruction is passed over."""
    reader = ShellReader(name)
    before, stages, stage = Variables(), dict[str, Stage](), Stage(Word(""))
    for word, rest, line in _instructions(text):
        match word:
            case "FROM":
                stage = _from(rest, line, before, stages)
            case "ARG":
                _arg(rest, line, stage.variables if stage.line else before, before)
            case "ENV":
                _env(rest, line, stage.variables)
            case "RUN":
                # a copy: what a RUN line assigns dies with its shell; only the packages that it installs stay
                reader.read(rest, Variables(dict(stage.variables.values)), line)
            case "ENTRYPOINT":
                stage.entrypoint, stage.shell = _read_start(rest, line)
                # a new entry point voids the CMD that the base image, or an earlier line, had set
                stage.cmd, stage.line = (), line
            case "CMD":
                stage.cmd, _ = _read_start(rest, line)
                # the entry point is the line that a reader looks for; CMD only adds its words
                stage.line = stage.line if stage.entrypoint else line
            case _:
                continue
    reader.commands.clear()  # what a RUN line tries out is not what the image starts
    words = stage.entrypoint if stage.shell else (*stage.entrypoint, *stage.cmd)
    reader.start_in_image(stage.image, words, stage.variables.environment(), stage.line)
    return reader.commands, reader.problems


def _instructions(text: str) -> Iterator[tuple[str, str, int]]:
    """(instruction, its text, line): continuations joined, comments and blank lines left out."""
    kept: list[str] = []
    begun = 0
    for number, line in enumerate(text.split("\n"), start=1):
        # comments and blank lines do not end a continuation, as Docker's own reader has it
        if line.lstrip().startswith("#") or (not line.strip() and kept):
            continue
        begun = begun if kept else number
        kept.append(line.rstrip().removesuffix("\\"))
        if line.rstrip().endswith("\\"):
            continue
        found = INSTRUCTION.fullmatch(" ".join(kept))
        kept = []
        if found is not None and begun <= MAX_INSTRUCTIONS:
            yield found["name"].upper(), found["rest"].strip(), begun


def _from(rest: str, line: int, before: Variables, stages: dict[str, Stage]) -> Stage:
    """`FROM [--platform=..] IMAGE [AS NAME]`: an earlier stage's name goes on from there."""
    words = [w for w in _expanded(rest, line, before) if not w.text.startswith("--")]
    image = words[0] if words else Word("", line)
    parent = stages.get(image.text.lower())
    made = Stage(image, line=line)
    if parent is not None:
        values = Variables(dict(parent.variables.values), set(parent.variables.exported))
        made = Stage(parent.image, values, parent.entrypoint, parent.cmd, parent.shell, line)
    # names of stages are compared without case, and --platform is gone from the words already
    if len(words) == 3 and words[1].text.upper() == "AS":
        stages[words[2].text.lower()] = made
    return made


def _arg(rest: str, line: int, variables: Variables, before: Variables) -> None:
    """`ARG NAME[=default]`; without one inside a stage, the one from before the first FROM counts."""
    name, equals, text = rest.partition("=")
    if equals:
        variables.assign(name.strip(), _expanded(text, line, variables)[:1] or (Word("", line),))
    elif name in before.values:
        variables.assign(name, before.values[name])


def _env(rest: str, line: int, variables: Variables) -> None:
    """`ENV A=b C="d e"`, and the old `ENV A b`."""
    raws = _raws(rest, line)
    # the old form has one pair, whose value is the whole rest of the line
    if raws and "=" not in (raws[0].literal or rest.split(maxsplit=1)[0]):
        name, _, value = rest.partition(" ")
        variables.assign(name, _expanded(value, line, variables)[:1] or (Word("", line),), export=True)
        return
    for raw in raws:
        for word in expand_word(raw, variables)[:1]:
            name, equals, text = word.text.partition("=")
            if equals:
                variables.assign(name, (Word(text, line, word.holes),), export=True)


def _read_start(rest: str, line: int) -> tuple[tuple[Word, ...], bool]:
    """Words of the JSON form, which nothing expands, or the text that a shell is given."""
    if rest.startswith("["):
        try:
            found = json.loads(rest)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list):
            return tuple(Word(str(entry), line) for entry in found), False
    # also what only looks like JSON: Docker gives a list that it cannot read to a shell
    return (Word("/bin/sh", line), Word("-c", line), Word(rest, line)), True


def _raws(text: str, line: int) -> list[RawWord]:
    statements, _ = split_statements(text, "", line)
    return [raw for statement in statements for raw in statement.words]


def _expanded(text: str, line: int, variables: Variables) -> tuple[Word, ...]:
    return tuple(word for raw in _raws(text, line) for word in expand_word(raw, variables))
