"""Values of a Helm chart -> the engine that the chart would start, as far as the names of values tell.

A chart may do anything with its values, so what is found says that it was read by their names. Understood are a mapping
with an image (`image: {repository, tag}`, `repository` and `tag`, or a text) and words beside it (`command`, `args`,
`extraArgs`), and options in camel case, as vLLM's production stack has them (`vllmConfig: {tensorParallelSize: 8}`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import yaml

from matrix.checking.containers import image_engine
from matrix.checking.shell_script import ShellReader
from matrix.checking.variables import Variables, Word, expand_word
from matrix.checking.words import split_statements
from matrix.checking.yaml_nodes import Node, get_node, iterate_items, line_of, read_scalar, read_sequence, walk_nodes

WORDS: Final = (
    "command",
    "args",
    "extraArgs",
    "extraArguments",
    "additionalArgs",
    "serverArgs",
    "extra_args",
    "vllmArgs",
)
OPTIONS: Final = ("vllmConfig", "sglangConfig", "engineConfig", "engineArgs")
MODEL: Final = ("modelURL", "modelUrl", "modelPath", "model")
GPUS: Final = ("requestGPU", "gpuCount", "gpus")
CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def read_values(document: Node, reader: ShellReader) -> None:
    """Read every mapping that names the image of an engine."""
    for node in walk_nodes(document):
        image = _image(node)
        # a chart's values hold many images (routers, metrics): only that of an engine starts one
        if image is not None and image_engine(image.text):
            _read_container_words(node, image, reader)


def _image(node: Node) -> Word | None:
    found = get_node(node, "image") if isinstance(node, yaml.MappingNode) else None
    holder = found if isinstance(found, yaml.MappingNode) else node
    repository, tag = read_scalar(get_node(holder, "repository")), read_scalar(get_node(holder, "tag"))
    if repository:
        registry = read_scalar(get_node(holder, "registry"))
        name = f"{registry}/{repository}" if registry else repository
        return Word(f"{name}:{tag}" if tag else name, line_of(holder))
    text = read_scalar(found) if found is not None else None
    return Word(text, line_of(found)) if text and found is not None else None


def _read_container_words(node: Node, image: Word, reader: ShellReader) -> None:
    words = tuple(word for name in WORDS for word in read_words(get_node(node, name)))
    model = next((w for name in MODEL if (w := read_word(get_node(node, name))) is not None), None)
    for name in OPTIONS:
        words += tuple(_iterate_options(get_node(node, name)))
    engine = image_engine(image.text)
    # the chart itself turns its value of the model into the flag; a flag among the words is already that
    if model is not None and not any(w.text.partition("=")[0] in ("--model", "--model-path") for w in words):
        words = (Word("--model-path" if engine == "sglang" else "--model", model.line), model, *words)
    env = {
        read_scalar(get_node(entry, "name")) or "": read_word(get_node(entry, "value"))
        # valueFrom: set, but not here, so a hole rather than an empty text
        or Word("", line_of(entry), ("a secret",))
        for entry in read_sequence(get_node(node, "env"))
    }
    env |= {name: read_word(value) or Word("", line_of(value)) for name, value in iterate_items(get_node(node, "env"))}
    gpus = read_scalar(get_node(node, "resources", "limits", "nvidia.com/gpu"))
    gpus = gpus or next((v for name in GPUS if (v := read_scalar(get_node(node, name)))), "")
    if words:
        at = words[0].line
        reader.start_in_image(image, words, env, at, gpus=gpus, read_as="values of a Helm chart, by their names")


def _iterate_options(node: Node | None) -> Iterator[Word]:
    """`{tensorParallelSize: 8, enablePrefixCaching: true}` -> the options; lists of words are taken as they are."""
    for key, value in iterate_items(node):
        text = read_scalar(value)
        if key in WORDS or text is None:
            yield from read_words(value)
        elif text.lower() == "true":
            yield Word(f"--{CAMEL.sub('-', key).lower()}", line_of(value))
        # false leaves the option out: that is how charts write `do not pass it`
        elif text.lower() not in ("false", "null", ""):
            yield Word(f"--{CAMEL.sub('-', key).lower()}", line_of(value))
            yield Word(text, line_of(value))


def read_words(node: Node | None) -> tuple[Word, ...]:
    """Return the words of a list as they are, or of a text as a shell would split it."""
    if isinstance(node, yaml.SequenceNode):
        return tuple(word for child in node.value if (word := read_word(child)) is not None)
    text = read_scalar(node)
    if text is None or node is None:
        return ()
    statements, _ = split_statements(text.replace("\n", " "), "", line_of(node))
    return tuple(w for s in statements for raw in s.words for w in expand_word(raw, Variables()))


def read_word(node: Node | None) -> Word | None:
    """Return a scalar as one word; None for anything else."""
    text = read_scalar(node)
    # `{{ .Values.x }}` is filled in by helm: known to be there, unknown in value
    return None if text is None or node is None else Word(text, line_of(node), ("a template",) if "{{" in text else ())
