"""Collect flags from `add_argument` calls in foreign source, by walking the functions that register them.

A statement is either understood or skipped; a skipped one can only cost us a flag's detail, never invent one.
Tables of keyword arguments (vLLM's `cache_kwargs = get_kwargs(CacheConfig)`) are followed through assignments,
`del`, `+=` and `.remove()`, because that is how the releases adjust them.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lab.snapshot import annotated
from lab.snapshot.config_class import kwargs_of
from lab.snapshot.evaluate import UNKNOWN, ClassRef, Scope, evaluate_node
from lab.snapshot.flags import flag_of
from lab.snapshot.source import FunctionNode, Module, WheelSource, find_functions
from matrix.preflight.snapshot import Flag

FieldScopes = Callable[[ClassRef], Iterable[ClassRef]]


@dataclass(eq=False)
class Registrar:
    """Walks registration functions and collects what they register."""

    package: WheelSource
    inverse_prefixes: bool = False  # --enable-x also registers --disable-x (vLLM's EnableDisableAction)
    field_classes: FieldScopes = lambda ref: [ref]  # which classes hold a record's fields
    flags: list[Flag] = field(default_factory=list)

    def function(self, module: Module, name: str) -> None:
        """Walk a module-level function, e.g. `make_arg_parser`."""
        found = self.package.find(module, name)
        if found and isinstance(found[1], ast.FunctionDef):
            self._run(found[1], Scope(self.package, found[0]))

    def method(self, ref: ClassRef, name: str, scope: Scope | None = None) -> None:
        """Walk a method, looked up through the bases; `cls` is the class of the call."""
        owner = self._owner(ref, name)
        if owner is not None:
            local = {**(scope.local if scope else {}), "cls": ref}
            self._run(next(find_functions(owner.node, name)), Scope(self.package, owner.module, local))

    def calls_in(self, module: Module) -> None:
        """Walk every `add_argument` call of a module at any depth (small programs of our own)."""
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and _attribute_name(node) == "add_argument":
                self._add(node, Scope(self.package, module))

    def _owner(self, ref: ClassRef, name: str) -> ClassRef | None:
        if any(isinstance(n, ast.FunctionDef) and n.name == name for n in ref.node.body):
            return ref
        scope = Scope(self.package, ref.module)
        parents = (evaluate_node(base, scope) for base in ref.node.bases)
        owners = (self._owner(parent, name) for parent in parents if isinstance(parent, ClassRef))
        return next((owner for owner in owners if owner), None)

    def _run(self, function: FunctionNode, scope: Scope) -> None:
        scope = replace(scope, local=dict(scope.local))
        self._body(function.body, scope)

    def _body(self, body: Iterable[ast.stmt], scope: Scope) -> None:
        for node in body:
            self._statement(node, scope)

    def _statement(self, node: ast.stmt, scope: Scope) -> None:
        match node:
            case ast.Expr(value=ast.Call() as call):
                self._call(call, scope)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._assign(name, value, scope)
            case ast.Assign(targets=[ast.Subscript() as target], value=value):
                _store_value(target, value, scope)
            case ast.AugAssign(target=ast.Subscript() as target, op=ast.Add(), value=value):
                _extend_value(target, value, scope)
            case ast.Delete(targets=gone):
                for entry in gone:
                    _delete_row(entry, scope)
            case ast.If(body=body, orelse=orelse):
                # both branches: a flag that exists on some platform only is still a word that the parser may take
                self._body([*body, *orelse], scope)
            case ast.For(iter=ast.Call(func=ast.Attribute(value=ast.Name(id=table), attr="items"))):
                self._table(scope.local.get(table), scope)
            case _:
                return

    def _assign(self, name: str, value: ast.expr, scope: Scope) -> None:
        assert isinstance(scope.local, dict)
        if isinstance(value, ast.Call) and self._call(value, scope):
            return
        table = self._kwargs_table(value, scope)
        scope.local[name] = table if table is not None else evaluate_node(value, scope)

    def _kwargs_table(self, value: ast.expr, scope: Scope) -> dict[str, Any] | None:
        """Return the table of `get_kwargs(Class)`, or one row of it."""
        match value:
            case ast.Call(func=ast.Name(id="get_kwargs"), args=[argument]):
                ref = evaluate_node(argument, scope)
                # a copy: the release changes rows of one parser's table, and asks for the class again elsewhere
                return copy.deepcopy(kwargs_of(ref, scope)) if isinstance(ref, ClassRef) else {}
            case ast.Subscript(value=ast.Call() as call, slice=ast.Constant(value=key)):
                table = self._kwargs_table(call, scope)
                return table.get(str(key)) if table else None
            case _:
                return None

    def _call(self, call: ast.Call, scope: Scope) -> bool:
        """Return True when the call registers flags or adjusts a table."""
        match call.func:
            case ast.Attribute(attr="add_argument"):
                self._add(call, scope)
            case ast.Attribute(value=ast.Subscript() as target, attr="remove"):
                _remove_value(target, call.args[0], scope)
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=method):
                self._super(method, scope)
            case ast.Attribute(value=owner, attr="add_cli_args" | "_customize_cli_kwargs" as method):
                ref = evaluate_node(owner, scope)
                if isinstance(ref, ClassRef):
                    self.method(ref, method, scope)
            case ast.Name(id="add_cli_args_from_dataclass"):
                self._annotated(call, scope)
            case _:
                return False
        return True

    def _super(self, method: str, scope: Scope) -> None:
        ref = scope.local.get("cls")
        for base in ref.node.bases if isinstance(ref, ClassRef) else ():
            parent = evaluate_node(base, Scope(self.package, ref.module)) if isinstance(ref, ClassRef) else UNKNOWN
            if isinstance(parent, ClassRef):
                self.method(parent, method, scope)

    def _annotated(self, call: ast.Call, scope: Scope) -> None:
        found = evaluate_node(call.args[1], scope)
        ref = found if isinstance(found, ClassRef) else scope.local.get("cls")  # 0.5.23 rebinds the class name
        for part in self.field_classes(ref) if isinstance(ref, ClassRef) else ():
            here = Scope(self.package, part.module)
            for options, keywords in annotated.list_calls(part, here):
                self._register(options, keywords, here)

    def _add(self, call: ast.Call, scope: Scope) -> None:
        options = [evaluate_node(argument, scope) for argument in call.args if not isinstance(argument, ast.Starred)]
        # a computed name: no flag is better than one under a wrong name
        if not all(isinstance(option, str) for option in options):
            return
        keywords: dict[str, Any] = {}
        for keyword in call.keywords:
            if keyword.arg is not None:
                keywords[keyword.arg] = keyword.value
            else:
                table = evaluate_node(keyword.value, scope)
                keywords |= table if isinstance(table, dict) else {}
        self._register(tuple(options), keywords, scope)

    def _table(self, table: Any, scope: Scope) -> None:
        """Register one flag per row of a keyword table, as the release's loop does."""
        for name, keywords in table.items() if isinstance(table, dict) else ():
            extra = tuple(keywords.get("flags") or ())
            self._register((*extra, "--" + name.replace("_", "-")), keywords, scope)

    def _register(self, options: tuple[str, ...], keywords: Mapping[str, Any], scope: Scope) -> None:
        self.flags.append(flag_of(options, keywords, scope, inverse_prefixes=self.inverse_prefixes))


