"""Which exit codes the programs behind the verbs return, read off their source: the reference must tell each."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from cli.verbs import VERBS
from matrix.checkout import CHECKOUT

PROGRAMS = CHECKOUT / "cli" / "programs.py"
GIVEN = {"args", "arguments", "argv", "options", "words"}  # as functions call what a command line was parsed into


@cache
def parse_file(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def map_modules() -> Mapping[Path, frozenset[str]]:
    """Map each module that some verb's loader imports to the verbs whose loaders do."""
    loaders = {node.name: node for node in parse_file(PROGRAMS).body if isinstance(node, ast.FunctionDef)}
    found: dict[Path, set[str]] = {}
    for verb in VERBS.values():
        loader = loaders.get(verb.load.__qualname__.partition(".")[0])
        for node in ast.walk(loader) if loader else ():
            if isinstance(node, ast.ImportFrom) and node.module:
                for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                    path = CHECKOUT.joinpath(*name.split(".")).with_suffix(".py")
                    if path.is_file():
                        found.setdefault(path, set()).add(verb.name)
    return {path: frozenset(verbs) for path, verbs in found.items()}


def list_codes(path: Path) -> frozenset[int]:
    """List the codes that a module's commands return: `main`, and what takes a parsed command line and returns int."""
    tree = parse_file(path)
    named = {
        target.id: node.value.value
        for node in tree.body
        for target in (node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)])
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(target, ast.Name)
        and isinstance(node.value, ast.Constant)
        and type(node.value.value) is int
    }
    commands = [node for node in tree.body if isinstance(node, ast.FunctionDef) and _is_command(node)]
    returned = [r.value for node in commands for r in ast.walk(node) if isinstance(r, ast.Return)]
    return frozenset(code for value in returned for code in _iterate_codes(value, named))


def _is_command(node: ast.FunctionDef) -> bool:
    returns_int = isinstance(node.returns, ast.Name) and node.returns.id == "int"
    return returns_int and (node.name == "main" or any(arg.arg in GIVEN for arg in node.args.args))


def _iterate_codes(value: ast.expr | None, named: Mapping[str, int]) -> Iterator[int]:
    match value:
        case ast.Constant(value=int(code)) if not isinstance(code, bool):
            yield code
        case ast.Name(id=name) if name in named:
            yield named[name]
        case ast.IfExp(body=body, orelse=other):
            yield from _iterate_codes(body, named)
            yield from _iterate_codes(other, named)
