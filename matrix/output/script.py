"""A plan as a bash script that a person can copy, read and run. Secrets never stand in it: they are read from files."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from matrix.model import Checkpoint
from matrix.output import docker_words as container
from matrix.planning.plan import Plan

VARIABLES = {"model": "MODEL", "host": "HOST", "port": "PORT", "api_key_env": "API_KEY_ENV", "venv": "VENV"}
_PLACEHOLDER = re.compile("(" + "|".join(f"{{{name}}}" for name in VARIABLES) + ")")


def render_script(plan: Plan) -> str:
    """Render the launch script of a cell, deterministic and ending in a newline."""
    cell = plan.cell
    lines = [
        "#!/usr/bin/env bash",
        format_comment(f"cell        {cell.id}"),
        format_comment(f"form        {plan.form}"),
        format_comment(f"fingerprint {plan.fingerprint}"),
        "set -euo pipefail",
        f"MODEL=${{MODEL:-{_model_expression(cell.checkpoint)}}}",
        "HOST=${HOST:-127.0.0.1}",
        f"PORT=${{PORT:-{cell.engine.default_port}}}",
    ]
    lines += [format_comment(f"needs patch {n}: glm-matrix patch {shlex.quote(n)} --help") for n in plan.patch_names]
    lines += list(_write_files(plan))
    if container.has_container(plan):
        lines += _in_container(plan)
    else:
        if plan.values("launcher").get("kind") == "docker":
            lines.append(format_comment(f"inside the image {container.image_reference(plan)}:"))
        lines += [f"export {shlex.quote(name)}={quote_word(value)}" for name, value in plan.env.items()]
        lines += format_command(group_words(["exec", *plan.cell.engine.command, *plan.arguments()]))
    return "\n".join(lines) + "\n"


def _model_expression(checkpoint: Checkpoint) -> str:
    if checkpoint.made_by:
        return f"$(glm-matrix canary make {shlex.quote(checkpoint.made_by)})"
    return shlex.quote(checkpoint.weights_path or checkpoint.repository or checkpoint.id)


def format_comment(text: str) -> str:
    """Format a comment: one line, whatever the text holds."""
    return f"# {' '.join(text.splitlines())}"


def _in_container(plan: Plan) -> list[str]:
    launcher, server = plan.values("launcher"), ["exec", *container.server_command(plan)]
    if launcher.get("shell"):
        return format_command([*container.docker_options(plan), [*launcher["shell"], quote_line(server)]])
    if launcher.get("interactive"):
        shell = format_command([*container.docker_options(plan), [str(launcher.get("command", "bash"))]])
        return [*shell, "# then, inside the container:", *format_command(group_words(server))]
    return format_command([*container.docker_options(plan), *group_words(server[1:])])


def group_words(words: Sequence[str]) -> Iterator[list[str]]:
    """Yield words in groups that belong on one line: a flag with its values."""
    group: list[str] = []
    for word in words:
        if word.startswith("--") and group:
            yield group
            group = []
        group.append(word)
    if group:
        yield group


class Quoted(str):
    """Text that is already quoted for bash."""


def quote_line(words: Sequence[str]) -> Quoted:
    """Quote a whole command as the one word that an inner shell reads: each word is quoted for that shell, and a
    variable of ours brings its own quotes (`${MODEL@Q}`)."""
    pieces: list[tuple[bool, str]] = []  # whether it is a variable, and its text for the inner shell
    for word in words:
        own = [(_PLACEHOLDER.fullmatch(p) is not None, p) for p in _split_placeholders(word)]
        pieces += [(False, " "), *((is_variable, p if is_variable else shlex.quote(p)) for is_variable, p in own)]
    runs = [
        (is_variable, [text for _, text in run]) for is_variable, run in groupby(pieces[1:], lambda piece: piece[0])
    ]
    variables = {name: f'"${{{variable}@Q}}"' for name, variable in VARIABLES.items()}
    quoted = (
        "".join(variables[t[1:-1]] for t in texts) if is_variable else shlex.quote("".join(texts))
        for is_variable, texts in runs
    )
    return Quoted("".join(quoted))


def _split_placeholders(word: str) -> list[str]:
    return [p for p in _PLACEHOLDER.split(word) if p] or [""]


def format_command(groups: Iterable[list[str]]) -> list[str]:
    """Format groups of words as the lines of one command; a group is a line, words are quoted for bash."""
    first, *rest = [" ".join(map(quote_word, g)) for g in groups if g]
    return " \\\n".join([first, *(f"  {line}" for line in rest)]).split("\n")


def _write_files(plan: Plan) -> Iterator[str]:
    """Files that must exist before the launch: a checkpoint overlay and the engine's own configuration file."""
    overlay = {f"{name}.json": plan.values(name) for name in ("config", "tokenizer_config") if plan.values(name)}
    if overlay:
        merges = " ".join(f"--merge {name} {shlex.quote(json.dumps(tree))}" for name, tree in overlay.items())
        yield f'MODEL=$(glm-matrix overlay "$MODEL" {merges})'
    if tree := plan.values("serve_config"):
        yield write_serve_config(tree)


def write_serve_config(tree: Mapping[str, Any]) -> str:
    """Write the engine's own file; the word that ends it stands on no line of it."""
    text, end = to_yaml(tree), "YAML"
    while end in text.splitlines():
        end += "_"
    return f"cat > serve_config.yaml <<'{end}'\n{text}{end}"


def to_yaml(tree: Mapping[str, Any]) -> str:
    """Format the engine's YAML file, keys in recipe order."""
    import yaml

    return str(yaml.safe_dump(dict(tree), sort_keys=False))


def quote_word(text: str) -> str:
    """Quote one word for bash; placeholders become variables inside double quotes."""
    if isinstance(text, Quoted):
        return text
    if text.startswith("~/"):
        return '"$HOME"/' + quote_word(text[2:])
    parts = [p for p in _PLACEHOLDER.split(text) if p]
    return "".join(f'"${VARIABLES[p[1:-1]]}"' if _PLACEHOLDER.fullmatch(p) else shlex.quote(p) for p in parts) or "''"
