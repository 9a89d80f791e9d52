"""Evaluate constant expressions of foreign source where that is certain, and return UNKNOWN where it is not.

Understands what engines write in parser code: literals, names through imports, `A + ["x"]`, `[*A, "x"]`,
`list(D.keys())`, `sorted(...)`, `get_args(Literal[...])`, enum members, one-line comprehensions over them, and
package functions that only return such an expression. An UNKNOWN part makes the whole UNKNOWN: never guess.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lab.snapshot.source import FunctionNode, Module, WheelSource, absolute_name

DEPTH = 24  # nested names and calls; ends recursion through self-referring code


class UnknownValue:
    """A value that could not be read. Falsy on purpose: `value or fallback` reads well."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = UnknownValue()


@dataclass(frozen=True, eq=False)
class ClassRef:
    """A class of the package, by its definition."""

    module: Module
    node: ast.ClassDef


@dataclass(frozen=True)
class EnumMember:
    """One enum member."""

    name: str
    value: Any


@dataclass(frozen=True, eq=False)
class Scope:
    """The context of an expression: its package, its module and its local names."""

    package: WheelSource
    module: Module
    local: Mapping[str, Any] = field(default_factory=dict)
    depth: int = DEPTH

    def deeper(self) -> Scope:
        return replace(self, depth=self.depth - 1)


def evaluate_node(node: ast.AST | None, scope: Scope) -> Any:  # noqa: PLR0912 -- a flat table of node types
    """Return the value of an expression, or UNKNOWN."""
    if node is None or scope.depth <= 0:
        return UNKNOWN
    inner = scope.deeper()
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List() | ast.Tuple() | ast.Set():
            return _evaluate_sequence(node, inner)
        case ast.Dict():
            return _evaluate_mapping(node, inner)
        case ast.Name(id=name):
            return _evaluate_name(name, inner)
        case ast.Attribute():
            return _evaluate_attribute(node, inner)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            return _flatten_literal(
                evaluate_node(choices if isinstance(choices, ast.Tuple) else ast.Tuple([choices]), inner)
            )
        case ast.Subscript():
            return _evaluate_subscript(node, inner)
        case ast.BinOp(op=ast.Add()):
            return _add_values(evaluate_node(node.left, inner), evaluate_node(node.right, inner))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = evaluate_node(operand, inner)
            return -value if isinstance(value, int | float) else UNKNOWN
        case ast.ListComp() | ast.GeneratorExp() | ast.SetComp():
            return _evaluate_comprehension(node, inner)
        case ast.Call():
            return _evaluate_call(node, inner)
        case _:
            return UNKNOWN


def list_members(ref: ClassRef, scope: Scope) -> list[EnumMember]:
    """Return an enum's members in order, without private names and methods."""
    here = replace(scope, module=ref.module, local={})
    return [
        EnumMember(target.id, evaluate_node(node.value, here))
        for node in ref.node.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and not target.id.startswith("_")
    ]


def is_enum(ref: ClassRef) -> bool:
    return any("Enum" in ast.unparse(base) for base in ref.node.bases)


def resolve_binding(package: WheelSource, module: Module, node: ast.AST, scope: Scope) -> Any:
    """Return the value behind a binding node found in `module`."""
    here = replace(scope, module=module, local={})
    match node:
        case ast.ClassDef():
            return ClassRef(module, node)
        case ast.Assign(value=value):
            return evaluate_node(value, here)
        case ast.AnnAssign(value=value) if value is not None:
            return evaluate_node(value, here)
        case ast.Module():
            return module
        case ast.Import(names=names):
            return package.module(names[0].name) or UNKNOWN
        case ast.FunctionDef():
            return node
        case _:
            return UNKNOWN


def _evaluate_name(name: str, scope: Scope) -> Any:
    if name in scope.local:
        return scope.local[name]
    found = scope.package.find(scope.module, name)
    return resolve_binding(scope.package, *found, scope) if found else UNKNOWN


def _evaluate_sequence(node: ast.List | ast.Tuple | ast.Set, scope: Scope) -> Any:
    out: list[Any] = []
    for element in node.elts:
        if isinstance(element, ast.Starred):
            # an unreadable `*part` makes the whole unknown: a list of choices that lacks some would refuse right values
            out.extend(_iterate_value(evaluate_node(element.value, scope), scope) or [UNKNOWN])
        else:
            out.append(evaluate_node(element, scope))
    if any(value is UNKNOWN for value in out):
        return UNKNOWN
    return tuple(out) if isinstance(node, ast.Tuple) else out


def _flatten_literal(values: Any) -> Any:
    """Replace a Literal inside a Literal by its values."""
    if values is UNKNOWN:
        return UNKNOWN
    return tuple(v for entry in values for v in (entry if isinstance(entry, tuple | list) else (entry,)))


