"""HCL of Nomad and Terraform -> the nodes of YAML with lines, so that one reader knows what a container says.

task "vllm" { ... }                 task: {...}              (blocks of one name are entries of one name)
args = ["-tp", "8"]                 args: ["-tp", "8"]
container_definitions = jsonencode([...])                    the value itself; of any other function nothing is known
"${var.tp}", var.tp, local.tp       the default that the text gives, else a template that somebody fills in
<<-EOF ... EOF                      a text in literal style

Nothing is evaluated: an expression with an operator is a template too. What is not HCL is a problem with its line.
"""

from __future__ import annotations

import json
import re
import textwrap
from typing import Final, NamedTuple

import yaml

from matrix.checking.yaml_nodes import MAX_CHARACTERS, MAX_DEPTH, Node, get_node, iterate_items
from matrix.errors import Problem

NAMED: Final = re.compile(r"\.(nomad|hcl|tf|tofu)$", re.IGNORECASE)
# The first line that says something opens a block; a shell's text begins otherwise.
BEGINS: Final = re.compile(
    r"(?:[ \t]*(?:(?:#(?!!)|//)[^\n]*)?\n)*+"
    r"[ \t]*(?:job|resource|variable|module|terraform|locals|provider|data|output)(?:[ \t]+\"[^\"\n]*\")*[ \t]*\{"
)
TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\r]+|\#[^\n]*|//[^\n]*|/\*.*?\*/)
    |(?P<line>\n)
    |<<(?P<trim>-?)(?P<mark>\w+)[ \t\r]*\n
    |(?P<string>"(?>\\.|\$\{(?>[^{}"\n]|"[^"\n]*")*\}|[^"\\\n])*+")
    |(?P<number>-?\d+(?:\.\d+)?(?![\w.]))
    |(?P<name>[A-Za-z_][\w.\-]*(?:\[[^\]\n]*\])?)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
REFERENCE: Final = re.compile(r"\$\{\s*((?:var|local)\.[\w-]+)\s*\}")
OTHER: Final = re.compile(r"\$\{[^}]*\}")
TEXT, NUMBER, BOOL, NULL, MAP, LIST = (f"tag:yaml.org,2002:{t}" for t in ("str", "int", "bool", "null", "map", "seq"))
WORDS: Final = {"true": BOOL, "false": BOOL, "null": NULL}
SAME: Final = frozenset({"jsonencode", "yamlencode", "tolist", "toset", "tostring", "tonumber", "nonsensitive"})
OPEN: Final = "{{ expression }}"  # read as a template: somebody fills it in
MAX_TEXT: Final = 100_000  # of a text that holds other texts of the file


class Token(NamedTuple):
    """A piece of the text; of a here-document `text` is its body."""

    kind: str
    text: str
    line: int


class _NotHcl(Exception):
    """The text stops being HCL at that line."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


def is_hcl(text: str, name: str) -> bool:
    """Whether a text is HCL: by its name, or by a labelled block where no shell's line is."""
    return NAMED.search(name) is not None or BEGINS.match(text) is not None


def compose_hcl(text: str, name: str) -> tuple[list[Node], list[Problem]]:
    """Compose the body of a text; a problem with its line instead of an exception."""
    if len(text) > MAX_CHARACTERS:
        return [], [Problem(name, 0, "", f"longer than {MAX_CHARACTERS:,} characters: not read")]
    try:
        body = _Reader(list(_split(text))).read_body(0, "")
    except _NotHcl as error:
        return [], [Problem(name, error.line, "", f"not valid HCL: {error}")]
    return [_fill(body, _list_known(body), {})], []


def _split(text: str) -> list[Token]:
    found: list[Token] = []
    at, line = 0, 1
    while (match := TOKEN.match(text, at)) is not None:
        at, kind, written = match.end(), match.lastgroup or "", match.group()
        if kind == "mark":
            ending = re.compile(rf"^[ \t]*{re.escape(match['mark'])}[ \t\r]*$", re.M).search(text, at)
            if ending is None:
                raise _NotHcl(line, f"the text that {match['mark']} ends has no end")
            found.append(Token("document", textwrap.dedent(text[at : ending.start()]), line))
            written, at = written + text[at : ending.end()], ending.end()
        elif kind != "space":
            found.append(Token(kind, written, line))
        line += written.count("\n")
    return found


