"""systemd units, supervisor programs and podman's quadlets -> the engines that they start."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from matrix.checking.containers import note_memory
from matrix.checking.launchers import Circumstance, Command, Start, find_start
from matrix.checking.shell_script import Beside, ShellReader, no_file
from matrix.checking.variables import Variables, Word, expand_word
from matrix.checking.words import Statement, split_statements
from matrix.errors import Problem

UNIT: Final = re.compile(r"^\[(Service|Container|program:[^\]]+)\]\s*$", re.M)
PREFIXES: Final = "-@:+!|"  # of ExecStart: how systemd treats the exit code and the privileges
SPECIFIER: Final = re.compile(r"%[a-zA-Z]")
MAX_LINES: Final = 20_000
# Keys of a quadlet's [Container] -> the option of podman run that they become.
QUADLET: Final[Mapping[str, str]] = {
    "AddDevice": "--device",
    "PublishPort": "--publish",
    "Volume": "--volume",
    "Network": "--network",
    "ShmSize": "--shm-size",
    "Environment": "--env",
    "EnvironmentFile": "--env-file",
    "Entrypoint": "--entrypoint",
    "Memory": "--memory",
}
SHOWN: Final = 60  # characters of a line that is told


def is_unit(text: str) -> bool:
    return UNIT.search(text) is not None


def read_unit(text: str, name: str, beside: Beside = no_file) -> tuple[list[Command], list[Problem]]:
    """Read every ExecStart and every supervisor command with the environment of its section."""
    reader = ShellReader(name, beside)
    for entries in _sections(text):
        if any(key == "Image" for key, _, _ in entries):
            _read_quadlet(reader, entries)
            continue
        env = Variables()
        for key, value, line in entries:
            match key:
                case "Environment":
                    _assign(value, line, env)
                case "environment":
                    _assign(re.sub(r",(?=\s*[A-Za-z_]\w*=)", " ", value), line, env)
                case "EnvironmentFile":
                    reader.read_environment(value.lstrip("-"), line, env)
                case _:
                    continue
        before = len(reader.commands)
        for key, value, line in entries:
            if key in ("ExecStart", "command"):
                _read_start(reader, value.lstrip(PREFIXES), line, env)
        reader.add_circumstances(before, tuple(_note_unit(entries)))
    return reader.commands, reader.problems


def _read_quadlet(reader: ShellReader, entries: Sequence[tuple[str, str, int]]) -> None:
    """`[Container]` of podman: its keys are options of `podman run`, Exec the words behind the image."""
    options: list[Word] = []
    image, command = Word(""), tuple[Word, ...]()
    for key, value, line in entries:
        words = _split_command(value, line, Variables())
        match key:
            case "Image":
                image = Word(value, line)
            case "Exec":
                command = words
            case "PodmanArgs":
                options += words
            case "Environment":
                options += [each for word in words for each in (Word("--env", line), word)]
            case _ if key in QUADLET:
                options += [Word(QUADLET[key], line), Word(value, line)]
    start = Start(kind="container", entry="podman", argv=(*options, image, *command))
    reader.start(start, image.line, {}, 0)


def _sections(text: str) -> Iterator[list[tuple[str, str, int]]]:
    """Yield the (key, value, line) entries of each section that starts something; continuations are joined."""
    entries: list[tuple[str, str, int]] = []
    inside, kept, begun = False, "", 0
    for number, raw in enumerate(text.split("\n")[:MAX_LINES], start=1):
        line = raw.strip()
        if line.startswith("["):
            if entries:
                yield entries
            entries, inside = [], UNIT.match(line) is not None
        elif inside and line and not line.startswith(("#", ";")):
            begun = begun or number
            kept = f"{kept} {line.removesuffix(chr(92))}".strip()
            if line.endswith("\\"):
                continue
            key, equals, value = kept.partition("=")
            if equals:
                entries.append((key.strip(), value.strip(), begun))
            kept, begun = "", 0
    if entries:
        yield entries


def _assign(text: str, line: int, env: Variables) -> None:
    """`A=b "C=d e"`: systemd expands nothing here."""
    for word in _split_command(text, line, Variables()):
        name, equals, value = word.text.partition("=")
        if equals:
            env.assign(name, (Word(value, line),), export=True)


def _read_start(reader: ShellReader, text: str, line: int, env: Variables) -> None:
    statements = _split_statements(text, line)
    parts = [_expand(statement, env) for statement in statements]
    # neither systemd nor supervisor runs a shell: operators are words, and the first program gets all of them
    shell = len(parts) > 1 or any(statement.redirections for statement in statements)
    found = next((start for part in parts if (start := find_start(part)) is not None), None)
    if found is None:
        return
    before = len(reader.commands)
    reader.start(found, line, env.environment(), 0)
    if shell:
        noted = Circumstance(id="unit_without_a_shell", subject=text[:SHOWN], line=line)
        reader.add_circumstances(before, (noted,))


def _note_unit(entries: Iterable[tuple[str, str, int]]) -> Iterator[Circumstance]:
    """Note a unit that waits for a word which no engine says, and the main memory that it may have."""
    for key, value, line in entries:
        if key == "Type" and value in ("notify", "notify-reload"):
            yield Circumstance(id="unit_waits_for_ready", subject=f"Type={value}", line=line, facts={"type": value})
        elif key == "MemoryMax":
            yield from note_memory(value, "MemoryMax", line)


def _split_statements(text: str, line: int) -> list[Statement]:
    return split_statements(text.replace(";", "\\;"), "", line)[0]


def _expand(statement: Statement, variables: Variables) -> tuple[Word, ...]:
    words = tuple(word for raw in statement.words for word in expand_word(raw, variables))
    return tuple(Word(w.text, w.line, (*w.holes, *SPECIFIER.findall(w.text))) for w in words)


def _split_command(text: str, line: int, variables: Variables) -> tuple[Word, ...]:
    return tuple(
        word
        for statement in _split_statements(text, line)
        for raw in statement.words
        for word in expand_word(raw, variables)
    )
