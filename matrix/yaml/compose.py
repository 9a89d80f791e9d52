"""YAML text -> plain data plus the line of every value. The only module that touches YAML syntax.

`safe` constructors only. Duplicate keys (of which PyYAML lets the last one win), anchors and merges (which put a value
where nobody sees it), tags, and what means something else than it seems to (`no`, 0777, 12:30:00, keys that are no
text, numbers without end, keys in another Unicode form) are problems of their own. No text raises, hangs, or takes
more than seconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import yaml

from matrix.errors import Problem
from matrix.yaml.document import Document, Loc
from matrix.yaml.key_looks import explain_look, looks_like_another

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it is there
DEEPEST: Final = 40  # levels; ours have 8
LARGEST_NUMBER: Final = 1 << 63
_MANY: Final = 3_000  # brackets: so many may be nested without harm to libyaml, in a stack of 2 MiB too
_MAYBE_DEEP: Final = re.compile(
    rf"(?:^|[\n\x85\u2028\u2029])[-?: \t]{{{DEEPEST},}}[^\s#-]|[\[{{][\[{{\s]{{{DEEPEST},}}"
)
# An anchor has a name of letters, digits, _ and -: `a && b` and `*.py` are plain text, and libyaml refuses the rest.
_MAYBE_ALIAS: Final = re.compile(r"(?:^|[\s\[{,:-])[&*][\w-]")
_PREFIX: Final = "tag:yaml.org,2002:"
_TAGS: Final = frozenset({"null", "bool", "int", "float", "str", "timestamp", "seq", "map"})
_STR: Final = f"{_PREFIX}str"
_COLLECTIONS: Final[dict[type[yaml.Node], str]] = {
    yaml.SequenceNode: f"{_PREFIX}seq",
    yaml.MappingNode: f"{_PREFIX}map",
}
_OTHER_BASE: Final = re.compile(r"[-+]?0(?:(?P<b8>[0-7_]+)|(?P<b16>x[0-9a-fA-F_]+)|(?P<b2>b[01_]+))")
_HIDDEN_BREAK: Final = re.compile(r"[\x85\u2028\u2029]")  # ends a line to YAML, and to no editor
_CONTROL: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)  # and what turns text round
_UNSEEN: Final = re.compile(
    r"[\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u2000-\u200f\u202f\u205f-\u2065\u3000\ufeff]"
    # printable ones: an empty cell of braille, two fillers of Hangul; and tags
    r"|[\u2800\u3164\uffa0\U000e0000-\U000e0fff]"
)
_SHOWN: Final = 40


def compose_document(doc: Document, text: str) -> None:
    """Parse a text into its document; whatever is wrong with it becomes a problem of the document."""
    if not text.isascii() and (hidden := _HIDDEN_BREAK.search(text)):
        line = text.count("\n", 0, hidden.start()) + 1
        what = f"the control character {hidden[0]!r} ends a line to YAML: write a line break"
        doc.problems.append(Problem(doc.name, line, "", f"not valid YAML: {what}"))
        return
    try:
        _require_plain(text)
        loader = Loader(text)
        # single: a second document in the file would be ignored without a word
        node = loader.get_single_node()
    except (yaml.YAMLError, ValueError, RecursionError, MemoryError) as error:
        doc.problems.append(_explain_syntax(doc.name, text, error))
        return
    if node is not None:
        data = _build(doc, node, (), loader)
        # no data beside problems: what was read around a fault would be judged as if somebody had written it
        if not doc.problems:
            doc.data = data
    loader.dispose()


def _explain_syntax(name: str, text: str, error: Exception) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error) or type(error).__name__
    line = mark.line + 1 if mark else 1
    found = yaml.reader.Reader.NON_PRINTABLE.search(text) if isinstance(error, yaml.reader.ReaderError) else None
    if found is not None:
        what, line = f"the control character {found[0]!r} is not allowed", text.count("\n", 0, found.start()) + 1
    elif "cannot start any token" in what and mark and "\t" in text.split("\n")[mark.line]:
        what = "YAML is indented with blanks, and here stands a tab"
    elif "another document" in what:
        what = "expected one document, and `---` begins a second one"
    last = text.count("\n", 0, len(text.rstrip())) + 1  # a text that ends too early is told at its end, not behind it
    return Problem(name, min(line, last), "", f"not valid YAML: {what}")


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


def _build(doc: Document, node: yaml.Node, loc: Loc, loader: Any) -> Any:
    """Return the data of a node, and note the line of each location and whatever is wrong, in one walk.

    PyYAML's own constructor walks a second time and was a third of the time that reading our files took.
    """
    doc.lines.setdefault(loc, node.start_mark.line + 1)
    if len(loc) > DEEPEST:
        doc.problems.append(Problem(doc.name, doc.line(loc), "", f"nested more than {DEEPEST} levels deep"))
        return None
    if isinstance(node, yaml.ScalarNode):
        # Most of all nodes, and nothing can be wrong with them.
        if node.tag == _STR and node.value.isprintable() and (node.value.isascii() or not _UNSEEN.search(node.value)):
            return node.value
        wrong = [doc.problem(loc, why) for why in _find_wrong_node(node, loader)]
        doc.problems += wrong
        return None if wrong else loader.construct_object(node)
    if node.tag != _COLLECTIONS[type(node)]:
        doc.problems += (doc.problem(loc, why) for why in _find_wrong_node(node, loader))
    if isinstance(node, yaml.SequenceNode):
        return [_build(doc, child, (*loc, i), loader) for i, child in enumerate(node.value)]
    return _build_mapping(doc, node, loc, loader)


def _build_mapping(doc: Document, node: yaml.Node, loc: Loc, loader: Any) -> dict[str, Any]:
    seen: dict[str, int] = {}
    built: dict[str, Any] = {}
    for key, value in node.value:
        line, word = key.start_mark.line + 1, str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
        if word in seen:
            message = f"duplicate key {word!r}, first on line {seen[word]}"
            doc.problems.append(Problem(doc.name, line, ".".join(map(str, (*loc, word))), message))
        # the first place stays: a third duplicate points to it as well
        seen.setdefault(word, line)
        at = (*loc, word)
        doc.lines[at] = line
        if key.tag != _STR or not word.isprintable() or not word or looks_like_another(word):
            doc.problems += (Problem(doc.name, line, ".".join(map(str, loc)), why) for why in _wrong_key(key))
        built[word] = _build(doc, value, at, loader)
    return built


def _find_wrong_node(node: yaml.Node, loader: Any) -> Iterator[str]:
    """Find what cannot be constructed, or means something else than it seems to."""
    kind = node.tag.removeprefix(_PREFIX)
    if kind not in _TAGS:
        yield f"the tag {node.tag!r} is not used here: plain text, numbers, dates, lists and maps are"
    elif not isinstance(node, yaml.ScalarNode) or node.tag != _tag_without_a_word(node, loader):
        # PyYAML's constructors trust such a tag: `!!bool maybe` is a KeyError there, `!!null x` loses the x.
        yield f"the tag '!!{kind}' is not used here: a value is written as what it is, text in quotes"
    elif isinstance(node, yaml.ScalarNode) and (found := _CONTROL.search(node.value)):
        yield f"the text holds the control character {found[0]!r}: a terminal or a script would obey it"
    elif isinstance(node, yaml.ScalarNode) and (found := _UNSEEN.search(node.value)):
        yield f"the text holds a character that nobody sees, {found[0]!a}: write a blank, or leave it away"
    elif isinstance(node, yaml.ScalarNode) and kind in ("int", "float", "timestamp"):
        yield from _wrong_number(node, kind, loader)
    elif isinstance(node, yaml.ScalarNode) and kind == "bool" and node.value.lower() not in ("true", "false"):
        meant = "true" if loader.construct_object(node) else "false"
        yield f"`{node.value}` is {meant} to YAML: write {meant}, or '{node.value}' in quotes for the word"


def _tag_without_a_word(node: yaml.ScalarNode, loader: Any) -> str:
    """Return the tag that the value has by itself: another one was written before it."""
    plain = not node.style  # libyaml says "" where PyYAML says None
    return str(loader.resolve(yaml.ScalarNode, node.value, (plain, not plain)))


def _wrong_number(node: yaml.ScalarNode, kind: str, loader: Any) -> Iterator[str]:
    try:
        value = loader.construct_object(node)
    except (ValueError, OverflowError) as error:
        yield f"{node.value[:_SHOWN]!r} is no {'date' if kind == 'timestamp' else 'number'}: {error}"
        return
    if isinstance(value, date):
        return
    if ":" in node.value:
        yield f"{node.value!r} is a number of base 60 to YAML: write the number, or quote the text"
    elif kind == "int" and (other := _OTHER_BASE.fullmatch(node.value)):
        base = str(other.lastgroup).removeprefix("b")
        yield f"{node.value!r} is {value}, a number of base {base}, to YAML: write the number, or quote the text"
    elif abs(value) >= LARGEST_NUMBER if kind == "int" else not math.isfinite(value):
        yield f"{node.value[:_SHOWN]!r} is no number that anything here can be: expected a finite one below 2**63"


def _wrong_key(key: yaml.Node) -> Iterator[str]:
    kind = key.tag.removeprefix(_PREFIX)
    if not isinstance(key, yaml.ScalarNode):
        yield "a key is one word, and here stands a list or a map"
    elif kind == "merge":
        yield "`<<` merges another map: write its keys out"
    elif kind not in _TAGS:
        yield f"the tag {key.tag!r} is not used here"
    elif _CONTROL.search(key.value):
        yield f"the key {key.value!r} holds a control character"
    elif kind == "str" and not key.value.strip():
        yield "a key is a word, and here stands an empty one"
    elif kind == "str" and key.value.isprintable():
        yield explain_look(key.value)
    elif kind == "str":
        yield f"the key {key.value!r} holds a character that nobody sees"
    else:
        yield f"a key is text, and {key.value!r} is {_KINDS[kind]} to YAML: quote it"


_KINDS: Final = {
    "null": "nothing",
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "timestamp": "a date",
}
