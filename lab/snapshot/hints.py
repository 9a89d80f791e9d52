"""Flatten type annotations of foreign dataclasses, as a command-line generator reads them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from lab.snapshot.evaluate import UNKNOWN, ClassRef, Scope, evaluate_node, is_enum
from lab.snapshot.source import Module

BUILTIN = {"bool", "int", "float", "str", "dict", "None"}
SEQUENCES = {"list": "list", "List": "list", "tuple": "tuple", "Tuple": "tuple", "set": "set", "Set": "set"}
MAPPINGS = {"dict", "Dict", "Mapping"}
TRANSPARENT = {"Annotated", "A", "SkipValidation", "Required", "Final", "SerializeAsAny"}
UNIONS = {"Union", "Optional"}


@dataclass(frozen=True)
class Hint:
    """One alternative of a union. `kind`: bool int float str None literal list tuple set dict class enum other."""

    kind: str
    values: tuple[Any, ...] = ()  # of a literal
    element: tuple[Hint, ...] = ()  # of a sequence
    ref: ClassRef | None = None
    name: str = ""


def flatten_annotation(node: ast.AST | None, scope: Scope) -> tuple[Hint, ...]:
    """Return all alternatives of an annotation; follow aliases into the modules that define them."""
    inner = scope.deeper()
    if node is None or scope.depth <= 0:
        return (Hint("other"),)
    match node:
        case ast.Constant(value=None):
            return (Hint("None"),)
        case ast.Constant(value=str(text)):
            # a forward reference: under `from __future__ import annotations` any of them may be text
            return flatten_annotation(ast.parse(text, mode="eval").body, inner)
        case ast.BinOp(op=ast.BitOr()):
            return flatten_annotation(node.left, inner) + flatten_annotation(node.right, inner)
        case ast.Subscript(value=value, slice=inside):
            return _flatten_subscript(_last_name(value), inside, inner)
        case ast.Name(id=name) if name in BUILTIN:
            return (Hint(name),)
        case ast.Name(id=name) if name in SEQUENCES:
            return (Hint(SEQUENCES[name], element=(Hint("str"),)),)
        case ast.Name(id=name):
            return _flatten_name(name, inner)
        case ast.Attribute(attr=name):
            found = evaluate_node(node, inner)
            return (_classify_class(found),) if isinstance(found, ClassRef) else (Hint("other", name=name),)
        case _:
            return (Hint("other", name=ast.unparse(node)),)


def _flatten_subscript(name: str, inside: ast.expr, scope: Scope) -> tuple[Hint, ...]:
    parts = list(inside.elts) if isinstance(inside, ast.Tuple) else [inside]
    if name == "Literal":
        return _flatten_literal(parts, scope)
    if name in TRANSPARENT:
        return flatten_annotation(parts[0], scope)
    if name in UNIONS:
        hints = tuple(hint for part in parts for hint in flatten_annotation(part, scope))
        return (*hints, Hint("None")) if name == "Optional" else hints
    if name in SEQUENCES:
        # tuple[int, int] takes two words, tuple[int, ...] any number
        fixed = SEQUENCES[name] == "tuple" and not any(_is_ellipsis(part) for part in parts)
        return (
            Hint(SEQUENCES[name], element=flatten_annotation(parts[0], scope), values=tuple(parts) if fixed else ()),
        )
    return (Hint("dict"),) if name in MAPPINGS else (Hint("other", name=name),)


def _flatten_literal(parts: list[ast.expr], scope: Scope) -> tuple[Hint, ...]:
    values: list[Any] = []
    for part in parts:
        value = evaluate_node(part, scope)
        values += value if isinstance(value, list | tuple) else [value]
    if any(value is UNKNOWN for value in values):
        return (Hint("other", name="Literal"),)
    return (Hint("literal", values=tuple(values)),)


def _flatten_name(name: str, scope: Scope) -> tuple[Hint, ...]:
    found = scope.package.find(scope.module, name)
    if found is None:
        return (Hint("other", name=name),)
    module, node = found
    here = replace(scope, module=module, local={})
    match node:
        case ast.ClassDef():
            return (_classify_class(ClassRef(module, node)),)
        case ast.Assign(value=value) | ast.AnnAssign(value=value) if value is not None:
            return flatten_annotation(value, here)
        case _:
            return (Hint("other", name=name),)


def _classify_class(ref: ClassRef) -> Hint:
    if is_enum(ref):
        return Hint("enum", ref=ref, name=ref.node.name)
    if any(_last_name(base) == "dict" for base in ref.node.bases):
        return Hint("dict", name=ref.node.name)
    # vLLM's @config is a dataclass under another name
    record = any("config" in ast.unparse(d) or "dataclass" in ast.unparse(d) for d in ref.node.decorator_list)
    return Hint("class" if record else "other", ref=ref, name=ref.node.name)


@dataclass(frozen=True, eq=False)
class RecordField:
    """One annotated attribute of a record class, with the module whose names its annotation uses."""

    name: str
    annotation: ast.expr
    default: ast.expr | None
    module: Module


def record_fields(ref: ClassRef, scope: Scope) -> list[RecordField]:
    """Return fields in dataclass order: bases first, a redefinition keeps the first place."""
    found: dict[str, RecordField] = {}
    for base in ref.node.bases:
        target = evaluate_node(base, replace(scope.deeper(), module=ref.module, local={}))
        if isinstance(target, ClassRef):
            found |= {field.name: field for field in record_fields(target, scope.deeper())}
    # a dict keeps the first place of a name, which is dataclasses' own order
    found |= {field.name: field for field in _own_fields(ref)}
    return list(found.values())


def _own_fields(ref: ClassRef) -> Iterator[RecordField]:
    for node in ref.node.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                if "ClassVar" not in ast.unparse(annotation):
                    yield RecordField(name, annotation, value, ref.module)
            case _:
                continue


def default_text(node: ast.expr | None) -> str:
    """Return a default as a person would write it; unpack `Field(default=x)` and `field(default_factory=f)`."""
    if isinstance(node, ast.Call) and _last_name(node.func) in ("Field", "field"):
        for keyword in node.keywords:
            if keyword.arg in ("default", "default_factory"):
                text = ast.unparse(keyword.value)
                return text if keyword.arg == "default" else f"{text}()"
        return ast.unparse(node.args[0]) if node.args else ""
    return ast.unparse(node) if node is not None else ""


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis
