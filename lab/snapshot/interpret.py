"""Follow one function of foreign source for one question: this GPU, this KV dtype, everything else by default.

Only what decides is understood: branches over known values, assignments, dicts that collect a decision, lists that are
put together. A branch over anything unknown ends the question with `Undecided`, which names the condition: never guess.
Nothing is executed.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lab.snapshot.evaluate import UNKNOWN, Scope, evaluate_node
from lab.snapshot.source import FunctionNode

OTHER_PLATFORM: Final = re.compile(r"_?is_(hip|rocm|npu|xpu|musa|cpu|mps|hpu)(_available)?")
COMPARE: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}


class Undecided(Exception):
    """The deciding value cannot be known statically; the text is the condition from the source."""


class Refused(Exception):
    """The release raises for this question; the text is the constant part of its message."""


@dataclass(frozen=True)
class Symbol:
    """A name without a value, e.g. a member of an enum that needs no evaluation."""

    name: str


@dataclass
class InterpretedNames:
    """The known values by the text of an expression (`view.kv_cache_dtype`), and the known functions by name."""

    values: Mapping[str, Any]
    calls: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def answer_function(function: FunctionNode, question: InterpretedNames, scope: Scope) -> tuple[Any, dict[str, Any]]:
    """Return the function's result, and the values of its names at that point (attributes by their text, `self.x`).

    Raises:
        Undecided: a branch depends on something that is not known.
        Refused: it raises, or an assertion fails.
    """
    return follow_statements(function.body, question, scope)


def follow_statements(body: Sequence[ast.stmt], question: InterpretedNames, scope: Scope) -> tuple[Any, dict[str, Any]]:
    """Return what these statements return, and the values of their names; raises as `answer` does."""
    run = _Interpretation(question, scope)
    try:
        run.run_body(body)
    except _Return as done:
        return done.value, run.local
    return None, run.local


class _Interpretation:
    def __init__(self, question: InterpretedNames, scope: Scope) -> None:
        self.question, self.scope = question, scope
        self.local: dict[str, Any] = {}

    def run_body(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            self.run_statement(statement)

    def run_statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                found = self.find_value(value)
                for target in targets:
                    self.store_value(target, found)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self.store_value(target, self.find_value(value))
            case ast.AugAssign():
                self.extend_target(node)
            case ast.If(test=test, body=body, orelse=orelse):
                self.run_body(body if self.decide_test(test) else orelse)
            case ast.Return(value=value):
                raise _Return(self.find_value(value) if value is not None else None)
            case ast.Raise(exc=error):
                raise Refused(_read_words(error))
            case ast.Assert(test=test, msg=message):
                if not self.decide_test(test):
                    raise Refused(_read_words(message))
            case ast.Expr(value=ast.Call() as call):
                self.follow_effect(call)
            # the happy path: an except branch is for libraries that fail, and none runs here
            case ast.With(body=body) | ast.Try(body=body):
                self.run_body(body)
            case _:
                return  # imports, docstrings; a loop that decides leaves its names unknown

    def extend_target(self, node: ast.AugAssign) -> None:
        """Apply `names += more` to lists; anything else leaves the name unknown."""
        before, more = self.find_value(node.target), self.find_value(node.value)
        lists = isinstance(node.op, ast.Add) and isinstance(before, list) and isinstance(more, list)
        self.store_value(node.target, [*before, *more] if lists else UNKNOWN)

    def decide_test(self, test: ast.expr) -> bool:
        found = self.find_value(test)
        # where it matters only: an unknown value that no branch depends on ends nothing
        if found is UNKNOWN:
            raise Undecided(ast.unparse(test)[:120])
        return bool(found)

    def store_value(self, target: ast.expr, value: Any) -> None:
        match target:
            case ast.Tuple(elts=parts):
                values = (
                    value if isinstance(value, tuple | list) and len(value) == len(parts) else [UNKNOWN] * len(parts)
                )
                for part, one in zip(parts, values, strict=True):
                    self.store_value(part, one)
            case ast.Subscript(value=owner, slice=key):
                table, name = self.find_value(owner), self.find_value(key)
                if isinstance(table, dict) and name is not UNKNOWN:
                    table[name] = value
            case _:
                self.local[ast.unparse(target)] = value

    def follow_effect(self, call: ast.Call) -> None:
        """Apply a call whose value is unused: lists grow, everything else (logging) does nothing."""
        match call:
            case ast.Call(func=ast.Attribute(value=owner, attr="append" | "insert" | "extend" as method), args=args):
                target, values = self.find_value(owner), [self.find_value(a) for a in args]
                if isinstance(target, list):
                    getattr(target, method)(*values)
            case ast.Call(func=ast.Name(id=name)) if name in self.question.calls:
                self.question.calls[name](*(self.find_value(a) for a in call.args))
            case _:
                return

    def find_value(self, node: ast.expr) -> Any:
        text = ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call) else ""
        # local first: what the function has assigned replaces what the question said
        for known in (self.local, self.question.values):
            if text and text in known:
                return known[text]
        match node:
            case ast.Constant(value=value):
                return value
            case ast.BoolOp(op=op, values=parts):
                return self.evaluate_logic(parts, stop=isinstance(op, ast.Or))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                found = self.find_value(operand)
                return UNKNOWN if found is UNKNOWN else not found
            case ast.Compare():
                return self.evaluate_comparison(node)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.find_value(body if self.decide_test(test) else orelse)
            case ast.Call():
                return self.evaluate_call(node)
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                return self.evaluate_sequence(node, parts)
            case ast.Dict(keys=keys, values=values):
                return {
                    self.find_value(k): self.find_value(v) for k, v in zip(keys, values, strict=True) if k is not None
                }
            case ast.Attribute(attr=name):
                return self.evaluate_attribute(node, name)
            case _:
                return evaluate_node(node, self.scope)

    def evaluate_logic(self, parts: Sequence[ast.expr], *, stop: bool) -> Any:
        """Evaluate `and` and `or` over three values: one part may settle it despite unknown others."""
        found = [self.find_value(part) for part in parts]
        if any(value is not UNKNOWN and bool(value) is stop for value in found):
            return stop
        return UNKNOWN if any(value is UNKNOWN for value in found) else not stop

    def evaluate_comparison(self, node: ast.Compare) -> Any:
        left = self.find_value(node.left)
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.find_value(right_node)
            if left is UNKNOWN or right is UNKNOWN or type(op) not in COMPARE:
                return UNKNOWN
            if not COMPARE[type(op)](left, right):
                return False
            left = right
        return True

    def evaluate_sequence(self, node: ast.expr, parts: Sequence[ast.expr]) -> Any:
        out: list[Any] = []
        for part in parts:
            if isinstance(part, ast.Starred):
                more = self.find_value(part.value)
                out += more if isinstance(more, list | tuple) else [UNKNOWN]
            else:
                out.append(self.find_value(part))
        return tuple(out) if isinstance(node, ast.Tuple) else out

    def evaluate_attribute(self, node: ast.Attribute, name: str) -> Any:
        if OTHER_PLATFORM.fullmatch(name):
            return False
        found = evaluate_node(node, self.scope)
        # an enum's member is its name: comparing names is all that orders and branches need
        return Symbol(name) if found is UNKNOWN and name.isupper() else found

    def evaluate_call(self, node: ast.Call) -> Any:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in self.question.calls:
            return self.question.calls[name](*(self.find_value(a) for a in node.args))
        if OTHER_PLATFORM.fullmatch(name):
            return False
        match node:
            case ast.Call(func=ast.Name(id="bool"), args=[inner]):
                found = self.find_value(inner)
                return UNKNOWN if found is UNKNOWN else bool(found)
            case ast.Call(func=ast.Name(id="getattr"), args=[owner, ast.Constant(value=str(attr)), default]):
                return self.question.values.get(f"{ast.unparse(owner)}.{attr}", self.find_value(default))
            case ast.Call(func=ast.Attribute(value=owner, attr="startswith"), args=[prefix]):
                word, start = self.find_value(owner), self.find_value(prefix)
                return word.startswith(start) if isinstance(word, str) and isinstance(start, str) else UNKNOWN
            case ast.Call(func=ast.Attribute(value=owner, attr="get"), args=[key, default]):
                table = self.find_value(owner)
                return table.get(self.find_value(key), self.find_value(default)) if isinstance(table, dict) else UNKNOWN
            case _:
                return evaluate_node(node, self.scope)


def _read_words(node: ast.expr | None) -> str:
    """Return the constant words of an exception or message."""
    texts = (
        [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)] if node else []
    )
    return " ".join(" ".join(texts).split())[:160]
