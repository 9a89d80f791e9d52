"""Architectures, model types and parser names that a release registers."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab.snapshot.evaluate import Scope, evaluate
from lab.snapshot.source import Module, Package


def entry_classes(package: Package, folder: str) -> set[str]:
    """SGLang: every model module exports `EntryClass = X` or `[X, Y]`; the class names are the architectures."""
    found: set[str] = set()
    for name in package.names(folder):
        text = package.files.get(name.replace(".", "/") + ".py", b"")
        module = package.module(name) if b"EntryClass" in text else None
        node = module.bindings.get("EntryClass") if module else None
        if isinstance(node, ast.Assign):
            found |= {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
    return found


def model_tables(module: Module, package: Package) -> set[str]:
    """vLLM: the keys of every `_..._MODELS` table, without the lists of what is no longer or never built in."""
    scope = Scope(package, module)
    found: set[str] = set()
    for name, node in module.bindings.items():
        if name.endswith("_MODELS") and not any(word in name for word in ("PREVIOUSLY", "OOT")):
            found |= set(_keys(node, scope))
    return found


def table_keys(package: Package, module_name: str, table: str) -> tuple[str, ...]:
    """Keys of one dict (parser registries, transformers' name mappings); empty when the module has none."""
    module = package.module(module_name)
    found = package.find(module, table) if module else None
    return tuple(_keys(found[1], Scope(package, found[0]))) if found else ()


def table_values(package: Package, module_name: str, table: str) -> tuple[str, ...]:
    """Values of one name-to-name dict, flattened where a value is a tuple of names."""
    module = package.module(module_name)
    found = package.find(module, table) if module else None
    value = evaluate(getattr(found[1], "value", None), Scope(package, found[0])) if found else None
    flat = [v for entry in (value or {}).values() for v in (entry if isinstance(entry, tuple | list) else (entry,))]
    return tuple(sorted({str(entry) for entry in flat}))


def decorated_names(package: Package, folder: str, decorator: str) -> set[str]:
    """Names given to a registering decorator: `@ToolParserManager.register_module("x")`."""
    found: set[str] = set()
    for name in package.names(folder):
        module = package.module(name)
        found |= set(_decorator_names(module, decorator)) if module else set()
    return found


def _decorator_names(module: Module, decorator: str) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(decorator):
            constants = (n for argument in node.args[:1] for n in ast.walk(argument))
            yield from (str(n.value) for n in constants if isinstance(n, ast.Constant))


def _keys(node: ast.AST, scope: Scope) -> Iterator[str]:
    value = evaluate(getattr(node, "value", None), scope)
    if isinstance(value, dict):
        yield from (str(key) for key in value)
