"""YAML text -> plain data plus the line of every value. The only module that touches YAML syntax.

`safe` constructors only; duplicate keys (which PyYAML lets the last one win) are problems of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from matrix.errors import Problem

Loc = tuple[str | int, ...]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Document:
    """One parsed file: `data`, and the 1-based line of each location in it."""

    name: str  # as shown to people, relative to the matrix folder
    data: Any = None
    lines: dict[Loc, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, loc: Loc) -> int:
        """The line of `loc`, or of its nearest known ancestor."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)

    def problem(self, loc: Loc, message: str) -> Problem:
        return Problem(self.name, self.line(loc), ".".join(map(str, loc)), message)


def read(path: Path, name: str) -> Document:
    """Parse one file; syntax errors and duplicate keys become problems of the document."""
    doc = Document(name)
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error)
        doc.problems.append(Problem(name, mark.line + 1 if mark else 1, "", f"not valid YAML: {what}"))
        return doc
    if node is not None:
        _index(doc, node, ())
        if not doc.problems:
            doc.data = loader.construct_document(node)
    loader.dispose()
    return doc


def _index(doc: Document, node: yaml.Node, loc: Loc) -> None:
    doc.lines.setdefault(loc, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for i, child in enumerate(node.value):
            _index(doc, child, (*loc, i))
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line, word = key.start_mark.line + 1, str(key.value)
            if word in seen:
                message = f"duplicate key {word!r}, first on line {seen[word]}"
                doc.problems.append(Problem(doc.name, line, ".".join(map(str, (*loc, word))), message))
            seen.setdefault(word, line)
            doc.lines[(*loc, word)] = line
            _index(doc, value, (*loc, word))
