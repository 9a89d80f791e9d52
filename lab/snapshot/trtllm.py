"""Read TensorRT-LLM: the click command of trtllm-serve, the keys of its YAML, and what its models register.

The package on the public index is a stub of 10 kB that fetches the wheel from its vendor's own index, so a release is
read from a wheel at hand or from a checkout of its tag (`--wheel PATH`). A checkout has the C++ sources too, which read
environment variables of their own; of a wheel alone they are unread.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from lab.snapshot import click_flags, config_keys, environment, file_keys, registry
from lab.snapshot.evaluate import ClassRef
from lab.snapshot.locate import NotFound, Parts, find_class, find_definition
from lab.snapshot.source import Module, WheelSource
from matrix.preflight.snapshot import Flag

PREFIX: Final = "tensorrt_llm/"
MODELS: Final = ("tensorrt_llm/_torch/models/",)
SOURCES: Final = "cpp/"  # of a checkout
FEWEST_FLAGS: Final = 8
# `getenv("X")`, `getBoolEnv("X")`, `getStrEnv("X")`: the readers of the C++ side.
READS: Final = re.compile(rb"\bget\w*[eE]nv\w*\(\s*\"([A-Z][A-Z0-9_]{2,})\"")
TAKING: Final = ("serve", "get_llm_args", "launch_server", "update_llm_args_with_extra_dict")
PARSERS: Final = {"reasoning": "ReasoningParserFactory", "tool_call": "ToolParserFactory"}


def extract_trtllm(package: WheelSource) -> dict[str, Any]:
    """Read every part; what is not where earlier releases had it is `unread` with the reason."""
    parts = Parts()
    parts.add("flags", lambda: _read_flags(package))
    parts.add("file_keys", lambda: _file_keys(package))
    models = parts.add("architectures", lambda: _models(package))
    for kind, factory in PARSERS.items():
        parts.add(f"parsers {kind}", partial(_parsers, package, factory))
    parts.add("env", lambda: _read_variables(package))
    facts = parts.facts()
    parsers = {kind: facts.pop(f"parsers {kind}") for kind in PARSERS if f"parsers {kind}" in facts}
    registered = registry.select_family(models or {})
    return {
        **facts,
        "dialect": "click",
        "parsers": parsers,
        "architectures": frozenset(models or ()),
        "registered": registered,
        "config_keys": config_keys.read_keys(package, prefix=PREFIX, models=MODELS, registered=registered),
    }


def _serve(package: WheelSource) -> Module:
    return find_definition(package, "serve", prefix=f"{PREFIX}commands/", needs=r"click\.command")


def _read_flags(package: WheelSource) -> tuple[Flag, ...]:
    module = _serve(package)
    flags = click_flags.read_command(package, module, "serve")
    if len(flags) < FEWEST_FLAGS:
        raise NotFound(f"{module.path} registers {len(flags)} flags in a way that is understood, expected dozens")
    return (Flag(options=("--help",), dest="help", action="store_true"), *flags)


def _file_keys(package: WheelSource) -> tuple[Flag, ...]:
    """Return the keys of TorchLlmArgs, the class of the default backend, and those that the program takes out first."""
    module = find_definition(package, "TorchLlmArgs", prefix=f"{PREFIX}llmapi/")
    ref = ClassRef(module, find_class(module, "TorchLlmArgs"))
    # serve.py takes some keys out before the class sees the file: unknown to it, and right all the same
    taken = {name: None for m in (_serve(package), module) for name in file_keys.read_taken(package, m, TAKING)}
    return file_keys.read_file_keys(package, ref, taken)


def _models(package: WheelSource) -> dict[str, str]:
    """Return architecture -> module of `@register_auto_model("X")`."""
    found: dict[str, str] = {}
    for name in package.names(MODELS[0]):
        module = package.module(name)
        # by the text first, since only some of a folder's modules register anything
        if module is not None and "register_auto_model(" in module.text:
            found |= dict.fromkeys(registry.decorator_names(module, "register_auto_model"), name)
    return found


def _parsers(package: WheelSource, factory: str) -> tuple[str, ...]:
    """Return the names of a factory's table, and those of decorators that fill it."""
    module = find_definition(package, factory, prefix=PREFIX)
    table = registry.class_table_keys(package, ClassRef(module, find_class(module, factory)), "parsers")
    folder = module.path.rpartition("/")[0] + "/"
    kind = factory.removesuffix("ParserFactory").lower()
    return tuple(sorted({*table, *registry.decorated_names(package, folder, f"register_{kind}_parser")}))


def _read_variables(package: WheelSource) -> frozenset[str]:
    """Return the names that Python and C++ read.

    Raises:
        NotFound: there are no C++ sources, which read names of their own.
    """
    found = set(environment.list_variables(package, PREFIX))
    sources = [text for path, text in package.files.items() if path.startswith(SOURCES)]
    if not sources:
        raise NotFound("a wheel has no C++ sources, and its libraries read variables too; read a checkout of the tag")
    return frozenset(found | {name.decode() for text in sources for name in READS.findall(text)})
