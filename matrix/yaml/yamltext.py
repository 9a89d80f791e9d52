"""YAML text -> plain data plus the line of every value. The only module that touches YAML syntax.

`safe` constructors only. Duplicate keys (of which PyYAML lets the last one win), anchors and merges (which put a value
where nobody sees it), tags, and numbers of base 60 are problems of their own.
"""

from __future__ import annotations

import errno
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from matrix.checkout import name_in_checkout
from matrix.errors import ConfigError, Problem

Loc = tuple[str | int, ...]
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it is there
LARGEST_BYTES: Final = 16 << 20  # of one file; the largest of ours has 0.1 MB
DEEPEST: Final = 40  # levels; ours have 8
_MANY: Final = 2_000  # brackets: so many may be nested
_MAYBE_DEEP: Final = re.compile(rf"(?:[-?] ){{{DEEPEST}}}|\n {{{DEEPEST},}}[^\s#]|[\[{{][\[{{\s]{{{DEEPEST},}}")
_MAYBE_ALIAS: Final = re.compile(r"(?:^|[\s\[{,:-])[&*][^\s\[\]{},]")
_PREFIX: Final = "tag:yaml.org,2002:"
_TAGS: Final = frozenset({"null", "bool", "int", "float", "str", "timestamp", "seq", "map"})
_SHOWN: Final = 40


@dataclass(slots=True)
class Document:
    """One parsed file: `data`, and the 1-based line of each location in it."""

    name: str  # as shown to people, relative to the matrix folder
    data: Any = None
    lines: dict[Loc, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, loc: Loc) -> int:
        """Return the line of `loc`, or of its nearest known ancestor."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)

    def problem(self, loc: Loc, message: str) -> Problem:
        return Problem(self.name, self.line(loc), ".".join(map(str, loc)), message)


def read_document(path: Path, name: str) -> Document:
    """Parse one file. Whatever is wrong with it becomes a problem of the document, with its line.

    Raises:
        OSError: it cannot be read.
    """
    doc = Document(name)
    try:
        text = _read_text(path)
        _require_plain(text)
        loader = Loader(text)
        node = loader.get_single_node()
    except (yaml.YAMLError, ValueError, RecursionError, MemoryError) as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error) or type(error).__name__
        doc.problems.append(Problem(name, mark.line + 1 if mark else 1, "", f"not valid YAML: {what}"))
        return doc
    if node is not None:
        _index_lines(doc, node, (), loader)
        if not doc.problems:
            doc.data = loader.construct_document(node)
    loader.dispose()
    return doc


def require_document(path: Path, name: str) -> Document:
    """Parse one file that must be sound.

    Raises:
        ConfigError: it cannot be read, or all of its problems, each with its line.
    """
    try:
        doc = read_document(path, name)
    except OSError as error:
        raise ConfigError([Problem(name, 0, "", f"cannot be read: {error.strerror}")]) from None
    if doc.problems:
        raise ConfigError(doc.problems)
    return doc


def read_data(path: Path) -> Any:
    """Read the plain data of one file of this project.

    Raises:
        ConfigError: as `require_document`.
    """
    return require_document(path, name_in_checkout(path)).data


def _read_text(path: Path) -> str:
    """Read a file's text. Raises: OSError, UnicodeDecodeError, ValueError: too large; a pipe or device is not waited
    for."""
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory")
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no plain file")
    if found.st_size > LARGEST_BYTES:
        raise ValueError(f"it has {found.st_size:,} bytes, at most {LARGEST_BYTES:,} are read")
    return path.read_text(encoding="utf-8")


def _require_plain(text: str) -> None:
    """Before it is composed, which recurses: no deep nesting, and nothing that stands for something else. The parser's
    events are looked at only where the text may hold such.

    Raises:
        yaml.YAMLError: with the line.
    """
    if not (_MAYBE_DEEP.search(text) or _MAYBE_ALIAS.search(text) or text.count("[") + text.count("{") > _MANY):
        return
    depth = 0
    events: Iterator[Any] = yaml.parse(text, Loader=Loader)
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.MarkedYAMLError(None, None, f"nested more than {DEEPEST} levels deep", event.start_mark)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            what = f"{event.anchor!r} is an anchor or an alias: write the value out where it is meant"
            raise yaml.MarkedYAMLError(None, None, what, event.start_mark)


def _index_lines(doc: Document, node: yaml.Node, loc: Loc, loader: Any) -> None:
    doc.lines.setdefault(loc, node.start_mark.line + 1)
    doc.problems += (doc.problem(loc, why) for why in _wrong(node, loader))
    if isinstance(node, yaml.SequenceNode):
        for i, child in enumerate(node.value):
            _index_lines(doc, child, (*loc, i), loader)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line, word = key.start_mark.line + 1, str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            if word in seen:
                message = f"duplicate key {word!r}, first on line {seen[word]}"
                doc.problems.append(Problem(doc.name, line, ".".join(map(str, (*loc, word))), message))
            seen.setdefault(word, line)
            doc.lines[(*loc, word)] = line
            doc.problems += (Problem(doc.name, line, ".".join(map(str, loc)), why) for why in _wrong_key(key))
            _index_lines(doc, value, (*loc, word), loader)


def _wrong(node: yaml.Node, loader: Any) -> Iterator[str]:
    """Find what cannot be constructed, or means something else than it seems to."""
    kind = node.tag.removeprefix(_PREFIX)
    if kind not in _TAGS:
        yield f"the tag {node.tag!r} is not used here: plain text, numbers, dates, lists and maps are"
    elif isinstance(node, yaml.ScalarNode) and kind in ("int", "float", "timestamp"):
        try:
            loader.construct_object(node)
        except (ValueError, OverflowError) as error:
            yield f"{node.value[:_SHOWN]!r} is no {'date' if kind == 'timestamp' else 'number'}: {error}"
        if kind != "timestamp" and ":" in node.value:
            yield f"{node.value!r} is a number of base 60 to YAML: write the number, or quote the text"


def _wrong_key(key: yaml.Node) -> Iterator[str]:
    if not isinstance(key, yaml.ScalarNode):
        yield "a key is one word, and here stands a list or a map"
    elif key.tag == f"{_PREFIX}merge":
        yield "`<<` merges another map: write its keys out"
    elif key.tag.removeprefix(_PREFIX) not in _TAGS:
        yield f"the tag {key.tag!r} is not used here"
