"""Compose files and Kubernetes manifests -> the engines that their containers start."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import yaml

from matrix.checking.environment_file import read_environment_file
from matrix.checking.helm_values import read_values
from matrix.checking.launchers import Circumstance, Command, Text
from matrix.checking.service_notes import note_pod, note_service
from matrix.checking.shell_script import Beside, ShellReader, no_file
from matrix.checking.translated import TEMPLATE
from matrix.checking.variables import Variables, Word, expand_word
from matrix.checking.words import split_statements
from matrix.checking.yaml_nodes import (
    Node,
    compose_documents,
    find_duplicates,
    get_node,
    iterate_items,
    line_of,
    read_scalar,
    read_sequence,
    walk_nodes,
)
from matrix.errors import Problem

MAX_CONTAINERS: Final = 100
COMPOSE: Final = re.compile(
    r"\$\$|\$\{(?P<name>[A-Za-z_]\w*)(?:(?P<op>:?[-?+])(?P<word>[^}]*))?\}|\$(?P<bare>[A-Za-z_]\w*)"
)
# The first line that says something is a key, or an entry of a list: YAML, and no script.
INNER_TEXT: Final = re.compile(r"(?:[ \t]*(?:#(?!!)[^\n]*)?\n)*+(?:- )?[\w.-]+:(?:\s|$)")
REFERENCES: Final = (("configMapRef", "name"), ("secretRef", "name"))
KUBERNETES: Final = re.compile(r"\$\$\(|\$\((?P<name>[A-Za-z_][\w.-]*)\)")


def read_services(text: str, name: str, beside: Beside = no_file) -> tuple[list[Command], list[Problem]]:
    """Read every container of every document; what is no container is passed over."""
    documents, problems = compose_documents(text, name)
    reader = ShellReader(name, beside)
    reader.problems += [*problems, *(found for document in documents for found in find_duplicates(document, name))]
    for document in documents:
        if read_scalar(get_node(document, "kind")) == "ConfigMap":
            for key, value in iterate_items(get_node(document, "data")):
                reader.files[key] = Text(text=read_scalar(value) or "", file=name, line=line_of(value) + 1)
    return read_documents(documents, reader)


def read_documents(
    documents: list[Node], reader: ShellReader, *, tasks: bool = False, inner: bool = False
) -> tuple[list[Command], list[Problem]]:
    """Read every container of the documents; `tasks`: what has no containers is a scheduler's, not a chart's.

    `inner`: they stand as a text in another file, and texts within them are not looked into again.
    """
    containers = [found for document in documents for found in _containers(document)]
    # what compose itself puts in place of ${NAME}: a file beside it, besides the shell's own variables
    outside = dict(read_environment_file(reader.beside(".env") or ""))
    for container, kind, pod in containers[:MAX_CONTAINERS]:
        _read_container(container, kind, pod, reader, outside)
    if not containers and not tasks:
        for document in documents:
            read_values(document, reader)
    if not reader.commands:
        _read_other_programs(documents, reader)
    if not inner:
        kept, reader.documents = reader.documents[:MAX_CONTAINERS], []
        for text in (text for text in kept if INNER_TEXT.match(text.text)):
            read_documents(compose_documents(text.text, reader.name)[0], reader, inner=True)
    return reader.commands, reader.problems


def _read_other_programs(documents: list[Node], reader: ShellReader) -> None:
    """Read tasks of other schedulers, else what a shell runs in other programs' files."""
    from matrix.checking.embedded_scripts import read_embedded  # late: most texts have containers
    from matrix.checking.task_definitions import read_tasks

    for document in documents:
        read_tasks(document, reader)
    if not reader.commands:
        for document in documents:
            read_embedded(document, reader)