class _Reader:
    """Reads tokens one after the other; every method returns behind what it has read."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens, self.at = tokens, 0

    def _peek(self) -> Token:
        last = self.tokens[-1].line if self.tokens else 1
        return self.tokens[self.at] if self.at < len(self.tokens) else Token("end", "", last)

    def _take(self) -> Token:
        found = self._peek()
        self.at += 1
        return found

    def _skip_lines(self) -> None:
        while self._peek().kind == "line":
            self.at += 1

    def read_body(self, depth: int, closing: str) -> yaml.MappingNode:
        """Read attributes and blocks up to the closing bracket, or to the end of the text."""
        entries: list[tuple[Node, Node]] = []
        begun = self.tokens[self.at - 1] if self.at else self._peek()
        if depth > MAX_DEPTH:
            raise _NotHcl(begun.line, f"nested deeper than {MAX_DEPTH}: not read")
        while True:
            self._skip_lines()
            token = self._take()
            if token.text == closing or token.kind == "end":
                if token.kind == "end" and closing:
                    raise _NotHcl(begun.line, f"a block is opened and no {closing} ends it")
                return _make_map(entries, begun.line)
            if token.text == ",":
                continue
            if token.kind not in ("name", "string"):
                raise _NotHcl(token.line, f"expected a name, got {token.text!r}")
            key = _make_scalar(_unquote(token.text), token.line)
            entries.append((key, self._read_entry(depth)))

    def _read_entry(self, depth: int) -> Node:
        """Read what stands behind a name: `= value`, `: value`, or labels, each a key of its own, and a block."""
        labels: list[Token] = []
        while self._peek().kind in ("name", "string"):
            labels.append(self._take())
        token = self._take()
        if token.text == "{":
            found: Node = self.read_body(depth + 1, "}")
            for label in reversed(labels):
                found = _make_map([(_make_scalar(_unquote(label.text), label.line), found)], label.line)
            return found
        if token.text in ("=", ":"):
            if self._peek().text == ">":
                self.at += 1
            return self._read_value(depth + 1)
        raise _NotHcl(token.line, f"expected = or a block, got {token.text!r}")

    def _read_value(self, depth: int) -> Node:
        self._skip_lines()
        token = self._take()
        value = self._read_primary(token, depth)
        if self._ends():
            return value
        self._skip_expression()
        return _make_scalar(OPEN, token.line)

    def _read_primary(self, token: Token, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise _NotHcl(token.line, f"nested deeper than {MAX_DEPTH}: not read")
        if token.kind == "document":
            return _make_scalar(token.text, token.line, style="|")
        if token.kind == "string":
            return _make_scalar(_unquote(token.text), token.line)
        if token.kind == "number":
            return _make_scalar(token.text, token.line, NUMBER)
        if token.text == "[":
            return self._read_list(token, depth)
        if token.text == "{":
            return self.read_body(depth, "}")
        if token.kind == "name":
            return self._read_name(token, depth)
        raise _NotHcl(token.line, f"expected a value, got {token.text!r}")

    def _read_name(self, token: Token, depth: int) -> Node:
        """Read a word, a reference, or a call, of which only those that leave their argument alone are understood."""
        if self._peek().text != "(":
            tag = WORDS.get(token.text)
            return _make_scalar(token.text if tag else f"${{{token.text}}}", token.line, tag or TEXT)
        self.at += 1
        if token.text not in SAME and token.text != "concat":
            self._skip_expression(inside=True)
            return _make_scalar(OPEN, token.line)
        values = self._read_list(Token("sign", ")", token.line), depth, ")").value
        if token.text == "concat":
            whole = all(isinstance(value, yaml.SequenceNode) for value in values)
            return _make_list([c for v in values for c in v.value], token.line) if whole else _make_scalar(OPEN, 1)
        return values[0] if values else _make_scalar(OPEN, token.line)

    def _read_list(self, begun: Token, depth: int, closing: str = "]") -> yaml.SequenceNode:
        values: list[Node] = []
        while True:
            self._skip_lines()
            if self._peek().text == closing:
                self.at += 1
                return _make_list(values, begun.line)
            if self._peek().kind == "end":
                raise _NotHcl(begun.line, f"a list is opened and no {closing} ends it")
            if self._peek().text == ",":
                self.at += 1
            else:
                values.append(self._read_value(depth + 1))

    def _ends(self) -> bool:
        return self._peek().kind in ("line", "end") or self._peek().text in (",", "]", "}", ")")

    def _skip_expression(self, *, inside: bool = False) -> None:
        """Skip to the end of an expression, brackets within it respected; `inside`: up to the bracket that ends it."""
        depth = int(inside)
        while self._peek().kind != "end":
            if not depth and self._ends():
                return
            token = self._take()
            depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
            if inside and not depth:
                return


def _unquote(written: str) -> str:
    if not written.startswith('"'):
        return written
    try:
        return str(json.loads(written, strict=False))
    except ValueError:  # an escape of HCL's own, or quotes within ${...}
        return written[1:-1].replace('\\"', '"')


def _list_known(body: Node) -> dict[str, Node]:
    """`variable "x" { default = v }` and `locals { x = v }` -> var.x and local.x."""
    known: dict[str, Node] = {}
    for key, block in iterate_items(body):
        if key == "locals":
            known |= {f"local.{name}": value for name, value in iterate_items(block)}
        elif key == "variable":
            said = ((name, get_node(about, "default")) for name, about in iterate_items(block))
            known |= {f"var.{name}": value for name, value in said if value is not None}
    return known


def _fill(node: Node, known: dict[str, Node], busy: dict[int, bool]) -> Node:
    """Put what the text itself says in place of references; any other is a template.

    Each node is filled once: `busy` says of a node that was met whether it is still being filled.
    """
    if isinstance(node, yaml.ScalarNode):
        whole = REFERENCE.fullmatch(node.value)
        said = known.get(whole[1]) if whole is not None else None
        # `local.a` within `local.a` has no value
        if said is None or said is node or busy.get(id(said)):
            return _fill_text(node, known)
        left = {name: value for name, value in known.items() if value is not said}
        return _fill(said, left if isinstance(said, yaml.ScalarNode) else known, busy)
    if id(node) in busy:
        return node
    busy[id(node)] = True
    if isinstance(node, yaml.MappingNode):
        node.value = [(key, _fill(value, known, busy)) for key, value in node.value]
    else:
        node.value = [_fill(child, known, busy) for child in node.value]
    busy[id(node)] = False
    return node


def _fill_text(node: yaml.ScalarNode, known: dict[str, Node]) -> yaml.ScalarNode:
    def write(found: re.Match[str]) -> str:
        said = known.get(found[1])
        plain = isinstance(said, yaml.ScalarNode) and "${" not in said.value
        return str(said.value) if said is not None and plain else f"{{{{ {found[1]} }}}}"

    text = REFERENCE.sub(write, node.value)[:MAX_TEXT]
    # a script's own ${NAME} is the shell's, and $${NAME} is how HCL writes it
    text = text.replace("$${", "${") if node.style == "|" else OTHER.sub(OPEN, text)
    return yaml.ScalarNode(node.tag, text, node.start_mark, node.end_mark, style=node.style)


def _make_scalar(text: str, line: int, tag: str = TEXT, style: str | None = None) -> yaml.ScalarNode:
    return yaml.ScalarNode(tag, text, _mark(line), _mark(line), style=style)


def _make_list(values: list[Node], line: int) -> yaml.SequenceNode:
    return yaml.SequenceNode(LIST, values, _mark(line), _mark(line))


def _make_map(entries: list[tuple[Node, Node]], line: int) -> yaml.MappingNode:
    return yaml.MappingNode(MAP, entries, _mark(line), _mark(line))


def _mark(line: int) -> yaml.Mark:
    return yaml.Mark("", 0, line - 1, 0, None, 0)
