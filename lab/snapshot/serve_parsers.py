"""Read for which models `transformers serve` parses replies: it has no parser by name, only tables of model families.

A model that no table names gets none; its calls, and its thoughts where no default tells them apart, stay in the text.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, Final

from lab.snapshot.locate import NotFound
from lab.snapshot.source import Module, WheelSource

# The newest first: a release has one of them.
TABLES: Final = (
    ("transformers.cli.serving.utils", "_RESPONSE_TEMPLATE_FALLBACKS"),
    ("transformers.cli.serving.utils", "_TOOL_CALL_FALLBACKS"),
    ("transformers.cli.serve", "_TOOL_CALL_TOKENS"),
    ("transformers.commands.serving", "_TOOL_CALL_TOKENS"),
)
THINKING: Final = frozenset({"reasoning_content", "thinking"})  # fields of a row that tell thoughts apart
DEFAULT: Final = "_DEFAULT_THINKING_TOKENS"  # of any model whose tokenizer has these markers, in 5.12.1


def read_parsers(package: WheelSource) -> tuple[dict[str, tuple[str, ...]], str]:
    """Return the families by kind (tool_call, reasoning), and where the table stands.

    Raises:
        NotFound: no table is where one of the earlier releases has it.
    """
    for name, table in TABLES:
        module = package.module(name)
        node = module.bindings.get(table) if module else None
        value = getattr(node, "value", None)
        if module is not None and isinstance(value, ast.Dict):
            rows = list(zip(value.keys, value.values, strict=True))
            calls = {word for key, _ in rows for word in _list_words(key)}
            thoughts = {word for key, row in rows if THINKING & _list_words(row) for word in _list_words(key)}
            found = {"tool_call": calls, "reasoning": thoughts | _default_markers(module)}
            where = f"{module.path}:{getattr(node, 'lineno', 0)} {table}"
            return {kind: tuple(sorted(words)) for kind, words in found.items() if words}, where
    raise NotFound(f"none of {', '.join(f'{name}.{table}' for name, table in TABLES)} is a table")


def _list_words(node: ast.AST | None) -> set[str]:
    return {n.value for n in ast.walk(node or ast.Pass()) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def _default_markers(module: Module) -> set[str]:
    value: Any = getattr(module.bindings.get(DEFAULT), "value", None)
    return set(_starts(value)) if isinstance(value, ast.Dict) else set()


def _starts(table: ast.Dict) -> Iterator[str]:
    for key, value in zip(table.keys, table.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == "start":
            yield from _list_words(value)