def _evaluate_mapping(node: ast.Dict, scope: Scope) -> Any:
    """Evaluate a dict. Its keys must be known; an UNKNOWN value (class, lambda) stays in place."""
    out: dict[Any, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        known = evaluate_node(value, scope)
        if key is None:
            if not isinstance(known, dict):
                return UNKNOWN
            out |= known
        else:
            name = evaluate_node(key, scope)
            if name is UNKNOWN:
                return UNKNOWN
            out[name] = known
    return out


def _evaluate_attribute(node: ast.Attribute, scope: Scope) -> Any:
    owner = evaluate_node(node.value, scope)
    if isinstance(owner, Module):
        found = scope.package.find(owner, node.attr)
        return resolve_binding(scope.package, *found, scope) if found else UNKNOWN
    if isinstance(owner, EnumMember):
        return {"name": owner.name, "value": owner.value}.get(node.attr, UNKNOWN)
    if isinstance(owner, ClassRef):
        return _class_attribute(owner, node.attr, scope)
    return UNKNOWN


def _class_attribute(ref: ClassRef, name: str, scope: Scope) -> Any:
    # before attributes: to an enum they are members, with a name and a value
    if is_enum(ref):
        return next((m for m in list_members(ref, scope) if m.name == name), UNKNOWN)
    here = replace(scope, module=ref.module, local=_class_constants(ref))
    for node in ref.node.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                return evaluate_node(value, here)
            case ast.AnnAssign(target=ast.Name(id=found), value=value) if found == name:
                return evaluate_node(value, here)
            case _:
                continue
    return UNKNOWN


def _class_constants(ref: ClassRef) -> dict[str, Any]:
    """Return literal attributes, which later attributes of the same body may name: `ALL = [FULL, DISABLED]`."""
    return {
        target.id: node.value.value
        for node in ref.node.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _evaluate_subscript(node: ast.Subscript, scope: Scope) -> Any:
    owner, key = evaluate_node(node.value, scope), evaluate_node(node.slice, scope)
    if isinstance(owner, dict | list | tuple) and key is not UNKNOWN:
        try:
            return owner[key]
        except (KeyError, IndexError, TypeError):
            return UNKNOWN
    return UNKNOWN


def _add_values(left: Any, right: Any) -> Any:
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return [*left, *right]
    return left + right if isinstance(left, str) and isinstance(right, str) else UNKNOWN


def _evaluate_comprehension(node: ast.ListComp | ast.GeneratorExp | ast.SetComp, scope: Scope) -> Any:
    # a filter decides which values there are, and its condition would have to be followed
    if len(node.generators) != 1 or node.generators[0].ifs:
        return UNKNOWN
    loop = node.generators[0]
    values = _iterate_value(evaluate_node(loop.iter, scope), scope)
    if values is None or not isinstance(loop.target, ast.Name):
        return UNKNOWN
    out = [evaluate_node(node.elt, replace(scope, local={**scope.local, loop.target.id: v})) for v in values]
    return UNKNOWN if any(value is UNKNOWN for value in out) else out


def _iterate_value(value: Any, scope: Scope) -> list[Any] | None:
    """Return the values that a loop would yield; None when they are not known."""
    if isinstance(value, ClassRef) and is_enum(value):
        return list(list_members(value, scope))
    if isinstance(value, dict | list | tuple | set | frozenset):
        return list(value)
    return None


def _evaluate_call(node: ast.Call, scope: Scope) -> Any:
    arguments = [evaluate_node(argument, scope) for argument in node.args]
    function = node.func.value if isinstance(node.func, ast.Subscript) else node.func  # OrderedDict[str, str](...)
    match function:
        case ast.Name(id="list" | "tuple" | "set" | "frozenset" | "sorted" | "get_args" as name) if arguments:
            values = _iterate_value(arguments[0], scope)
            return UNKNOWN if values is None else sorted(values, key=str) if name == "sorted" else values
        case ast.Attribute(value=owner, attr="keys" | "values" | "items" as method):
            return _view_mapping(evaluate_node(owner, scope), method)
        case ast.Attribute(value=owner, attr="lower" | "upper" as method):
            text = evaluate_node(owner, scope)
            return getattr(text, method)() if isinstance(text, str) else UNKNOWN
        case ast.Name(id="OrderedDict" | "dict") if arguments and isinstance(arguments[0], list | tuple):
            return _pair_values(arguments[0])
        # only without arguments: what a function makes of them cannot be read off its last return
        case ast.Name(id=name) if not arguments and not node.keywords:
            return _evaluate_return(evaluate_node(function, scope), scope, name)
        case _:
            return UNKNOWN


def _view_mapping(owner: Any, method: str) -> Any:
    if not isinstance(owner, dict):
        return UNKNOWN
    return list(getattr(owner, method)())


def _pair_values(values: list[Any] | tuple[Any, ...]) -> Any:
    return dict(values) if all(isinstance(v, tuple | list) and len(v) == 2 for v in values) else UNKNOWN


def _evaluate_return(function: Any, scope: Scope, name: str) -> Any:
    """Evaluate the last `return` of a package function without arguments, with its own imports in scope."""
    found = scope.package.find(scope.module, name)
    if not isinstance(function, ast.FunctionDef) or found is None:
        return UNKNOWN
    here = replace(scope, module=found[0], local=dict(_local_imports(function, found[0], scope)))
    # the last statement: earlier returns stand in branches
    last = function.body[-1]
    return evaluate_node(last.value, here) if isinstance(last, ast.Return) else UNKNOWN


def _local_imports(function: FunctionNode, module: Module, scope: Scope) -> Iterator[tuple[str, Any]]:
    for node in ast.walk(function):
        if isinstance(node, ast.ImportFrom):
            target = scope.package.module(absolute_name(module, node))
            for alias in node.names:
                found = scope.package.find(target, alias.name) if target else None
                if found:
                    yield alias.asname or alias.name, resolve_binding(scope.package, *found, scope)