def _containers(document: Node) -> list[tuple[Node, str, Node]]:
    """List containers with their kind and what holds them: the pod's specification, or the service itself."""
    services: list[tuple[Node, str, Node]] = [
        (value, "compose", value)
        for _, value in iterate_items(get_node(document, "services"))
        if isinstance(value, yaml.MappingNode)
    ]
    if services:
        return services
    found: list[tuple[Node, str, Node]] = []
    for node in walk_nodes(document):
        for key, value in iterate_items(node):
            if key in ("containers", "initContainers"):
                found += [
                    (child, "kubernetes", node)
                    for child in read_sequence(value)
                    if get_node(child, "image") is not None
                ]
            elif key == "mainContainer" and get_node(value, "image") is not None:  # of a Dynamo graph
                found.append((value, "kubernetes", node))
            elif (
                key == "predictor"
                and (model := get_node(value, "model")) is not None
                and get_node(model, "image") is not None
            ):
                found.append((model, "kubernetes", value))
    return found


def _read_container(container: Node, kind: str, pod: Node, reader: ShellReader, outside: dict[str, Word]) -> None:
    """One container: image, environment and words; what starts is read on like a docker run line."""
    unread = reader.unread_env
    env = {**_from_files(container, kind, reader), **_read_environment(container, kind, outside)}
    known = outside if kind == "compose" else env  # where ${NAME} and $(NAME) are looked up
    image = _read_word(get_node(container, "image"), kind, known) or Word("", line_of(container))
    if kind == "compose":
        first, then = (
            _read_words(get_node(container, "entrypoint"), kind, known),
            _read_words(get_node(container, "command"), kind, known),
        )
        devices = read_sequence(get_node(container, "deploy", "resources", "reservations", "devices"))
        gpus = next((_gpus(device) for device in devices), "")
    else:
        first, then = (
            _read_words(get_node(container, "command"), kind, known),
            _read_words(get_node(container, "args"), kind, known),
        )
        gpus = read_scalar(get_node(container, "resources", "limits", "nvidia.com/gpu")) or ""
    words = (*first, *then)
    at = words[0].line if words else line_of(container)
    before = len(reader.commands)
    # compose's entrypoint and Kubernetes' command take the place of the image's entry point; the rest are its words
    reader.start_in_image(image, words, env, at, gpus=gpus, own=bool(first))
    line = line_of(container)
    noted = tuple(note_service(container, line) if kind == "compose" else note_pod(container, pod, line))
    reader.add_circumstances(before, noted)
    reader.add_circumstances(before, tuple(_note_outside(words, env)) if kind == "compose" else ())
    if kind == "compose" and get_node(container, "profiles") is None:
        reader.commands[before:] = [replace(c, beside="services") for c in reader.commands[before:]]
    reader.unread_env = unread


def _note_outside(words: tuple[Word, ...], env: dict[str, Word]) -> Iterator[Circumstance]:
    """Note `$TP` of a command whose service sets TP: compose fills it from the shell and from .env alone."""
    for name in sorted({hole for word in words for hole in word.holes} & set(env)):
        line = next(word.line for word in words if name in word.holes)
        yield Circumstance(id="compose_fills_from_outside", subject=f"${name}", line=line, facts={"name": name})


def _from_files(container: Node, kind: str, reader: ShellReader) -> dict[str, Word]:
    """`env_file:` of compose, one path, a list, or mappings with a path; Kubernetes' `envFrom` is never here."""
    if kind == "kubernetes":
        named = [
            read_scalar(get_node(e, *k)) for e in read_sequence(get_node(container, "envFrom")) for k in REFERENCES
        ]
        reader.unread_env = reader.unread_env or next((n for n in named if n), "")
        return {}
    block = get_node(container, "env_file")
    paths = [read_scalar(block), *(read_scalar(e) or read_scalar(get_node(e, "path")) for e in read_sequence(block))]
    return {name: word for path in paths if path for name, word in reader.environment_of(path).items()}


def _gpus(device: Node) -> str:
    listed = [read_scalar(child) or "" for child in read_sequence(get_node(device, "device_ids"))]
    return f"device={','.join(listed)}" if listed else read_scalar(get_node(device, "count")) or ""


