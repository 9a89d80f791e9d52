"""Build one release's snapshot from the modules of its engine. Only this file knows engine folder names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from email.parser import HeaderParser
from functools import partial
from typing import Any

from lab.snapshot import annotated, chosen, config_keys, environment, experts, registry, runners, serve_parsers
from lab.snapshot.evaluate import ClassRef, Scope
from lab.snapshot.locate import NotFound, Parts, find_class, find_definition, find_table
from lab.snapshot.parsers import Registrar
from lab.snapshot.probe import run_probes
from lab.snapshot.source import Module, WheelSource
from lab.snapshot.trtllm import extract_trtllm
from lab.snapshot.wheel import Wheel
from matrix.checkout import CHECKOUT
from matrix.errors import HostError, suggest_nearest
from matrix.preflight.snapshot import Flag, Snapshot, release_id

Extract = Callable[[WheelSource], dict[str, Any]]
SGLANG_MODELS = ("sglang/srt/models/",)
VLLM_MODELS = ("vllm/model_executor/models/", "vllm/models/")
VLLM_PARSERS = {"reasoning": "_REASONING_PARSERS_TO_REGISTER", "tool_call": "_TOOL_PARSERS_TO_REGISTER"}
VLLM_PARSER_FLAGS = {"reasoning_parser": "reasoning", "tool_call_parser": "tool_call"}
FEWEST_FLAGS = 8
VERSION_FILE = "tensorrt_llm/version.py"


def extract_snapshot(engine: str, version: str, wheel: Wheel) -> Snapshot:
    """Return the snapshot of one wheel."""
    if engine not in ENGINES:
        raise HostError(f"no snapshot can be made of {engine!r}{suggest_nearest(engine, ENGINES)}")
    _hold_version(version, wheel)
    facts = ENGINES[engine](WheelSource(wheel.members))
    return Snapshot(
        release=release_id(engine, version),
        engine=engine,
        version=version,
        source=wheel.name,
        sha256=wheel.sha256,
        requires=list_requirements(wheel.metadata),
        probes=run_probes(engine, wheel.members, facts.get("registered", {})),
        **facts,
    )


def _hold_version(version: str, wheel: Wheel) -> None:
    """Compare a checkout's own version with the one that was asked for: folders have any name.

    Raises:
        HostError: it is another release.
    """
    found = re.search(rb'^__version__ = "([^"]+)"', wheel.members.get(VERSION_FILE, b""), re.MULTILINE)
    if found and found[1].decode() != version:
        raise HostError(f"{wheel.name} is release {found[1].decode()} ({VERSION_FILE}), and {version} was asked for")


def list_requirements(metadata: str) -> tuple[str, ...]:
    """Return the Requires-Dist lines of the plain install, without extras."""
    # a header parser: METADATA goes on with the README, whose lines may look like headers
    lines = HeaderParser().parsestr(metadata).get_all("Requires-Dist") or []
    return tuple(sorted(line for line in lines if "extra ==" not in line and "extra==" not in line))


def extract_sglang(package: WheelSource) -> dict[str, Any]:
    """Read SGLang's ServerArgs: flags written out (0.5.10) or generated from annotated fields (0.5.17, 0.5.23)."""
    parts = Parts()
    flags = parts.add("flags", lambda: _sglang_flags(package))
    models = parts.add("architectures", lambda: registry.entry_classes(package, SGLANG_MODELS[0]))
    choices = {flag.dest: flag.choices or () for flag in flags or ()}
    kinds = {"reasoning": "reasoning_parser", "tool_call": "tool_call_parser"}
    for kind, dest in kinds.items():
        # SGLang's parsers are the choices of their flag: it has no registry apart
        parts.add(f"parsers {kind}", partial(tuple, map(str, choices.get(dest, ()))))
    parts.add("env", lambda: frozenset(environment.list_variables(package, "sglang/")))
    # not through add: a release that deprecates nothing is not one that was not read
    parts.read["env_deprecated"] = environment.list_deprecated(package.module("sglang.srt.environ"))
    parts.add("chosen", lambda: chosen.sglang_backends(package, flags or (), models or {}))
    _add_experts(parts, lambda: runners.sglang_runners(package, flags or (), models or {}))
    return _family(parts, package, models, prefix="sglang/", folders=SGLANG_MODELS)


def _sglang_flags(package: WheelSource) -> tuple[Flag, ...]:
    module = find_definition(package, "ServerArgs", prefix="sglang/srt/", needs="add_cli_args")
    ref = ClassRef(module, find_class(module, "ServerArgs"))
    registrar = Registrar(package, field_classes=lambda found: _sglang_fields(package, found))
    registrar.method(ref, "add_cli_args")
    return _plausible(registrar.flags, module)


def _sglang_fields(package: WheelSource, ref: ClassRef) -> list[ClassRef]:
    scope = Scope(package, ref.module)
    return [ref, *annotated.namespace_classes(scope, "sglang/srt/arg_groups/fields/")]


