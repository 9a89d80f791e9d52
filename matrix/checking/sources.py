"""Any text -> the engine commands in it: a line, a script, a compose file, a manifest, fenced blocks of a page."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from matrix.checking.dockerfile import is_dockerfile, read_dockerfile
from matrix.checking.launchers import Circumstance, Command, Text, find_start
from matrix.checking.other_forms import find_form
from matrix.checking.shell_script import Beside, ShellReader, no_file, read_script
from matrix.checking.unit_file import is_unit, read_unit
from matrix.checking.variables import Variables, words_of
from matrix.errors import Problem

FENCE: Final = re.compile(
    r"^[ \t]*(?P<mark>```|~~~)[ \t]*(?P<language>[\w-]*)[^\n]*\n(?P<body>.*?)^[ \t]*(?P=mark)[ \t]*$", re.M | re.S
)
SHELLS: Final = frozenset(("", "bash", "sh", "shell", "console", "shell-session", "zsh", "text"))
# A shell escapes the carriage return, and the line ends; `#!/bin/bash\r` names a program that is nowhere.
BROKEN: Final = re.compile(r"\\\r\n|\A#![^\n]*\r\n")
FIRST_LINE: Final = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*+(?:---|- |\{\{|%YAML|[\w.\"'/-]+\s*:(?:\s|$))")
IMAGE: Final = re.compile(r"\bimage\b|\bvllm\b|\bsglang\b")
MOST_WRITTEN: Final = 20  # here-documents of one script that are manifests
PYTHON_NAME: Final = re.compile(r"\.py[w3]?$", re.IGNORECASE)
PYTHON_TEXT: Final = re.compile(r"^(?:from (?:vllm|sglang)\b[\w.]* import |import (?:vllm|sglang|subprocess)\b)", re.M)
YAML_NAME: Final = re.compile(r"\.ya?ml$", re.IGNORECASE)
YAML_TEXT: Final = re.compile(
    r"^(apiVersion|kind|services|version|name|x-[\w-]+|type|resources|setup|run|jobs|on|applications|stages)\s*:", re.M
)


def read_text(text: str, name: str, beside: Beside = no_file) -> tuple[list[Command], list[Problem]]:
    """Read the commands of a text. What cannot be read is a problem with its line; no text raises.

    A name that ends in .yaml decides; otherwise the text itself does. `beside` gives the text of a file of
    variables that the text names.
    """
    broken = BROKEN.search(text)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if YAML_NAME.search(name) or (not text.lstrip().startswith("#!") and _is_manifest(text)):
        from matrix.checking.yaml_services import read_services  # late: a line on a terminal needs no YAML

        return read_services(text, name, beside)
    if (read_form := find_form(text, name)) is not None:
        return read_form(text, name, beside)
    if may_be_python(text, name):
        from matrix.checking.python_program import read_python

        return read_python(text, name, beside)
    if is_dockerfile(text, name):
        return read_dockerfile(text, name)
    if is_unit(text):
        return read_unit(text, name, beside)
    if FENCE.search(text):
        return _fences(text, name)
    reader = read_script(text, name, beside)
    for document in reader.documents[:MOST_WRITTEN]:
        reader.commands += _read_written(document, beside)
    commands, problems = reader.commands, reader.problems
    if broken is not None:
        # what is meant is judged, so that one cause is told and not the words that a broken line lacks
        line = text.count("\n", 0, broken.start()) + 1
        noted = Circumstance(id="carriage_returns", subject="\\r", line=line)
        commands = [replace(c, circumstances=(*c.circumstances, noted)) for c in commands]
    return commands, problems


def _read_written(document: Text, beside: Beside) -> list[Command]:
    """Read a manifest, a compose file or a job that a script writes or feeds to a program (`kubectl apply -f -`)."""
    text = document.text
    if IMAGE.search(text) is None or not (_is_manifest(text) or find_form(text, "") is not None):
        return []
    # empty lines in front: what is found stands where it stands in the script
    return read_text("\n" * (document.line - 1) + text, document.file, beside)[0]


def _is_manifest(text: str) -> bool:
    return YAML_TEXT.search(text) is not None and _is_yaml(text) and FIRST_LINE.match(text) is not None


def _is_yaml(text: str) -> bool:
    held = r"^[ \t-]+(image|containers|spec|services|script|engine_kwargs)\s*:|^(services|run|commands|jobs)\s*:"
    return re.search(held, text, re.M) is not None


def may_be_python(text: str, name: str) -> bool:
    """Whether a text is a Python program: by its name, or by an import of an engine where no shell's line is."""
    return PYTHON_NAME.search(name) is not None or (
        PYTHON_TEXT.search(text) is not None and not text.startswith("#!/bin")
    )


def read_words(
    words: list[str], name: str = "the command line", beside: Beside = no_file
) -> tuple[list[Command], list[Problem]]:
    """Read a command that came as words, as a shell has already split them."""
    reader = ShellReader(name, beside)
    found = find_start(words_of(words))
    if found is not None:
        reader.start(found, 0, {}, 0)
    elif len(words) == 1:  # the whole line in quotes
        reader = read_script(words[0], name, beside)
    else:
        reader.follow(words_of(words), {}, 0)
    return reader.commands, reader.problems


def _fences(text: str, name: str) -> tuple[list[Command], list[Problem]]:
    """Read the shell blocks of a page one by one; variables live on, as they do for a reader who pastes them."""
    reader, variables = ShellReader(name), Variables()
    for block in FENCE.finditer(text):
        if block["language"].lower() in SHELLS:
            reader.read(block["body"], variables, text.count("\n", 0, block.start("body")) + 1)
    problems = reader.problems if not reader.commands else []
    return reader.commands, problems
