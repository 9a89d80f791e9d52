"""List the environment variables that a package reads: its own registry, and direct reads anywhere.

    SGLANG_X = EnvBool(True)                       a field of sglang's Envs class
    environment_variables = {"VLLM_X": lambda: ..} vLLM's table
    os.environ["X"], os.environ.get("X"), os.getenv("X"), "X" in os.environ, get_bool_env_var("X")
Setting a variable (`os.environ["X"] = ...`) is not reading it. Names built at run time cannot be seen.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from lab.snapshot.source import Module, WheelSource

NAME = re.compile(r"[A-Z][A-Z0-9_]{2,}")
# Files without any of these read no variable: leaving them unparsed is what keeps this under a minute.
WORTH_PARSING = re.compile(rb"\benviron[.\[)]|in (os\.)?environ|getenv|env_var|= *Env[A-Z]\w*\(")
QUOTED = re.compile(r"[\"']([A-Z][A-Z0-9_]{2,})[\"']")
READERS = {"getenv", "get", "pop", "setdefault"}  # on os or os.environ; plus any helper with env in its name
SKIPPED = ("/test/", "/tests/")


def list_variables(package: WheelSource, prefix: str) -> set[str]:
    """Return every name read under a folder of the package."""
    found: set[str] = set()
    for path, text in package.files.items():
        ours = path.startswith(prefix) and path.endswith(".py") and not any(part in path for part in SKIPPED)
        if ours and WORTH_PARSING.search(text):
            # Not through the package: its cache would keep a gigabyte of trees alive.
            found |= set(_find_reads(Module(path, path, text.decode("utf-8-sig", "replace"))))
    return found


def list_deprecated(module: Module | None) -> dict[str, str]:
    """Return old name -> advice, from sglang's `_print_deprecated_env` and `_warn_deprecated_env_to_cli_flag`."""
    advice: dict[str, str] = {}
    for node in ast.walk(module.tree) if module else ():
        match node:
            case ast.Call(
                func=ast.Name(id=helper), args=[ast.Constant(value=str(first)), ast.Constant(value=str(second))]
            ):
                if helper == "_print_deprecated_env":
                    advice[second] = f"use {first}"
                elif helper == "_warn_deprecated_env_to_cli_flag":
                    advice[first] = second
            case _:
                continue
    return advice


def _find_reads(module: Module) -> Iterator[str]:
    """Yield the names that the module reads; of a file with a newer grammar, every quoted name (none is absent)."""
    # better one name too many than a variable called unread because our Python is older than the file
    if not module.tree.body:
        yield from QUOTED.findall(module.text)
    for node in ast.walk(module.tree):
        for name in _names_of(node):
            if NAME.fullmatch(name):
                yield name


def _names_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Name(id=helper), args=arguments) if "deprecated_env" in helper:
            yield from (str(a.value) for a in arguments if isinstance(a, ast.Constant))
        case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]) if _reads_env(function):
            yield name
        # Load alone: setting and deleting are not reading
        case ast.Subscript(value=owner, slice=ast.Constant(value=str(name)), ctx=ast.Load()) if _is_environ(owner):
            yield name
        case ast.Compare(left=ast.Constant(value=str(name)), ops=[ast.In() | ast.NotIn()], comparators=[owner]):
            if _is_environ(owner):
                yield name
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id=kind))):
            if kind.startswith("Env"):
                yield name
        case ast.AnnAssign(target=ast.Name(id="environment_variables"), value=ast.Dict(keys=keys)):
            yield from (str(key.value) for key in keys if isinstance(key, ast.Constant))
        case _:
            return


def _reads_env(function: ast.expr) -> bool:
    match function:
        case ast.Attribute(value=owner, attr=name) if name in READERS:
            return name == "getenv" or _is_environ(owner)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            # helpers are called by many names (get_bool_env_var, envs.get); those that write are not readers
            return "env" in name.lower() and not name.startswith(("set", "_set", "Env"))
        case _:
            return False


def _is_environ(owner: ast.expr) -> bool:
    return getattr(owner, "attr", getattr(owner, "id", "")) == "environ"