def extract_vllm(package: WheelSource) -> dict[str, Any]:
    """Read vLLM: `make_arg_parser` registers the server's own flags, then the engine's from its config classes."""
    parts = Parts()
    for kind, table in VLLM_PARSERS.items():
        parts.add(f"parsers {kind}", partial(_parser_names, package, table))
    flags = parts.add("flags", lambda: _vllm_flags(package))
    if flags:
        named = {dest: parts.read.get(f"parsers {kind}") for dest, kind in VLLM_PARSER_FLAGS.items()}
        parts.read["flags"] = tuple(_named_parsers(flags, named))
    models = parts.add("architectures", lambda: _vllm_models(package))
    parts.add("env", lambda: frozenset(environment.list_variables(package, "vllm/")))
    parts.add("chosen", lambda: chosen.vllm_backends(package, models or {}))
    _add_experts(parts, lambda: experts.vllm_experts(package, models or {}))
    return {"dialect": "vllm", **_family(parts, package, models, prefix="vllm/", folders=VLLM_MODELS)}


def _add_experts(parts: Parts, read: Callable[[], dict[str, str]]) -> None:
    """Add the MoE backends to the table of what a release chooses; `unread` names them apart."""
    found = parts.add("chosen moe", read)
    # one table for the reader: `chosen moe` only names the part that could not be read
    parts.read.pop("chosen moe", None)
    if found:
        parts.read["chosen"] = {**parts.read.get("chosen", {}), **found}


def _vllm_flags(package: WheelSource) -> tuple[Flag, ...]:
    """Read the server's parser; that of `run_batch` has the same name and no `FrontendArgs` of its own."""
    module = find_definition(package, "make_arg_parser", prefix="vllm/entrypoints/", needs=r"\bclass \w*FrontendArgs\b")
    inverse = re.compile(rb"^class EnableDisableAction\b", re.MULTILINE)
    # only some releases have the class: whether --enable-x has a --disable-x depends on it
    registrar = Registrar(package, inverse_prefixes=any(package.search(inverse, "vllm/")))
    registrar.function(module, "make_arg_parser")
    return _plausible(registrar.flags, module)


def _vllm_models(package: WheelSource) -> dict[str, str]:
    module = find_table(package, r"_\w+_MODELS", prefix="vllm/", rows=r"\w+For(CausalLM|ConditionalGeneration)")
    return registry.model_tables(module, package, module.name.rpartition(".")[0])


def _parser_names(package: WheelSource, table: str) -> tuple[str, ...]:
    return registry.table_keys(package, find_table(package, table, prefix="vllm/").name, table)


def _plausible(flags: list[Flag], module: Module) -> tuple[Flag, ...]:
    """Check the number of flags: a server has hundreds, and a handful means an unknown way of registering them."""
    if len(flags) < FEWEST_FLAGS:
        raise NotFound(f"{module.path} registers {len(flags)} flags in a way that is understood, expected hundreds")
    return _with_help(flags)


def _family(
    parts: Parts, package: WheelSource, models: dict[str, str] | None, *, prefix: str, folders: tuple[str, ...]
) -> dict[str, Any]:
    """Return the facts of single architectures: the module of each of the family, and the config keys that it reads."""
    registered = registry.select_family(models or {})
    facts = parts.facts()
    parsers = {kind: facts.pop(f"parsers {kind}") for kind in ("reasoning", "tool_call") if f"parsers {kind}" in facts}
    return {
        **facts,
        "parsers": parsers,
        "architectures": frozenset(models or ()),
        "registered": registered,
        "config_keys": config_keys.read_keys(package, prefix=prefix, models=folders, registered=registered),
    }


def _named_parsers(flags: Sequence[Flag], named: Mapping[str, tuple[str, ...] | None]) -> list[Flag]:
    """Add parser names: vLLM checks them against its registries after parsing; plugins may add to them."""
    return [replace(flag, values=named[flag.dest]) if flag.dest in named else flag for flag in flags]


def extract_transformers(package: WheelSource) -> dict[str, Any]:
    """Read Transformers' model types and architectures; of `transformers serve` only for which models it parses."""
    auto = "transformers.models.auto"
    # where there is a file of its own for the mapping, configuration_auto only imports it
    types = registry.table_keys(package, f"{auto}.auto_mappings", "CONFIG_MAPPING_NAMES") or registry.table_keys(
        package, f"{auto}.configuration_auto", "CONFIG_MAPPING_NAMES"
    )
    causal = registry.table_values(package, f"{auto}.modeling_auto", "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES")
    own = {"model_types": frozenset(types), "architectures": frozenset(causal), "dialect": "none"}
    try:
        parsers, where = serve_parsers.read_parsers(package)
    except NotFound as error:
        return {**own, "unread": {"parsers": str(error)}}
    return {**own, "parsers": parsers, "facts": {"parsers": where}}


def own_llamacpp(version: str) -> Snapshot:
    """Read llama.cpp's options from our own source instead of a wheel's: this project defines them."""
    files = {str(path.relative_to(CHECKOUT)): path.read_bytes() for path in sorted(CHECKOUT.glob("fixtures/**/*.py"))}
    package = WheelSource(files)
    registrar = Registrar(package)
    options = package.module("fixtures.llamacpp.options")
    assert options is not None, "fixtures/llamacpp/options.py is part of this checkout"
    registrar.calls_in(options)
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
    """Add -h, as argparse itself does."""
    return (Flag(options=("-h", "--help"), dest="help", action="store_true"), *flags)


ENGINES: Mapping[str, Extract] = {
    "sglang": extract_sglang,
    "vllm": extract_vllm,
    "trtllm": extract_trtllm,
    "transformers": extract_transformers,
}
