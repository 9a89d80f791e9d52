"""List the architectures, model types and parser names that a release registers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lab.snapshot.evaluate import ClassRef, Scope, evaluate_node
from lab.snapshot.source import Module, WheelSource

# The architectures whose modules and config keys are recorded one by one.
FAMILY = re.compile(r"GlmMoeDsa|Glm5|DeepseekV(32|4)|DeepSeekMTP|GlmMoeDsaMTP")


def entry_classes(package: WheelSource, folder: str) -> dict[str, str]:
    """Return architecture -> module for SGLang, whose model modules export `EntryClass = X` or `[X, Y]`."""
    found: dict[str, str] = {}
    for name in package.names(folder):
        text = package.files.get(name.replace(".", "/") + ".py", b"")
        # the bytes first: a parse costs, and most of a folder's files export no class
        module = package.module(name) if b"EntryClass" in text else None
        node = module.bindings.get("EntryClass") if module else None
        if isinstance(node, ast.Assign):
            found |= {n.id: name for n in ast.walk(node.value) if isinstance(n, ast.Name)}
    return found


def model_tables(module: Module, package: WheelSource, folder: str) -> dict[str, str]:
    """Return the rows of every `_..._MODELS` table of vLLM, without the lists of removed or external models.

    Architecture -> its module: `("deepseek_v2", "Class")` is a module beside the registry, a dotted name is whole.
    """
    scope = Scope(package, module)
    found: dict[str, str] = {}
    for name, node in module.bindings.items():
        # a model that was removed stands in a table of its own, only to be refused in better words
        if name.endswith("_MODELS") and not any(word in name for word in ("PREVIOUSLY", "OOT")):
            table = evaluate_node(getattr(node, "value", None), scope)
            found |= {str(k): _module_of(v, folder) for k, v in table.items()} if isinstance(table, dict) else {}
    return found


def select_family(registered: Mapping[str, str]) -> dict[str, str]:
    """Return the architectures of this project's model family."""
    return {name: module for name, module in sorted(registered.items()) if FAMILY.match(name) and module}


def _module_of(row: Any, folder: str) -> str:
    stem = row[0] if isinstance(row, tuple | list) and row and isinstance(row[0], str) else ""
    return stem if "." in stem or not stem else f"{folder}.{stem}"


def table_keys(package: WheelSource, module_name: str, table: str) -> tuple[str, ...]:
    """Return the keys of one dict (parser registries, transformers' name mappings); empty without such a dict."""
    module = package.module(module_name)
    found = package.find(module, table) if module else None
    return tuple(_list_keys(found[1], Scope(package, found[0]))) if found else ()


def class_table_keys(package: WheelSource, ref: ClassRef, attribute: str) -> tuple[str, ...]:
    """Return the keys of a dict that a class has as an attribute; its values may be anything."""
    for node in ref.node.body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        if any(isinstance(target, ast.Name) and target.id == attribute for target in targets):
            return tuple(_list_keys(node, Scope(package, ref.module)))
    return ()


def table_values(package: WheelSource, module_name: str, table: str) -> tuple[str, ...]:
    """Return the values of one name-to-name dict; flatten a tuple of names."""
    module = package.module(module_name)
    found = package.find(module, table) if module else None
    value = evaluate_node(getattr(found[1], "value", None), Scope(package, found[0])) if found else None
    flat = [v for entry in (value or {}).values() for v in (entry if isinstance(entry, tuple | list) else (entry,))]
    return tuple(sorted({str(entry) for entry in flat}))


def decorated_names(package: WheelSource, folder: str, decorator: str) -> set[str]:
    """Return the names given to a registering decorator: `@ToolParserManager.register_module("x")`."""
    found: set[str] = set()
    for name in package.names(folder):
        module = package.module(name)
        found |= set(decorator_names(module, decorator)) if module else set()
    return found


def decorator_names(module: Module, decorator: str) -> Iterator[str]:
    """Yield the names that a module gives to a registering decorator."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(decorator):
            constants = (n for argument in node.args[:1] for n in ast.walk(argument))
            yield from (str(n.value) for n in constants if isinstance(n, ast.Constant))


def _list_keys(node: ast.AST, scope: Scope) -> Iterator[str]:
    value = evaluate_node(getattr(node, "value", None), scope)
    if isinstance(value, dict):
        yield from (str(key) for key in value)
