"""Shell text -> statements of words, each with its line. Reads what a POSIX shell would read, and executes nothing.

Quotes, escapes, continuations, comments, here-documents, redirections, arrays and expansions are told apart; what an
expansion stands for is decided later (`matrix.checking.variables`). Text of any kind is read to its end: what a shell
would refuse becomes a problem with its line, never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from matrix.errors import Problem

MAX_CHARACTERS: Final = 1_000_000
BLANKS: Final = " \t\r"
OPERATORS: Final = ("&&", "||", ";;", ";", "|&", "|", "&", "(", ")")
REDIRECTION: Final = re.compile(r"\d*(?:<<<|<<-?|<>|<&|>>|>\||>&|&>>|&>|<|>)")
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SPECIAL: Final = frozenset("@*#?$!0123456789-")

Kind = Literal["text", "variable", "command", "array", "arithmetic"]


@dataclass(frozen=True, slots=True)
class WordPart:
    """A piece of a word: literal text, a variable's expression (`NAME`, `NAME:-default`), or the text of a command, an
    array `(...)` or a sum `$((...))`."""

    kind: Kind
    text: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class RawWord:
    """One word as written. `quoted`: any of it stood in quotes, so that an empty one counts."""

    parts: tuple[WordPart, ...]
    line: int
    quoted: bool = False

    @property
    def literal(self) -> str | None:
        """Its text where nothing is to be expanded."""
        return "".join(p.text for p in self.parts) if all(p.kind == "text" for p in self.parts) else None


@dataclass(slots=True)
class Redirection:
    """`> file`, or a here-document with its body (`quoted`: the shell expands nothing in it)."""

    operator: str
    target: RawWord
    body: str = ""
    body_line: int = 0
    quoted: bool = False


@dataclass(slots=True)
class Statement:
    """One simple command: words up to `;`, `&&`, `|` or the end of the line."""

    words: list[RawWord] = field(default_factory=list)
    redirections: list[Redirection] = field(default_factory=list)
    line: int = 0
    piped: bool = False  # what comes before wrote into it
    background: bool = False  # `&` ends it: what comes after runs at the same time


def split_statements(text: str, name: str, first_line: int = 1) -> tuple[list[Statement], list[Problem]]:
    """Split shell text into its simple commands, in order; `problems` name what a shell would not read."""
    scanner = _Scanner(text[:MAX_CHARACTERS], name, first_line)
    statements = [s for s in scanner.scan() if s.words or s.redirections]
    if len(text) > MAX_CHARACTERS:
        scanner.complain(f"longer than {MAX_CHARACTERS:,} characters: the rest was not read")
    return statements, scanner.problems


class _Scanner:
    def __init__(self, text: str, name: str, first_line: int) -> None:
        self.text, self.name, self.line = text, name, first_line
        self.at = 0
        self.problems: list[Problem] = []
        self.waiting: list[Redirection] = []  # here-documents whose bodies follow the line

    def complain(self, message: str, line: int = 0) -> None:
        self.problems.append(Problem(self.name, line or self.line, "", message))

    def scan(self) -> Iterator[Statement]:
        statement = Statement(line=self.line)
        while self.at < len(self.text):
            self._skip_blanks()
            if self.at >= len(self.text):
                break
            if self._ends_statement():
                operator = self._operator()
                statement.background = operator == "&"
                yield statement
                statement = Statement(line=self.line, piped=operator in ("|", "|&"))
            elif (found := REDIRECTION.match(self.text, self.at)) is not None:
                self._redirect(statement, found.group())
            else:
                statement.line = statement.line if statement.words else self.line
                statement.words.append(self._word())
        self._bodies()
        yield statement

    def _skip_blanks(self) -> None:
        while self.at < len(self.text):
            if self.text[self.at] in BLANKS:
                self.at += 1
            elif self.text.startswith(("\\\n", "\\\r\n"), self.at):
                self.at = self.text.index("\n", self.at) + 1
                self.line += 1
            elif self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                return

    def _ends_statement(self) -> bool:
        if self.text.startswith(("&>", "&>>"), self.at):
            return False
        return self.text[self.at] == "\n" or self.text.startswith(OPERATORS, self.at)

    def _operator(self) -> str:
        if self.text[self.at] == "\n":
            self.at += 1
            self.line += 1
            self._bodies()
            return "\n"
        found = next(o for o in OPERATORS if self.text.startswith(o, self.at))
        self.at += len(found)
        return found

    def _redirect(self, statement: Statement, operator: str) -> None:
        self.at += len(operator)
        self._skip_blanks()
        target = self._word() if self.at < len(self.text) and self.text[self.at] != "\n" else RawWord((), self.line)
        made = Redirection(operator.lstrip("0123456789"), target, quoted=target.quoted)
        statement.redirections.append(made)
        if made.operator in ("<<", "<<-"):
            self.waiting.append(made)

    def _bodies(self) -> None:
        """Read the here-documents that were announced on the line before."""
        for document in self.waiting:
            document.body_line = self.line
            ending = document.target.literal or "".join(p.text for p in document.target.parts)
            lines: list[str] = []
            while self.at < len(self.text):
                end = self.text.find("\n", self.at)
                line = self.text[self.at :] if end < 0 else self.text[self.at : end]
                self.at = len(self.text) if end < 0 else end + 1
                self.line += end >= 0
                bare = line.rstrip("\r")
                if (bare.lstrip("\t") if document.operator == "<<-" else bare) == ending:
                    break
                lines.append(line.lstrip("\t") if document.operator == "<<-" else line)
            else:
                self.complain(f"the here-document of line {document.target.line} never ends", document.target.line)
            document.body = "\n".join(lines)
        self.waiting.clear()

    def _word(self) -> RawWord:
        line, quoted = self.line, False
        parts: list[WordPart] = []
        while self.at < len(self.text):
            character = self.text[self.at]
            if character in BLANKS or character == "\n" or (self._ends_statement() and not self._array(parts)):
                break
            if character == "(":
                parts.append(WordPart("array", self._balanced("(", ")"), quoted=False))
            elif REDIRECTION.match(self.text, self.at) and character in "<>&":
                break
            elif character == "'":
                quoted = True
                parts.append(WordPart("text", self._single(), quoted=True))
            elif character == '"':
                quoted = True
                parts.extend(self._double())
            elif character == "\\":
                parts.append(self._escape())
            elif character in "$`":
                parts.append(self._expansion(quoted=False))
            else:
                parts.append(WordPart("text", self._plain()))
        return RawWord(tuple(parts), line, quoted)

    def _array(self, parts: list[WordPart]) -> bool:
        """`NAME=(`: a list of words follows, which is one value."""
        return bool(parts) and self.text[self.at] == "(" and parts[-1].kind == "text" and parts[-1].text.endswith("=")

    def _plain(self) -> str:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in " \t\r\n'\"\\$`;|&()<>":
            self.at += 1
        if self.at == start:  # a character that ends a word, where none began
            self.at += 1
        return self.text[start : self.at]

    def _single(self) -> str:
        start_line, start = self.line, self.at + 1
        end = self.text.find("'", start)
        if end < 0:
            self.complain("a quote ' is opened and never closed", start_line)
            end = len(self.text)
        self.at = end + 1
        found = self.text[start:end]
        self.line += found.count("\n")
        return found

    def _double(self) -> Iterator[WordPart]:
        opened, kept, made = self.line, [], []
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] != '"':
            character = self.text[self.at]
            if character == "\\" and self.at + 1 < len(self.text) and self.text[self.at + 1] in '$`"\\\n':
                if self.text[self.at + 1] == "\n":
                    self.line += 1
                else:
                    kept.append(self.text[self.at + 1])
                self.at += 2
            elif character in "$`":
                made += [WordPart("text", "".join(kept), quoted=True), self._expansion(quoted=True)]
                kept = []
            else:
                self.line += character == "\n"
                kept.append(character)
                self.at += 1
        if self.at >= len(self.text):
            self.complain('a quote " is opened and never closed', opened)
        self.at += 1
        return iter([*made, WordPart("text", "".join(kept), quoted=True)])

    def _escape(self) -> WordPart:
        if self.text.startswith(("\\\n", "\\\r\n"), self.at):
            self.at = self.text.index("\n", self.at) + 1
            self.line += 1
            return WordPart("text", "")
        found = self.text[self.at + 1 : self.at + 2]
        self.at += 2
        return WordPart("text", found, quoted=True)

    def _expansion(self, *, quoted: bool) -> WordPart:
        rest = self.text[self.at + 1 : self.at + 2]
        if self.text[self.at] == "`":
            end = self.text.find("`", self.at + 1)
            end = len(self.text) if end < 0 else end
            found = self.text[self.at + 1 : end]
            self.at, self.line = end + 1, self.line + found.count("\n")
            return WordPart("command", found, quoted)
        if rest == "'" and not quoted:  # $'...': an ANSI string
            self.at += 1
            return WordPart("text", self._single(), quoted=True)
        self.at += 1
        if rest == "(":
            found = self._balanced("(", ")")
            is_sum = found.startswith("(") and found.endswith(")")
            return WordPart("arithmetic", found[1:-1], quoted) if is_sum else WordPart("command", found, quoted)
        if rest == "{":
            return WordPart("variable", self._balanced("{", "}"), quoted)
        if (name := NAME.match(self.text, self.at)) is not None:
            self.at = name.end()
            return WordPart("variable", name.group(), quoted)
        if rest and rest in SPECIAL:
            self.at += 1
            return WordPart("variable", rest, quoted)
        return WordPart("text", "$", quoted)

    def _balanced(self, opening: str, closing: str) -> str:
        """Return the text between a pair of brackets, with quotes inside it respected."""
        start, depth, opened, quote = self.at + 1, 0, self.line, ""
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == "\n":
                self.line += 1
            if character == "\\":
                self.at += 1
                self.line += self.text[self.at : self.at + 1] == "\n"
            elif quote:
                quote = "" if character == quote else quote
            elif character in "'\"" and opening == "(":
                quote = character
            elif character == opening:
                depth += 1
            elif character == closing:
                depth -= 1
                if depth == 0:
                    self.at += 1
                    return self.text[start : self.at - 1]
            self.at += 1
        self.complain(f"{opening} is opened and never closed", opened)
        return self.text[start:]
