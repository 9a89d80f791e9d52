"""Texts that are neither a shell's nor YAML: JSON, HCL, TOML, a notebook."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from matrix.checking.launchers import Command
from matrix.checking.shell_script import Beside, ShellReader, read_script
from matrix.checking.variables import Variables
from matrix.errors import Problem

Read = tuple[list[Command], list[Problem]]
# `serve = "vllm serve ..."` and `{ cmd = "..." }`: tasks of pixi, poe, mise, hatch
TOML_TASK: Final = re.compile(
    r"""^[^#\n=]*=[^\n"'=]*(?:\b(?:cmd|shell|run)\s*=\s*)?(?P<q>\"{1,3}|'{1,3})(?P<said>[^\n]*?)(?P=q)""", re.M
)
NOTEBOOK: Final = re.compile(r"\.ipynb$", re.IGNORECASE)
COMMENTS: Final = re.compile(r"^[ \t]*//[^\n]*", re.M)
JSON_TEXT: Final = re.compile(r'\A\s*(?:\[\s*)?\{\s*"[\w:.-]+"\s*:')
OF_KUBERNETES: Final = re.compile(r'"(apiVersion|services)"\s*:')
HCL: Final = re.compile(r"\.(nomad|hcl|tf|tofu)$|^[ \t]*[a-z]+(?:[ \t]+\"[^\"\n]+\")*[ \t]*\{[ \t]*$", re.I | re.M)


def find_form(text: str, name: str) -> Callable[[str, str, Beside], Read] | None:
    """Return what reads such a text; None where it is none of these forms."""
    if name.endswith(".toml"):
        return read_toml
    if NOTEBOOK.search(name):
        return read_notebook
    if JSON_TEXT.match(COMMENTS.sub("", text) if text.startswith("{") else text):
        return read_json
    if HCL.search(name) or HCL.search(text):
        from matrix.checking.hcl_nodes import is_hcl  # late: needs a reader of YAML

        return read_hcl if is_hcl(text, name) else None
    return None


def read_hcl(text: str, name: str, beside: Beside) -> Read:
    """Read the tasks and the scripts of Nomad's or Terraform's text."""
    from matrix.checking.hcl_nodes import compose_hcl
    from matrix.checking.yaml_services import read_documents

    documents, problems = compose_hcl(text, name)
    reader = ShellReader(name, beside)
    reader.problems += problems
    return read_documents(documents, reader, tasks=True)


def read_toml(text: str, name: str, beside: Beside) -> Read:
    """Read every text that a key is set to as a line of a shell."""
    reader = ShellReader(name, beside)
    for task in TOML_TASK.finditer(text):
        reader.read(task["said"], Variables(), text.count("\n", 0, task.start("said")) + 1, 1)
    return reader.commands, reader.problems if reader.commands else []


def read_notebook(text: str, name: str, beside: Beside) -> Read:
    """Read what a notebook's cells give to a shell, and the engines that its Python makes."""
    from matrix.checking.notebook import read_cells  # late: most texts are none
    from matrix.checking.python_program import read_python

    shell, python = read_cells(text)
    reader = read_script(shell, name, beside)
    made, problems = read_python(python, name, beside) if python.strip() else ([], [])
    return [*reader.commands, *made], [*reader.problems, *(problems if not reader.commands else [])]


def read_json(text: str, name: str, beside: Beside) -> Read:
    """Read JSON of Kubernetes and compose as YAML, any other as tasks of a scheduler; editors write comments in it."""
    from matrix.checking.yaml_nodes import compose_documents  # late: a line on a terminal needs no YAML
    from matrix.checking.yaml_services import read_documents, read_services

    text = COMMENTS.sub("", text)
    if OF_KUBERNETES.search(text):
        return read_services(text, name, beside)
    documents, problems = compose_documents(text, name)
    reader = ShellReader(name, beside)
    reader.problems += problems
    return read_documents(documents, reader, tasks=True)
