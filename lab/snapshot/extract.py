"""One release's snapshot: which modules of which engine hold what. The only file that knows engine folder names."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.parser import HeaderParser
from typing import Any

from lab.snapshot import annotated, environment, registry
from lab.snapshot.evaluate import ClassRef, Scope
from lab.snapshot.parsers import Registrar
from lab.snapshot.source import Module, Package
from lab.snapshot.wheel import Wheel
from matrix.checkout import CHECKOUT
from matrix.errors import HostError, nearest
from matrix.preflight.snapshot import Flag, Snapshot, release_id

Extract = Callable[[Package], dict[str, Any]]


def extract(engine: str, version: str, wheel: Wheel) -> Snapshot:
    """The snapshot of one wheel."""
    if engine not in ENGINES:
        raise HostError(f"no snapshot can be made of {engine!r}{nearest(engine, ENGINES)}")
    facts = ENGINES[engine](Package(wheel.members))
    return Snapshot(
        release=release_id(engine, version),
        engine=engine,
        version=version,
        source=wheel.name,
        sha256=wheel.sha256,
        requires=requirements(wheel.metadata),
        **facts,
    )


def requirements(metadata: str) -> tuple[str, ...]:
    """Requires-Dist lines of the plain install; extras are left out."""
    lines = HeaderParser().parsestr(metadata).get_all("Requires-Dist") or []
    return tuple(sorted(line for line in lines if "extra ==" not in line and "extra==" not in line))


def _module(package: Package, *names: str) -> Module:
    found = next((m for name in names if (m := package.module(name))), None)
    if found is None:
        raise HostError(f"this wheel has none of: {', '.join(names)}; teach lab/snapshot/extract.py its layout")
    return found


def _class(module: Module, name: str) -> ClassRef:
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return ClassRef(module, node)
    raise HostError(f"{module.path} has no class {name}; teach lab/snapshot/extract.py its layout")


def sglang(package: Package) -> dict[str, Any]:
    """SGLang: one ServerArgs; flags written out (0.5.10) or generated from annotated fields (0.5.17, 0.5.23)."""
    module = _module(package, "sglang.srt.server_args")
    ref = _class(module, "ServerArgs")
    registrar = Registrar(package, field_classes=lambda found: _sglang_fields(package, found))
    registrar.method(ref, "add_cli_args")
    choices = {flag.dest: flag.choices or () for flag in registrar.flags}
    return {
        "flags": _with_help(registrar.flags),
        "env": frozenset(environment.variables(package, "sglang/")),
        "env_deprecated": environment.deprecated(package.module("sglang.srt.environ")),
        "architectures": frozenset(registry.entry_classes(package, "sglang/srt/models/")),
        "parsers": {
            "reasoning": tuple(map(str, choices.get("reasoning_parser", ()))),
            "tool_call": tuple(map(str, choices.get("tool_call_parser", ()))),
        },
    }


def _sglang_fields(package: Package, ref: ClassRef) -> list[ClassRef]:
    scope = Scope(package, ref.module)
    return [ref, *annotated.namespace_classes(scope, "sglang/srt/arg_groups/fields/")]


def vllm(package: Package) -> dict[str, Any]:
    """vLLM: `make_arg_parser` registers the server's own flags, then the engine's from its config classes."""
    module = _module(package, "vllm.entrypoints.common.cli_args", "vllm.entrypoints.openai.cli_args")
    arguments = package.module("vllm.utils.argparse_utils")
    inverse = arguments is not None and "EnableDisableAction" in arguments.bindings
    registrar = Registrar(package, inverse_prefixes=inverse)
    registrar.function(module, "make_arg_parser")
    parsers = {
        "reasoning": registry.table_keys(package, "vllm.reasoning", "_REASONING_PARSERS_TO_REGISTER"),
        "tool_call": registry.table_keys(package, "vllm.tool_parsers", "_TOOL_PARSERS_TO_REGISTER"),
    }
    models = _module(package, "vllm.model_executor.models.registry")
    return {
        "dialect": "vllm",
        "flags": _with_help(_named_parsers(registrar.flags, parsers)),
        "env": frozenset(environment.variables(package, "vllm/")),
        "architectures": frozenset(registry.model_tables(models, package)),
        "parsers": parsers,
    }


def _named_parsers(flags: list[Flag], parsers: Mapping[str, tuple[str, ...]]) -> list[Flag]:
    """vLLM checks parser names against its registries after parsing; plugins may add to them."""
    kinds = {"reasoning_parser": "reasoning", "tool_call_parser": "tool_call"}
    return [replace(flag, values=parsers[kinds[flag.dest]] or None) if flag.dest in kinds else flag for flag in flags]


def transformers(package: Package) -> dict[str, Any]:
    """Transformers: which model types and architectures exist; `transformers serve` is not modelled."""
    auto = "transformers.models.auto"
    types = registry.table_keys(package, f"{auto}.auto_mappings", "CONFIG_MAPPING_NAMES") or registry.table_keys(
        package, f"{auto}.configuration_auto", "CONFIG_MAPPING_NAMES"
    )
    causal = registry.table_values(package, f"{auto}.modeling_auto", "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES")
    return {"model_types": frozenset(types), "architectures": frozenset(causal), "dialect": "none"}


def own_llamacpp(version: str) -> Snapshot:
    """llama.cpp as this project starts it: the option set is ours, so its source is read instead of a wheel's."""
    files = {str(path.relative_to(CHECKOUT)): path.read_bytes() for path in sorted(CHECKOUT.glob("fixtures/**/*.py"))}
    package = Package(files)
    registrar = Registrar(package)
    registrar.calls_in(_module(package, "fixtures.llamacpp.options"))
    return Snapshot(
        release=release_id("llamacpp", version),
        engine="llamacpp",
        version=version,
        source="fixtures/llamacpp/options.py (ours); architectures as fixtures/canary converts them",
        dialect="strict",
        flags=_with_help(registrar.flags),
        env=frozenset({"LLAMA_API_KEY"}),
        architectures=frozenset({"GlmMoeDsaForCausalLM"}),
    )


def _with_help(flags: list[Flag]) -> tuple[Flag, ...]:
    """argparse adds -h itself."""
    return (Flag(options=("-h", "--help"), dest="help", action="store_true"), *flags)


ENGINES: Mapping[str, Extract] = {"sglang": sglang, "vllm": vllm, "transformers": transformers}
