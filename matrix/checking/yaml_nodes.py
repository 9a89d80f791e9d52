"""YAML of strangers -> nodes with lines, within bounds: no object is built, no alias or depth exhausts the reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import yaml

from matrix.errors import Problem
from matrix.yaml.compose import Loader

MAX_CHARACTERS: Final = 1_000_000
MAX_DEPTH: Final = 60
MAX_ALIASES: Final = 200
MAX_EVENTS: Final = 100_000
MAX_NODES: Final = 100_000  # of plain data, aliases followed each time
Node = yaml.Node


def compose_documents(text: str, name: str) -> tuple[list[Node], list[Problem]]:
    """Compose every document of a text; a problem with its line instead of an exception."""
    if len(text) > MAX_CHARACTERS:
        return [], [Problem(name, 0, "", f"longer than {MAX_CHARACTERS:,} characters: not read")]
    try:
        if (found := _exceeds(text)) is not None:
            return [], [Problem(name, found[0], "", found[1])]
        return [node for node in yaml.compose_all(text, Loader=Loader) if node is not None], []
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error) or type(error).__name__
        last = len(text.splitlines()) or 1  # a text that ends too early is told at its end, not behind it
        return [], [Problem(name, min(mark.line + 1, last) if mark else 0, "", f"not valid YAML: {what}")]


def _exceeds(text: str) -> tuple[int, str] | None:
    """Return the line and the bound that a text exceeds; the text is read as a stream, before anything is built."""
    depth = aliases = 0
    for count, event in enumerate(yaml.parse(text, Loader=Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        aliases += isinstance(event, yaml.AliasEvent)
        if depth > MAX_DEPTH:
            return _event_line(event), f"nested deeper than {MAX_DEPTH}: not read"
        if aliases > MAX_ALIASES or count > MAX_EVENTS:
            return _event_line(event), f"more than {MAX_ALIASES} aliases or {MAX_EVENTS:,} parts: not read"
    return None


def _event_line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0


def line_of(node: Node) -> int:
    return int(node.start_mark.line) + 1


def iterate_items(node: Node | None) -> Iterator[tuple[str, Node]]:
    """Yield the entries of a mapping with scalar keys; those of merge keys (`<<`) come after the mapping's own."""
    if not isinstance(node, yaml.MappingNode):
        return
    merged: list[Node] = []
    for key, value in node.value:
        if key.value == "<<":
            merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
        elif isinstance(key, yaml.ScalarNode):
            yield key.value, value
    for other in merged:
        if other is not node and isinstance(other, yaml.MappingNode):
            yield from ((k.value, v) for k, v in other.value if isinstance(k, yaml.ScalarNode) and k.value != "<<")


def get_node(node: Node | None, *path: str) -> Node | None:
    """Return the node at a path of keys; None if there is none."""
    for step in path:
        node = next((value for key, value in iterate_items(node) if key == step), None)
    return node


def read_scalar(node: Node | None) -> str | None:
    """Return the text of a scalar as written; None for null and for anything else."""
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
        return None
    return str(node.value)


def read_sequence(node: Node | None) -> list[Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def walk_nodes(node: Node) -> Iterator[Node]:
    """Every node below and with this one, each once however many aliases lead to it, in document order."""
    waiting, seen = [node], set[int]()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        children = [v for _, v in current.value] if isinstance(current, yaml.MappingNode) else read_sequence(current)
        waiting += reversed(children)


def find_duplicates(document: Node, name: str) -> Iterator[Problem]:
    """Yield each key that stands twice in one mapping: compose and kubectl refuse the file."""
    for node in walk_nodes(document):
        seen: dict[str, int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
                continue
            if key.value in seen:
                text = f"duplicate key {key.value!r}, first on line {seen[key.value]}"
                yield Problem(name, line_of(key), "", text)
            seen.setdefault(key.value, line_of(key))


def make_plain(node: Node | None, budget: int = MAX_NODES) -> object:
    """Plain data of a node, with YAML 1.2's numbers and booleans; bounded."""
    return _make_plain(node, [budget])


def _make_plain(node: Node | None, left: list[int]) -> object:
    left[0] -= 1
    if node is None or left[0] < 0:
        return None
    if isinstance(node, yaml.MappingNode):
        return {key: _make_plain(value, left) for key, value in reversed(list(iterate_items(node)))}
    if isinstance(node, yaml.SequenceNode):
        return [_make_plain(child, left) for child in node.value]
    return _scalar(node)


def _scalar(node: Node) -> object:
    text, tag = str(node.value), node.tag.rpartition(":")[2]
    try:
        match tag:
            case "null":
                return None
            case "bool":
                return text.lower() in ("true", "yes", "on")
            case "int":
                return int(text.replace("_", ""), 0)
            case "float":
                return float(text.replace("_", ""))
    except ValueError:
        pass
    return text
