"""Scripts and engines inside other programs' YAML: SkyPilot, dstack, CI workflows, playbooks, Ray Serve.

found                                  read as
run: |, script: [...], commands: ...   a shell's text, in document order
env: {A: b}, envs:, variables:         what the scripts beside and below have in their environment
engine_kwargs: {tensor_parallel_size:  the words that the engine's parser would have (Ray Serve LLM)
serveConfigV2: |                       YAML inside YAML (KubeRay)
accelerators: H200:8, gpu: H200:8      the GPUs of each host
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import yaml

from matrix.checking.containers import image_engine
from matrix.checking.keyword_words import Keyword, make_words
from matrix.checking.launchers import STARTS, Start, Text, find_start
from matrix.checking.shell_script import ShellReader
from matrix.checking.translated import fill_templates
from matrix.checking.variables import Variables, Word
from matrix.checking.yaml_nodes import (
    MAX_DEPTH,
    Node,
    compose_documents,
    get_node,
    iterate_items,
    line_of,
    make_plain,
    read_scalar,
    read_sequence,
    walk_nodes,
)

# The last part of a key that holds what a shell runs: `run`, `before_script`, `ansible.builtin.shell`, `commands`.
SCRIPT_KEY: Final = re.compile(
    r"(?:^|[._:-])(run|runcmd|bootcmd|setup|scripts?|shell|cmd|commands?|exec|cmds|args|argv|entrypoint|raw|user_?data|inline|data"
    r"|content|Base64)$|\.(?:sh|bash)$",
    re.I,
)
ENVIRONMENT_KEYS: Final = ("env", "envs", "environment", "variables")
INNER_KEYS: Final = ("serveConfigV2",)
MANIFEST_KEYS: Final = ("values", "manifest", "yaml_body", "user_data", "userData", "cloud_init")
GPU_KEYS: Final = ("accelerators", "gpu", "gpus")
GPU_COUNT: Final = re.compile(r"[A-Za-z][\w .-]*:(\d{1,3})")
IMAGE_KEYS: Final = ("image", "image_id")
FILLED: Final = "template_"  # how fill_templates begins the name of a variable
OF_A_NODE: Final = "SKYPILOT_NUM_GPUS_PER_NODE"
Environment = Mapping[str, Word]


def read_embedded(document: Node, reader: ShellReader) -> None:
    """Read every script of a document, and every mapping of an engine's own arguments."""
    before = len(reader.commands)
    gpus, image = _find_gpus(document), _find_image(document)
    templates = _read_templates(document)
    _read_node(document, reader, templates | ({OF_A_NODE: Word(gpus)} if gpus else {}), set())
    reader.commands[before:] = [
        replace(c, gpus=c.gpus or gpus, image=c.image or image) for c in reader.commands[before:]
    ]


def _read_node(node: Node, reader: ShellReader, env: Environment, seen: set[int], depth: int = 0) -> None:
    """Read the scripts of a node with the environment of the mappings around them; each node once, however many
    aliases lead to it: nine lists of nine aliases each are half a billion."""
    if depth > MAX_DEPTH or id(node) in seen:
        return
    seen.add(id(node))
    env = {**env, **_read_environment(node)}
    if (kwargs := get_node(node, "engine_kwargs")) is not None:
        _read_engine(node, kwargs, reader, env)
    for key, value in iterate_items(node):
        if key in MANIFEST_KEYS:
            _keep_manifests(value, reader)
        if key in INNER_KEYS and (text := read_scalar(value)):
            for inner in compose_documents(text, reader.name)[0]:
                _read_node(inner, reader, env, set(), depth + 1)
        elif SCRIPT_KEY.search(key):
            variables = Variables({name: (word,) for name, word in env.items()}, set(_drop_templates(env)))
            for words in _list_words(value):
                if (start := find_start(words)) is not None:
                    reader.start(start, words[0].line, _drop_templates(env), 1)
            held = [value, *(each for _, each in iterate_items(value))]  # `scripts: {serve: ...}`
            for text, line in (found for each in held for found in _list_texts(each)):
                reader.read(fill_templates(text), variables, line, 1)
        _read_node(value, reader, env, seen, depth + 1)
    for child in read_sequence(node):
        _read_node(child, reader, env, seen, depth + 1)


