"""Collect flags from the decorators of a `click` command: TensorRT-LLM's `trtllm-serve serve`.

    @click.command("serve")
    @click.argument("model")
    @click.option("--config", "--extra_llm_api_options", "extra_llm_api_options", type=str)

A bare name among the options is the destination, `--x/--no-x` a switch with its negation.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from lab.snapshot.evaluate import UNKNOWN, Scope, evaluate_node
from lab.snapshot.hints import default_text
from lab.snapshot.locate import NotFound
from lab.snapshot.source import FunctionNode, Module, WheelSource
from matrix.preflight.snapshot import Flag

TYPES: Final = {"str": "str", "int": "int", "float": "float", "bool": "bool"}
REGISTERING: Final = ("argument", "option")
TAGGED: Final = ":tag:`deprecated`"


def read_command(package: WheelSource, module: Module, command: str) -> list[Flag]:
    """Return the flags of the function that `@click.command(command)` decorates.

    Raises:
        NotFound: the module has no such command.
    """
    scope = Scope(package, module)
    for node in module.tree.body:
        if isinstance(node, ast.FunctionDef) and _names_command(node, command):
            return [_read_flag(call, scope) for call in _iterate_option_calls(node)]
    raise NotFound(f"{module.path} decorates no function with @click.command({command!r})")


def _names_command(node: FunctionNode, command: str) -> bool:
    return any(
        isinstance(d, ast.Call)
        and ast.unparse(d.func).endswith("command")
        and any(isinstance(a, ast.Constant) and a.value == command for a in d.args)
        for d in node.decorator_list
    )


def _iterate_option_calls(node: FunctionNode) -> Iterator[ast.Call]:
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "attr", "") in REGISTERING:
            yield decorator


def _read_flag(call: ast.Call, scope: Scope) -> Flag:
    names = [str(a.value) for a in call.args if isinstance(a, ast.Constant)]
    given = {k.arg: k.value for k in call.keywords if k.arg}
    options = tuple(part for name in names if name.startswith("-") for part in name.split("/"))
    bare = next((name for name in names if not name.startswith("-")), "")
    # click's own rule: a bare name wins, else the first long option gives the destination
    long = next((option for option in options if option.startswith("--")), options[0] if options else bare)
    kind, choices, closed = _type(given.get("type"), scope)
    switch = _is_true(given.get("is_flag")) or any("/" in name for name in names)
    return Flag(
        options=options,
        dest=bare or long.lstrip("-").replace("-", "_"),
        action="store_true" if switch else "append" if _is_true(given.get("multiple")) else "store",
        type=kind,
        choices=choices,
        choices_unknown=closed and choices is None,
        default=default_text(given.get("default")),
        deprecated=_deprecation(given.get("help"), scope),
        # an argument (no option string) is required unless it says otherwise
        required=_is_true(given.get("required")) or not options,
    )


def _type(node: ast.expr | None, scope: Scope) -> tuple[str, tuple[str, ...] | None, bool]:
    """Return the type, the closed choices, and whether there are choices at all.

    `click.Choice([...])` lists them; a class derived from it may take aliases as its second argument, which it accepts.
    """
    match node:
        case ast.Name(id=name):
            return TYPES.get(name, "str"), None, False
        case ast.Call(func=function, args=arguments) if "Choice" in ast.unparse(function):
            found = [evaluate_node(argument, scope) for argument in arguments]
            # choices that are computed: closed, and not known, so no value can be judged
            if not found or any(part is UNKNOWN for part in found):
                return "str", None, True
            return "str", tuple(str(word) for part in found for word in part), True
        case _:
            return "str", None, False


def _deprecation(node: ast.expr | None, scope: Scope) -> str:
    text = evaluate_node(node, scope) if node is not None else ""
    written = text if isinstance(text, str) else ast.unparse(node) if node is not None else ""
    return "deprecated" if TAGGED in written or "'deprecated'" in written else ""


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True
