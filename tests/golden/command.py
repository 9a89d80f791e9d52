"""A published launch, read from its golden file and normalised so that it can be compared with a plan.

Normalised means: shell variables filled in, numbers and JSON by value, the model's path as {model}, flags without
order. Lines `# key: value` at the top of a file say what the shell text cannot (the cell, the patch, ...).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DOCKER_FLAGS = {"--rm": "rm", "--privileged": "privileged", "-it": "interactive", "-d": "detach"}
DOCKER_VALUES = {
    "--gpus": "gpus",
    "--ipc": "ipc",
    "--network": "network",
    "--name": "name",
    "--entrypoint": "entrypoint",
}
DOCKER_LISTS = {"--ulimit": "ulimits", "-v": "volumes", "-p": "ports"}
SLURM = {"-N": "nodes", "--gres": "gres", "--time": "time"}


@dataclass(slots=True)
class Command:
    """What a launch line says, whatever it is spelled like."""

    program: list[str] = field(default_factory=list)  # words in front of the first flag, without directories
    flags: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    launcher: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Golden:
    """One published launch: the file's header by key, and the command in it."""

    name: str
    header: Mapping[str, tuple[str, ...]]
    command: Command

    @classmethod
    def read(cls, path: Path) -> Golden:
        text = path.read_text(encoding="utf-8")
        header: dict[str, tuple[str, ...]] = {}
        for key, value in re.findall(r"^# ([\w-]+): (.*)$", text, re.MULTILINE):
            header[key] = (*header.get(key, ()), *value.split())
        command = Command()
        if "image" in header:
            command.launcher["image"] = header["image"][0]
        read_script(text, command, header)
        for name in header.get("transport", ()):  # variables that only carry a flag's value across a shell
            command.env.pop(name)
        return cls(path.stem, header, command)

    def merge(self, suffix: str) -> Any:
        """Return the file beside the command, e.g. what it changes in config.json; empty where there is none."""
        import yaml

        path = HERE / f"{self.name}.{suffix}"
        return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


def read_script(text: str, command: Command, header: Mapping[str, tuple[str, ...]]) -> None:
    """Fill `command` from shell text: assignments, exports, and the line that starts the server."""
    variables: dict[str, str] = {}
    for line in text.replace("\\\n", " ").splitlines():
        raw = shlex.split(line, comments=True)
        words = [expand(w, variables) for w in raw]
        match words:
            case []:
                continue
            case ["export", assignment]:
                assign(command.env, assignment)
            case [assignment] if re.match(r"\w+=", assignment):
                assign(variables, assignment)
            case ["salloc", *rest]:
                command.launcher["slurm"] = {SLURM[k]: number(v) for k, v in pairs(rest)}
            case ["pip", "install", *rest]:
                command.launcher["requirements"] = rest
            case [python, "-m", "venv", _]:
                command.launcher["python"] = python.removeprefix("python")
            case ["docker", "run", *_]:
                read_docker(raw[2:], command, variables, header)
            case _:
                read_server(words, command, header)


def read_docker(
    words: list[str], command: Command, variables: Mapping[str, str], header: Mapping[str, tuple[str, ...]]
) -> None:
    """Options up to the image, then whatever runs in it."""
    todo = iter(words)
    for word in todo:
        name, _, inline = word.partition("=")
        if word in DOCKER_FLAGS:
            command.launcher[DOCKER_FLAGS[word]] = True
        elif name in DOCKER_VALUES:
            command.launcher[DOCKER_VALUES[name]] = inline or next(todo)
        elif name in DOCKER_LISTS:
            command.launcher.setdefault(DOCKER_LISTS[name], []).append(inline or next(todo))
        elif word == "-e":
            assign(command.env, expand(next(todo), variables))
        else:
            command.launcher["image"] = word
            break
    rest = list(todo)
    match rest:
        case ["-lc", inner]:
            command.launcher["shell"] = ["-lc"]
            command.launcher["command"] = shlex.split(inner)[1]  # after exec
            read_server([expand(w, variables) for w in shlex.split(inner)], command, header)
        case [program]:
            command.launcher["command"] = program
        case ["--model", *_]:
            command.launcher["model_argument"] = "--model"
            command.program = ["vllm", "serve", "{model}"]  # the image's entry point
            command.flags = dict(flags(rest[2:], header))


def read_server(words: list[str], command: Command, header: Mapping[str, tuple[str, ...]]) -> None:
    """`exec program positional... --flag value ...`."""
    words = words[1:] if words[0] == "exec" else words
    first = next(i for i, w in enumerate(words) if w.startswith("--"))
    head = [Path(words[0]).name, *words[1:first]]
    command.program = [re.sub(r"^python3$", "python", str(value(w, header))) for w in head]
    command.flags = dict(flags(words[first:], header))


def flags(words: Iterable[str], header: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, Any]]:
    """Flag and value pairs; a flag without one is True."""
    name: str | None = None
    for word in [*words, "--"]:
        if word.startswith("--"):
            if name is not None:
                yield name, True
            name = word
        elif name is not None:
            yield name, value(word, header)
            name = None


def value(word: str, header: Mapping[str, tuple[str, ...]]) -> Any:
    """One value, with paths as placeholders and JSON and numbers by what they mean."""
    for path in header.get("model", ()):
        if word == path or word.startswith(f"{path}/"):
            return word.replace(path, "{model}", 1)
    if word in header.get("serve-config", ()):
        return "serve_config.yaml"
    return json.loads(word) if word.startswith("{") and '"' in word else number(word)


def number(word: str) -> float | str:
    try:
        return float(word)
    except ValueError:
        return word


def pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    todo = iter(words)
    for word in todo:
        name, _, inline = word.partition("=")
        yield name, inline or next(todo)


def assign(variables: dict[str, str], assignment: str) -> None:
    name, _, text = assignment.partition("=")
    variables[name] = text


def expand(word: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda m: variables.get(m[1], m[0]), word)