def _attribute_name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _find_row(target: ast.expr, scope: Scope) -> tuple[dict[Any, Any], Any] | None:
    """Return the table and key that a subscript target names."""
    if not isinstance(target, ast.Subscript):
        return None
    owner, key = evaluate_node(target.value, scope), evaluate_node(target.slice, scope)
    return (owner, key) if isinstance(owner, dict) and key is not UNKNOWN else None


def _store_value(target: ast.Subscript, value: ast.expr, scope: Scope) -> None:
    row = _find_row(target, scope)
    if row:
        # kept as source: they are callables, which flags.py knows by their text
        known = row[1] in ("type", "action")
        row[0][row[1]] = value if known else evaluate_node(value, scope)
        if row[1] == "default":
            row[0]["default_text"] = ast.unparse(value)


def _extend_value(target: ast.Subscript, value: ast.expr, scope: Scope) -> None:
    """Apply `table[flag]["choices"] += [...]`: an unreadable addition makes the choices unknown."""
    row = _find_row(target, scope)
    if row and row[1] != "help":
        more = evaluate_node(value, scope)
        old = row[0].get(row[1])
        row[0][row[1]] = [*old, *more] if isinstance(old, list) and isinstance(more, list) else UNKNOWN


def _remove_value(target: ast.Subscript, value: ast.expr, scope: Scope) -> None:
    row, gone = _find_row(target, scope), evaluate_node(value, scope)
    if row and isinstance(row[0].get(row[1]), list):
        row[0][row[1]] = [entry for entry in row[0][row[1]] if entry != gone]


def _delete_row(target: ast.expr, scope: Scope) -> None:
    row = _find_row(target, scope)
    if row:
        row[0].pop(row[1], None)