def _read_environment(container: Node, kind: str, outside: dict[str, Word]) -> dict[str, Word]:
    """`environment:` as mapping or list of A=b, Kubernetes' list of name and value."""
    env: dict[str, Word] = {}
    block = get_node(container, "environment" if kind == "compose" else "env")
    for name, value in iterate_items(block):
        env[name] = _read_word(value, kind, outside if kind == "compose" else env) or Word("", line_of(value))
    for entry in read_sequence(block):
        name, word = _compose_entry(entry, outside) if kind == "compose" else _kubernetes_entry(entry, env)
        if name:
            env[name] = word
    return env


def _compose_entry(entry: Node, env: dict[str, Word]) -> tuple[str, Word]:
    """`A=b`, or `A` alone, whose value stands elsewhere."""
    word = _read_word(entry, "compose", env) or Word("", line_of(entry))
    name, equals, text = word.text.partition("=")
    return name, Word(text, line_of(entry), word.holes) if equals else Word(f"${name}", line_of(entry), (name,))


def _kubernetes_entry(entry: Node, env: dict[str, Word]) -> tuple[str, Word]:
    """`{name, value}`, or `{name, valueFrom}`, whose value stands elsewhere."""
    name = read_scalar(get_node(entry, "name")) or ""
    value = get_node(entry, "value")
    if value is None:
        return name, Word(f"${name}", line_of(entry), (name,))
    return name, _read_word(value, "kubernetes", env) or Word("", line_of(entry))


def _read_words(node: Node | None, kind: str, env: dict[str, Word]) -> tuple[Word, ...]:
    """Return a list as it is; split a string as a shell would, without running one."""
    if node is None:
        return ()
    if isinstance(node, yaml.SequenceNode):
        return tuple(word for child in node.value if (word := _read_word(child, kind, env)) is not None)
    word = _read_word(node, kind, env)
    if word is None:
        return ()
    if kind == "compose" and (split := _split_as_compose(word.text)) is not None:
        return tuple(
            Word(text, word.line, tuple(h for h in word.holes if f"${h}" in text or "{{" in text)) for text in split
        )
    statements, _ = split_statements(word.text.replace("\n", " "), "", word.line)
    return tuple(
        Word(w.text, word.line, (*w.holes, *(h for h in word.holes if f"${h}" in w.text)))
        for statement in statements
        for raw in statement.words
        for w in expand_word(raw, Variables())
    )


def _split_as_compose(text: str) -> list[str] | None:
    """Split as compose does (go-shellwords): quotes and backslashes as in a shell, `#` is a word, an operator ends it.

    None where it is no such text.
    """
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError:
        return None
    ends = [index for index, word in enumerate(words) if word and not word.strip(";&|<>")]
    return words[: ends[0]] if ends else words


def _read_word(node: Node | None, kind: str, env: dict[str, Word]) -> Word | None:
    text = read_scalar(node)
    if text is None or node is None:
        return None
    # its own blanks would split it: `--model {{ model }} -tp {{ tp }}`
    text = TEMPLATE.sub(lambda found: "".join(found.group().split()), text)
    # `{{ .Values.tp }}`: helm or Jinja fills it in, and nothing is wrong with it until then
    holes: list[str] = ["a template"] if "{{" in text else []

    def compose(found: re.Match[str]) -> str:
        if found.group() == "$$":
            return "$"
        name = found["name"] or found["bare"]
        if name in env:
            return env[name].text
        if found["op"] in (":-", "-"):
            return found["word"] or ""
        holes.append(name)
        return f"${name}"

    def kubernetes(found: re.Match[str]) -> str:
        if found["name"] is None:
            return "$("
        known = env.get(found["name"])
        holes.extend(known.holes if known is not None else (found["name"],))
        return known.text if known is not None else found.group()

    made = COMPOSE.sub(compose, text) if kind == "compose" else KUBERNETES.sub(kubernetes, text)
    at = line_of(node) + (getattr(node, "style", None) in ("|", ">"))
    return Word(made, at, tuple(holes))
