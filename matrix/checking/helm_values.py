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
from matrix.checking.variables import Variables, Word, expand
from matrix.checking.words import split_statements
from matrix.checking.yaml_nodes import Node, get, items, line, scalar, sequence, walk

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
    for node in walk(document):
        image = _image(node)
        if image is not None and image_engine(image.text):
            _read(node, image, reader)


def _image(node: Node) -> Word | None:
    found = get(node, "image") if isinstance(node, yaml.MappingNode) else None
    holder = found if isinstance(found, yaml.MappingNode) else node
    repository, tag = scalar(get(holder, "repository")), scalar(get(holder, "tag"))
    if repository:
        registry = scalar(get(holder, "registry"))
        name = f"{registry}/{repository}" if registry else repository
        return Word(f"{name}:{tag}" if tag else name, line(holder))
    text = scalar(found) if found is not None else None
    return Word(text, line(found)) if text and found is not None else None


def _read(node: Node, image: Word, reader: ShellReader) -> None:
    words = tuple(word for name in WORDS for word in _words(get(node, name)))
    model = next((w for name in MODEL if (w := _word(get(node, name))) is not None), None)
    for name in OPTIONS:
        words += tuple(_options(get(node, name)))
    engine = image_engine(image.text)
    if model is not None and not any(w.text.partition("=")[0] in ("--model", "--model-path") for w in words):
        words = (Word("--model-path" if engine == "sglang" else "--model", model.line), model, *words)
    env = {
        scalar(get(entry, "name")) or "": _word(get(entry, "value")) or Word("", line(entry), ("a secret",))
        for entry in sequence(get(node, "env"))
    }
    env |= {name: _word(value) or Word("", line(value)) for name, value in items(get(node, "env"))}
    gpus = scalar(get(node, "resources", "limits", "nvidia.com/gpu"))
    gpus = gpus or next((v for name in GPUS if (v := scalar(get(node, name)))), "")
    if words:
        at = words[0].line
        reader.start_in_image(image, words, env, at, gpus=gpus, read_as="values of a Helm chart, by their names")


def _options(node: Node | None) -> Iterator[Word]:
    """`{tensorParallelSize: 8, enablePrefixCaching: true}` -> the options; lists of words are taken as they are."""
    for key, value in items(node):
        text = scalar(value)
        if key in WORDS or text is None:
            yield from _words(value)
        elif text.lower() == "true":
            yield Word(f"--{CAMEL.sub('-', key).lower()}", line(value))
        elif text.lower() not in ("false", "null", ""):
            yield Word(f"--{CAMEL.sub('-', key).lower()}", line(value))
            yield Word(text, line(value))


def _words(node: Node | None) -> tuple[Word, ...]:
    if isinstance(node, yaml.SequenceNode):
        return tuple(word for child in node.value if (word := _word(child)) is not None)
    text = scalar(node)
    if text is None or node is None:
        return ()
    statements, _ = split_statements(text.replace("\n", " "), "", line(node))
    return tuple(w for s in statements for raw in s.words for w in expand(raw, Variables()))


def _word(node: Node | None) -> Word | None:
    text = scalar(node)
    return None if text is None or node is None else Word(text, line(node), ("a template",) if "{{" in text else ())