def _read_templates(document: Node) -> dict[str, Word]:
    """`vars: {dcp: 3}` of a playbook or a Taskfile -> what `{{ dcp }}` and `{{.dcp}}` stand for, named as filled in."""
    found: dict[str, Word] = {}
    for key, value in iterate_items(document):
        for name, said in iterate_items(value) if key == "vars" else ():
            text = read_scalar(said)
            if text is not None and "{{" not in text:
                found |= {f"{FILLED}{mark}{name}": Word(text, line_of(said)) for mark in ("", "_")}
    for play in read_sequence(document):
        found |= _read_templates(play)
    return found


def _drop_templates(env: Environment) -> dict[str, Word]:
    """Return what is really in the environment."""
    return {name: word for name, word in env.items() if not name.startswith(FILLED)}


def _read_environment(node: Node) -> dict[str, Word]:
    """`env: {A: b}` of a mapping; a value that another program fills in is a hole."""
    found: dict[str, Word] = {}
    for key in ENVIRONMENT_KEYS:
        for name, value in iterate_items(get_node(node, key)):
            text = read_scalar(value)
            open_ = text is None or "{{" in text or "$" in text
            found[name] = Word(f"${name}" if open_ else text or "", line_of(value), (name,) if open_ else ())
    return found


def _keep_manifests(node: Node, reader: ShellReader) -> None:
    """Keep YAML that stands as a text in a program's file: values of a chart, a manifest, a machine's user data."""
    for scalar in read_sequence(node) or [node]:
        text = read_scalar(scalar)
        if text is not None and "\n" in text:
            reader.documents.append(Text(text=text, file=reader.name, line=line_of(scalar)))


def _list_words(node: Node) -> Iterator[tuple[Word, ...]]:
    """Yield lists of words that are a command: `argv: [vllm, serve, X]`, an entry of `runcmd: [[vllm, serve, X]]`."""
    for each in (node, *read_sequence(node)):
        texts = [read_scalar(child) for child in read_sequence(each)]
        words = tuple(Word(t, line_of(c)) for t, c in zip(texts, read_sequence(each), strict=True) if t is not None)
        # a list of whole lines holds blanks in its first
        if words and len(words) == len(texts) and " " not in words[0].text:
            yield words


def _list_texts(node: Node) -> Iterator[tuple[str, int]]:
    """Yield the text of a scalar, or the lines of a list, whose variables live on; nothing that starts no program."""
    scalars = read_sequence(node) if isinstance(node, yaml.SequenceNode) else [node]
    for scalar in scalars:
        text = read_scalar(scalar)
        if text and (STARTS.search(text) or "docker" in text or "install" in text or "=" in text):
            block = getattr(scalar, "style", None) in ("|", ">")
            yield text, line_of(scalar) + block


def _read_engine(node: Node, kwargs: Node, reader: ShellReader, env: Environment) -> None:
    """`{model_loading_config: {model_source: X}, engine_kwargs: {...}}` of Ray Serve: arguments of vLLM's engine."""
    model = next(
        (
            read_scalar(found)
            for path in (("model_loading_config", "model_source"), ("model_loading_config", "model_id"), ("model_id",))
            if (found := get_node(node, *path)) is not None
        ),
        None,
    )
    keywords = [Keyword(name=key, value=make_plain(value), line=line_of(value)) for key, value in iterate_items(kwargs)]
    if model and not any(keyword.name == "model" for keyword in keywords):
        keywords.insert(0, Keyword(name="model", value=model, line=line_of(kwargs)))
    words = make_words(keywords, "vllm")
    start = Start(kind="engine", engine="vllm", entry="engine_kwargs", argv=words)
    reader.start(start, line_of(kwargs), _drop_templates(env), 0)


def _find_gpus(document: Node) -> str:
    """`accelerators: H200:8`, `{H200: 8}`, `{H200:8}`, `gpu: H200:8`: how many GPUs each host gets, or ""."""
    for node in walk_nodes(document):
        for key, value in iterate_items(node):
            if key not in GPU_KEYS:
                continue
            entries = list(iterate_items(value))
            # YAML reads `{H200:8}` as a key without a value
            text = read_scalar(value) or (entries[0][0] if len(entries) == 1 else "")
            if found := GPU_COUNT.fullmatch(text.strip()):
                return found[1]
            count = read_scalar(entries[0][1]) if key == "accelerators" and len(entries) == 1 else None
            if count and count.isdigit():
                return count
    return ""


def _find_image(document: Node) -> Word | None:
    """Return the only image of an engine that the document names: it says the release."""
    found = [
        Word(text.removeprefix("docker:"), line_of(value))
        for node in walk_nodes(document)
        for key, value in iterate_items(node)
        if key in IMAGE_KEYS and (text := read_scalar(value)) and image_engine(text)
    ]
    return found[0] if len(found) == 1 else None
