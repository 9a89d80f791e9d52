"""Task definitions of other schedulers -> the engines that they start: Nomad, ECS, CloudFormation, Terraform.

A task is any mapping with a program: `image` and words beside it, or words that start an engine. Keys are compared
without case and underscores (containerDefinitions, container_definitions, ContainerDefinitions). What holds a task
gives it environment and GPUs: Nomad writes both beside `config`, ECS within the container.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import yaml

from matrix.checking.containers import image_engine
from matrix.checking.helm_values import read_word, read_words
from matrix.checking.launchers import STARTS, Circumstance, find_start
from matrix.checking.shell_script import ShellReader
from matrix.checking.variables import Word
from matrix.checking.yaml_nodes import MAX_DEPTH, Node, iterate_items, line_of, read_scalar, read_sequence, walk_nodes

# What docker itself understands: `command` stands behind the image's entry point. Kubernetes' `command` replaces it.
OF_DOCKER: Final = frozenset({"driver", "containerdefinitions"})
RESOURCES: Final = ("resources", "resourcerequirements", "devices", "device")
# What may stand in front of the program, the program, its words; by bare names.
IMAGES: Final = ("image", "imageuri", "imagename")
WORDS: Final = (("entrypoint",), ("command", "cmd", "script", "program"), ("args", "arguments", "dockerargs"))
OF_SAGEMAKER: Final = re.compile(r"SM_(?:VLLM|SGLANG)_([A-Z0-9_]+)")
SHARED: Final = frozenset({"ipcmode", "shmsize", "sharedmemorysize"})
AMOUNTS: Final = ("count", "value")
INTRINSICS: Final = frozenset({"!Ref", "!Sub", "!GetAtt", "!Join", "!If", "!FindInMap", "!ImportValue"})


def read_tasks(document: Node, reader: ShellReader) -> None:
    """Read every task of a document."""
    _read_node(document, (), frozenset(), reader, set())


def _read_node(
    node: Node, around: tuple[Node, ...], names: frozenset[str], reader: ShellReader, seen: set[int]
) -> None:
    """Read a node; `around`: the mappings that hold it, the outermost first, and `names` the keys on the way to it."""
    if len(around) > MAX_DEPTH or id(node) in seen:
        return
    seen.add(id(node))
    for child in read_sequence(node):
        _read_node(child, around, names, reader, seen)
    if not isinstance(node, yaml.MappingNode):
        return
    keys = frozenset(_bare(key) for key, _ in iterate_items(node))
    inside = (*around, node)
    _read_task(inside, names | keys, reader)
    for key, value in iterate_items(node):
        _read_node(value, inside, names | keys | {_bare(key)}, reader, seen)


def _read_task(inside: tuple[Node, ...], names: frozenset[str], reader: ShellReader) -> None:
    node = inside[-1]
    image = next((word for name in IMAGES if (word := _word(_get(node, name))) is not None), None)
    image = image or _word(_get(_get(node, "image"), "location"))  # of AWS Copilot
    first, command, args = (tuple(w for name in names for w in _words(_get(node, name))) for names in WORDS)
    env = {name: word for holder in inside for name, word in _read_environment(holder)}
    words = (*first, *command, *args) or _read_options(env)
    # lines of a shell are no words: they are read as scripts
    if any(" " in word.text and STARTS.search(word.text) for word in command[:1]):
        return
    if not words or not (image_engine(image.text) if image is not None else find_start(words)):
        return
    gpus = next((found for holder in reversed(inside) if (found := _find_gpus(holder))), "")
    before, at = len(reader.commands), words[0].line or line_of(node)
    own = bool(first) or (bool(command) and not names & OF_DOCKER)
    reader.start_in_image(image or Word("", at), words, env, at, gpus=gpus, own=own or image is None)
    if image is not None and names & OF_DOCKER and not names & SHARED and not _shares_memory(node):
        little = Circumstance(id="container_with_little_shared_memory", subject="image", line=line_of(node))
        reader.add_circumstances(before, (little,))


def _read_options(env: Mapping[str, Word]) -> tuple[Word, ...]:
    """SM_VLLM_TENSOR_PARALLEL_SIZE=8 of SageMaker's images -> --tensor-parallel-size 8."""
    found: list[Word] = []
    for name, word in env.items():
        option = OF_SAGEMAKER.fullmatch(name)
        if option is not None and word.text.lower() != "false":
            found.append(Word(f"--{option[1].lower().replace('_', '-')}", word.line))
            found += [word] if word.text.lower() != "true" else []
    return tuple(found)


def _shares_memory(node: Node) -> bool:
    return any(_bare(key) in SHARED for each in walk_nodes(node) for key, _ in iterate_items(each))


def _read_environment(holder: Node) -> Iterator[tuple[str, Word]]:
    """`env { A = "b" }`, `environment: [{name: A, value: b}]`, and blocks `env { name = A, value = b }`."""
    for key, value in iterate_items(holder):
        if _bare(key) not in ("env", "environment"):
            continue
        for entry in read_sequence(value) or [value]:
            if (pair := read_scalar(entry)) is not None and "=" in pair:  # NAME=value of docker
                written, _, text = pair.partition("=")
                yield written, Word(text, line_of(entry), (written,) if "{{" in text else ())
                continue
            name = read_scalar(_get(entry, "name"))
            if name is not None:
                # valueFrom: set, but not here
                yield name, _word(_get(entry, "value")) or Word(f"${name}", line_of(entry), (name,))
                continue
            for each, said in iterate_items(entry):
                yield each, _word(said) or Word(f"${each}", line_of(said), (each,))


def _find_gpus(holder: Node) -> str:
    """Return the count of `device "nvidia/gpu" { count = 8 }`, `"nvidia.com/gpu" = 8`, `{type: GPU, value: "8"}`."""
    for key, value in iterate_items(holder):
        if _bare(key) not in RESOURCES:
            continue
        for node in walk_nodes(value):
            named = f"{read_scalar(_get(node, 'name')) or ''} {read_scalar(_get(node, 'type')) or ''}".lower()
            held = [node] if "gpu" in named else [said for name, said in iterate_items(node) if "gpu" in name.lower()]
            for each in held:
                texts = [read_scalar(each), *(read_scalar(_get(each, amount)) for amount in AMOUNTS)]
                if found := next((text for text in texts if text and text.isdigit()), ""):
                    return found
    return ""


def _get(node: Node | None, name: str) -> Node | None:
    return next((value for key, value in iterate_items(node) if _bare(key) == name), None)


def _bare(key: str) -> str:
    return key.replace("_", "").replace("-", "").lower()


def _words(node: Node | None) -> tuple[Word, ...]:
    """Return the words of a list, or of a text; what CloudFormation fills in is a hole."""
    if isinstance(node, yaml.SequenceNode) and node.tag not in INTRINSICS:
        return tuple(_word(child) or Word("$", line_of(child), ("an expression",)) for child in node.value)
    return read_words(node) if node is not None and node.tag not in INTRINSICS else ()


def _word(node: Node | None) -> Word | None:
    if node is not None and node.tag in INTRINSICS:
        return Word(f"${node.value}", line_of(node), ("an expression",)) if isinstance(node, yaml.ScalarNode) else None
    found = read_word(node)
    return Word(found.text, found.line, (found.text,)) if found is not None and "${" in found.text else found
