"""Read SGLang's flags from 0.5.17 on: fields annotated `A[type, Arg(...)]` become flags (arg_groups/arg_utils.py).

A field with neither `Arg(...)` nor a bare help string has no flag. From 0.5.23 the fields live in namespace classes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from lab.snapshot.evaluate import ClassRef, Scope
from lab.snapshot.hints import Hint, RecordField, default_text, flatten_annotation, record_fields

Call = tuple[tuple[str, ...], dict[str, ast.expr | Any]]
SCALARS = ("int", "float", "str")


def namespace_classes(scope: Scope, folder: str) -> Iterator[ClassRef]:
    """Yield the classes of the field modules that have `_NS_PATH`: their fields are ServerArgs' fields."""
    for name in scope.package.names(folder):
        module = scope.package.module(name)
        for node in module.tree.body if module else ():
            # the mark of a namespace of fields; helper classes of the same folder declare no flag
            if isinstance(node, ast.ClassDef) and "_NS_PATH" in ast.unparse(node):
                assert module is not None
                yield ClassRef(module, node)


def list_calls(ref: ClassRef, scope: Scope) -> Iterator[Call]:
    """Yield for each annotated field its equivalent `add_argument` call: option strings and keyword arguments."""
    for field in record_fields(ref, scope):
        metadata = _read_metadata(field.annotation)
        if metadata is not None and not _is_true(metadata.get("no_cli")):
            yield _make_call(field, metadata, Scope(scope.package, field.module))


def _read_metadata(annotation: ast.expr) -> dict[str, ast.expr] | None:
    """Return the keyword arguments of `Arg(...)`, or just the help text; None when the field declares no flag."""
    match annotation:
        case ast.Subscript(value=ast.Name(id="A" | "Annotated"), slice=ast.Tuple(elts=[_, *extras])):
            for extra in extras:
                if isinstance(extra, ast.Call) and ast.unparse(extra.func) == "Arg":
                    return {k.arg: k.value for k in extra.keywords if k.arg}
                if isinstance(extra, ast.Constant | ast.JoinedStr | ast.BinOp):
                    return {"help": extra}
    return None


def _make_call(field: RecordField, metadata: dict[str, ast.expr], scope: Scope) -> Call:
    name = _read_text(metadata.get("cli_name")) or "--" + field.name.replace("_", "-")
    options = (name, *_read_texts(metadata.get("aliases")))
    keywords: dict[str, ast.expr | Any] = {
        "dest": field.name,
        "default_text": default_text(field.default),
        **{key: metadata[key] for key in ("help", "choices", "nargs") if key in metadata},
    }
    hints = [hint for hint in flatten_annotation(field.annotation, scope) if hint.kind != "None"]
    if "action" in metadata:
        keywords["action"] = metadata["action"]
        keywords |= _read_extra(metadata.get("action_kwargs"))
    else:
        keywords |= _by_type(hints, metadata)
    # a field without a default must be given; a switch has one by its action
    required = field.default is None and "action" not in keywords and not _is_false(metadata.get("required"))
    return options, keywords | {"required": required}


def _by_type(hints: list[Hint], metadata: dict[str, ast.expr]) -> dict[str, Any]:
    # a union of two types is given as text and told apart later, by the release itself
    first = hints[0] if len(hints) == 1 else Hint("str")
    if first.kind == "literal":
        # choices that are written out win over those of the Literal
        closed = {} if "choices" in metadata else {"choices": list(first.values)}
        return {"type": metadata.get("type_parser", type(first.values[0]).__name__), **closed}
    if first.kind == "list" and "type_parser" not in metadata:
        element = first.element[0].kind if len(first.element) == 1 else "str"
        nargs = {} if "nargs" in metadata else {"nargs": "+"}
        # a list of lists has no form on a command line: argparse gets words
        return {"type": element if element in SCALARS else "str", **nargs}
    if first.kind == "bool":
        return {"action": "store_true"}
    return {"type": metadata.get("type_parser", first.kind if first.kind in SCALARS else "str")}


def _read_extra(node: ast.expr | None) -> dict[str, ast.expr]:
    if not isinstance(node, ast.Dict):
        return {}
    pairs = zip(node.keys, node.values, strict=True)
    return {str(key.value): value for key, value in pairs if isinstance(key, ast.Constant)}


def _read_text(node: ast.expr | None) -> str:
    return str(node.value) if isinstance(node, ast.Constant) and node.value is not None else ""


def _read_texts(node: ast.expr | None) -> tuple[str, ...]:
    return tuple(_read_text(e) for e in node.elts) if isinstance(node, ast.List | ast.Tuple) else ()


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
