"""Shell variables of one file: what an expansion stands for by its own assignments. What is set elsewhere is a hole."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from matrix.checking.words import NAME, RawWord, WordPart, split_statements

MAX_WORD_CHARACTERS: Final = 100_000
MAX_WORDS: Final = 10_000
NUMBER: Final = re.compile(r"-?\d{1,5}", re.ASCII)
SUM: Final = re.compile(r"[\d\s()+*/%-]{1,80}", re.ASCII)  # no name left, and nothing that a shell alone knows
# `$(cat <<'EOF' ... EOF)`: with variables in it, it is known only where the quotes keep them as they are.
DOCUMENT: Final = re.compile(
    r"\s*cat\s*<<-?\s*(?P<quote>['\"]?)(?P<mark>\w+)(?P=quote)[ \t]*\n(?P<body>[^$`]*?)^[ \t]*(?P=mark)\s*",
    re.DOTALL | re.M,
)
EXPRESSION: Final = re.compile(
    r"(?P<name>[A-Za-z_]\w*|[@*#?$!0-9-])(?P<index>\[[^\]]*\])?(?P<operator>:?[-+=?])?(?P<word>.*)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Word:
    """One word as the command gets it. `holes`: expansions that nothing in the file explains; they stand as `$NAME`."""

    text: str
    line: int = 0
    holes: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        return not self.holes


@dataclass(slots=True)
class Variables:
    """Assigned so far. An array is a tuple of words; `exported` names reach the command's environment."""

    values: dict[str, tuple[Word, ...]] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)

    def assign(self, name: str, value: tuple[Word, ...], *, export: bool = False) -> None:
        self.values[name] = value
        if export:
            self.exported.add(name)

    def append(self, name: str, value: tuple[Word, ...], *, array: bool) -> None:
        """`NAME+=value`: one more word of an array, or more text of a scalar."""
        before = self.values.get(name, ())
        if array or len(before) > 1:
            self.values[name] = (*before, *value)[:MAX_WORDS]
        else:
            self.values[name] = (_join_words([*before, *value], ""),)

    def environment(self) -> dict[str, Word]:
        """Return the exported names with their values."""
        return {n: _join_words(self.values[n], " ") for n in sorted(self.exported) if n in self.values}


def expand_word(raw: RawWord, variables: Variables) -> tuple[Word, ...]:
    """Expand one written word into words: none, one, or several where the shell splits an unquoted expansion."""
    made: list[Word] = []
    text, open_word = "", raw.quoted
    holes: list[str] = []
    emptied = False  # "${ARRAY[@]}" of an empty array is no word, where "$EMPTY" is an empty one
    for part in raw.parts:
        if part.kind == "text":
            text, open_word = text + part.text, open_word or bool(part.text) or part.quoted
            continue
        pieces = _pieces(part, variables, raw.line)
        emptied = emptied or (part.quoted and not pieces)
        for index, piece in enumerate(pieces):
            if index:
                made.append(Word(text, raw.line, tuple(holes)))
                text, holes = "", []
            text, holes = (text + piece.text)[:MAX_WORD_CHARACTERS], [*holes, *piece.holes]
            open_word = True
        if len(made) > MAX_WORDS:
            break
    if open_word and not (emptied and not text and not made):
        made.append(Word(text, raw.line, tuple(holes)))
    return tuple(made)


def _pieces(part: WordPart, variables: Variables, line: int) -> tuple[Word, ...]:
    """Return the words of one expansion; several only where the shell would split them."""
    if part.kind == "arithmetic" and (number := compute_sum(part.text, variables)) is not None:
        return (Word(str(number), line),)
    if part.kind == "command" and (document := DOCUMENT.fullmatch(part.text)) is not None:
        said = Word(document["body"].rstrip("\n"), line)
        return (said,) if part.quoted else tuple(Word(text, line) for text in said.text.split())
    if part.kind != "variable":
        first, *more = part.text[:80].split() or [""]  # without blanks: a value that nobody knows is one word
        return (Word(f"$({first}{'...' if more else ''})", line, ("$(...)",)),)
    found = EXPRESSION.fullmatch(part.text)
    if found is None or (found["word"] and not found["operator"]):
        return (Word(f"${{{part.text}}}", line, (part.text,)),)
    values = variables.values.get(found["name"])
    empty = values is not None and not any(v.text for v in values)
    if found["operator"] in (":-", ":=", "-", "=") and (values is None or (empty and found["operator"][0] == ":")):
        values = _split_default(found["word"], variables, line)
    elif found["operator"] in (":+", "+"):
        values = _split_default(found["word"], variables, line) if values is not None and not empty else ()
    if values is None:
        return (Word(f"${found['name']}", line, (found["name"],)),)
    every = found["name"] in ("@", "*") or found["index"] in ("[@]", "[*]")
    if found["index"] and not every:
        if (place := NUMBER.fullmatch(found["index"][1:-1])) is None:
            return (Word(f"${{{part.text}}}", line, (part.text,)),)
        at = int(place[0])
        values = values[at : at + 1 or None] if at >= -len(values) else ()
    if part.quoted:
        return (
            values
            if every and found["index"] != "[*]"
            else (_join_words(values, " " if every else "", first=not every),)
        )
    words = values if every else values[:1]
    return tuple(Word(text, w.line, w.holes) for w in words for text in w.text.split())


def assign_defaults(raws: Iterable[RawWord], variables: Variables) -> None:
    """`: "${DCP:=3}"`: an expansion that assigns, in whatever word it stands."""
    for raw in raws:
        for part in raw.parts:
            found = EXPRESSION.fullmatch(part.text) if part.kind == "variable" else None
            if found is None or found["operator"] not in (":=", "=") or NAME.fullmatch(found["name"]) is None:
                continue
            values = variables.values.get(found["name"])
            if values is None or (found["operator"] == ":=" and not any(v.text for v in values)):
                variables.assign(found["name"], _split_default(found["word"], variables, raw.line))


def compute_sum(text: str, variables: Variables) -> int | None:
    """Compute `TP * 2` of `$((TP * 2))` in whole numbers, as a shell does; None where a name or a sign is not known."""

    def read(found: re.Match[str]) -> str:
        value = variables.values.get(found[1])
        return value[0].text if value and value[0].known and NUMBER.fullmatch(value[0].text) else "?"

    plain = re.sub(r"\$?\{?([A-Za-z_]\w*)\}?", read, text).strip()
    if not SUM.fullmatch(plain) or re.search(r"\*\*|//|\b0\d", plain):
        return None
    try:
        return _compute(ast.parse(plain, mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError):
        return None


def _compute(node: ast.expr) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.UnaryOp):
        return _compute(node.operand) * (-1 if isinstance(node.op, ast.USub) else 1)
    if not isinstance(node, ast.BinOp):
        raise ValueError("no sum")
    left, right = _compute(node.left), _compute(node.right)
    whole = abs(left) // abs(right) if isinstance(node.op, ast.Div | ast.Mod) else 0  # a shell rounds towards 0
    whole = whole if (left < 0) == (right < 0) else -whole
    match node.op:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return whole
        case _:
            return left - whole * right


def _split_default(text: str, variables: Variables, line: int) -> tuple[Word, ...]:
    statements, _ = split_statements(text, "", line)
    words = [w for s in statements[:1] for raw in s.words for w in expand_word(raw, variables)]
    return (_join_words(words, " "),) if words else (Word("", line),)


def _join_words(words: Iterable[Word], between: str, *, first: bool = False) -> Word:
    chosen = list(words)[:1] if first else list(words)
    text = between.join(w.text for w in chosen)[:MAX_WORD_CHARACTERS]
    return Word(text, chosen[0].line if chosen else 0, tuple(h for w in chosen for h in w.holes))


def split_assignment(raw: RawWord) -> tuple[str, bool, RawWord] | None:
    """(name, appends, value) of `NAME=value` and `NAME+=value`; None for any other word."""
    head = raw.parts[0] if raw.parts else None
    if head is None or head.kind != "text" or head.quoted or "=" not in head.text:
        return None
    left, _, rest = head.text.partition("=")
    appends = left.endswith("+")
    name = left.removesuffix("+")
    if NAME.fullmatch(name) is None:
        return None
    return name, appends, RawWord((WordPart("text", rest), *raw.parts[1:]), raw.line, raw.quoted)


def array_words(raw: RawWord, variables: Variables, name: str) -> tuple[Word, ...] | None:
    """Return the words of `NAME=(...)`; None if the value is no array."""
    parts = [p for p in raw.parts if p.kind != "text" or p.text]
    if len(parts) != 1 or parts[0].kind != "array":
        return None
    statements, _ = split_statements(parts[0].text, name, raw.line)
    return tuple(w for s in statements for r in s.words for w in expand_word(r, variables))


def words_of(texts: Iterable[str], line: int = 0) -> tuple[Word, ...]:
    """Ready words, e.g. those of a JSON list or of this process's own command line."""
    return tuple(Word(text, line) for text in texts)


def as_words(environment: Mapping[str, str]) -> dict[str, Word]:
    return {name: Word(value) for name, value in environment.items()}
