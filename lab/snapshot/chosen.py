"""Derive the sparse-attention backends that a release chooses by itself, per architecture, GPU and KV dtype.

    "GlmMoeDsaForCausalLM sm120 fp8_e4m3": "flashinfer_sparse_mla, flashinfer_sparse_mla"    SGLang: prefill, decode
    "GlmMoeDsaForCausalLM sm120 auto": "FLASHINFER_MLA_SPARSE_SM120"                         vLLM: first that takes it

Derived by following the release's own deciding functions (interpret.py) with every flag at its default. That a backend
is chosen does not say that its kernels are there: `matrix facts` asks the pinned libraries for them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from lab.snapshot.evaluate import UNKNOWN, ClassRef, Scope, evaluate_node
from lab.snapshot.interpret import InterpretedNames, Refused, Symbol, Undecided, answer_function
from lab.snapshot.locate import NotFound, find_definition
from lab.snapshot.source import FunctionNode, Module, WheelSource, find_functions
from matrix.preflight.snapshot import Flag

ARCHITECTURES: Final = ("GlmMoeDsaForCausalLM", "DeepseekV32ForCausalLM")
GPUS: Final = (90, 100, 103, 120, 121)
KV_DTYPES: Final = {
    "sglang": ("auto", "bfloat16", "fp8_e4m3"),
    "vllm": ("auto", "bfloat16", "fp8"),
}  # as users write them
MLA_HEAD_SIZE: Final = 576  # 512 latent values and 64 of rope: GLM-5, and DeepSeek V3.2
HEADS: Final = 64  # of a whole model; a rank of eight has 8
FUNCTIONS: Final = {
    "kv": ("_dsa_kv_cache_dtype_default", "_set_default_dsa_kv_cache_dtype", "_set_default_nsa_kv_cache_dtype"),
    "backends": ("_dsa_split_backend_resolution", "_set_default_dsa_backends", "_set_default_nsa_backends"),
}


class ChoiceQuestion(NamedTuple):
    """One question of the table."""

    architecture: str
    sm: int
    kv: str

    def __str__(self) -> str:
        return f"{self.architecture} sm{self.sm} {self.kv}"


class AskedMoe(NamedTuple):
    """One question of the MoE tables. `named`: the line names the quantisation."""

    architecture: str
    sm: int
    form: str
    named: bool = False

    def __str__(self) -> str:
        return f"{self.architecture} sm{self.sm} moe {self.form}{' named' if self.named else ''}"


class Capability(NamedTuple):
    major: int
    minor: int


def sglang_backends(package: WheelSource, flags: tuple[Flag, ...], architectures: Mapping[str, str]) -> dict[str, str]:
    """Return the prefill and decode backend for each question.

    Raises:
        NotFound: no function of a name that any release before gave to this decision.
    """
    kv, backends = (sglang_function(package, names) for names in FUNCTIONS.values())
    defaults = flag_defaults(flags)
    return {
        str(asked): answer_or_name_refusal(lambda a=asked: _choose_in_sglang(a, kv, backends, defaults))
        for asked in _list_choice_questions("sglang", architectures)
    }


def vllm_backends(package: WheelSource, architectures: Mapping[str, str]) -> dict[str, str]:
    """Return the first backend of the release's own order that supports sparse MLA on this GPU and KV dtype.

    Raises:
        NotFound: no such order, or no table of the backends' classes.
    """
    # the file of CUDA: ROCm and XPU have functions of the same name
    module = find_definition(package, "_get_backend_priorities", prefix="vllm/platforms/", needs=r"\bclass \w*Cuda")
    order = next(find_functions(module.tree, "_get_backend_priorities"))
    registry = find_definition(package, "AttentionBackendEnum", prefix="vllm/")
    table = _backend_classes(registry)
    scope = Scope(package, module)
    return {
        str(asked): answer_or_name_refusal(lambda a=asked: _vllm(a, order, table, scope))
        for asked in _list_choice_questions("vllm", architectures)
    }


def list_held(architectures: Mapping[str, str]) -> list[str]:
    """List the architectures that are asked about and registered."""
    return [name for name in ARCHITECTURES if name in architectures]


def _list_choice_questions(engine: str, architectures: Mapping[str, str]) -> Iterator[ChoiceQuestion]:
    yield from (
        ChoiceQuestion(name, sm, kv) for name in list_held(architectures) for sm in GPUS for kv in KV_DTYPES[engine]
    )


def answer_or_name_refusal(ask: Any) -> str:
    try:
        return str(ask())
    except Undecided as error:
        return f"undecided: {error}"
    except Refused as error:
        return f"refused: {error}"


class FoundChoice(NamedTuple):
    function: FunctionNode
    scope: Scope


def sglang_function(package: WheelSource, names: tuple[str, ...]) -> FoundChoice:
    for name in names:
        # methods too: the decision moved from ServerArgs into a module of functions
        pattern = re.compile(rf"^\s*def {name}\b".encode(), re.MULTILINE)
        for module in package.search(pattern, "sglang/"):
            return FoundChoice(next(find_functions(module.tree, name)), Scope(package, module))
    raise NotFound(f"no function under sglang/ is called {' or '.join(names)}")


def flag_defaults(flags: tuple[Flag, ...]) -> dict[str, Any]:
    """Return attribute -> default. A retired spelling of a flag has none (argparse.SUPPRESS); the first known one
    counts."""
    found: dict[str, Any] = {}
    for flag in flags:
        value = _read_flag_default(flag)
        names = {flag.dest, *(option.lstrip("-").replace("-", "_") for option in flag.options)}
        # by every spelling: the functions read attributes, and an attribute may carry an old flag's name
        found |= {name: value for name in names if found.get(name, UNKNOWN) is UNKNOWN}
    return found


def _read_flag_default(flag: Flag) -> Any:
    if flag.action == "store_true" and not flag.default:
        return False
    try:
        return ast.literal_eval(flag.default)
    except (ValueError, SyntaxError):
        return UNKNOWN


def _choose_in_sglang(
    asked: ChoiceQuestion, kv: FoundChoice, backends: FoundChoice, defaults: Mapping[str, Any]
) -> str:
    resolved = _resolved_kv(asked, kv, defaults)
    question = _sglang_question(asked, {**defaults, "kv_cache_dtype": resolved})
    result, local = answer_function(backends.function, question, backends.scope)
    pair = [_side(side, result, local) for side in ("prefill", "decode")]
    # only where the release replaced what was asked: then the pair was chosen for another dtype than the line's
    kept = "" if resolved == asked.kv else f" ({resolved})"
    return ", ".join(pair) + kept


def _resolved_kv(asked: ChoiceQuestion, kv: FoundChoice, defaults: Mapping[str, Any]) -> str:
    result, local = answer_function(
        kv.function, _sglang_question(asked, {**defaults, "kv_cache_dtype": asked.kv}), kv.scope
    )
    # newer releases return a table of overrides, older ones set attributes of self
    if isinstance(result, dict):
        return str(result.get("kv_cache_dtype", asked.kv))
    return str(local.get("self.kv_cache_dtype", asked.kv))


def _side(side: str, result: Any, local: Mapping[str, Any]) -> str:
    """Return the decision for prefill or decode: from the returned table, or from the changed arguments."""
    # dsa is the flags' name from 0.5.13 on, nsa the one up to 0.5.19
    for name in ("dsa", "nsa"):
        key = f"{name}_{side}_backend"
        found = result.get(key) if isinstance(result, dict) else local.get(f"self.{key}")
        if isinstance(found, str):
            return found
    raise Undecided(f"{side} backend")


def _sglang_question(asked: ChoiceQuestion, values: Mapping[str, Any]) -> InterpretedNames:
    major, minor = divmod(asked.sm, 10)
    known = {f"{owner}.{name}": value for owner in ("view", "self") for name, value in values.items()}
    known |= {
        "major": major,
        "kv_cache_dtype": values["kv_cache_dtype"],
        "hf_config.architectures[0]": asked.architecture,
        "model_arch": asked.architecture,
        "quantization": values.get("quantization", UNKNOWN),
    }
    true, nothing = (lambda *_: True), (lambda *_: None)
    calls = {
        "get_device_capability": lambda *_: (major, minor),
        "is_deepseek_dsa": true,
        "is_deepseek_nsa": true,
        # they only refuse combinations that a line names, and here no line names one
        "_check_dsa_backend_constraints": nothing,
        "_check_tilelang_dsa_fp8_kv": nothing,
        "apply_hisparse_nsa_backend_defaults": lambda *_: False,  # enable_hisparse is off by default
        "apply_hisparse_dsa_backend_defaults": lambda *_: False,
    }
    return InterpretedNames(known, calls)


def _backend_classes(registry: Module) -> dict[str, str]:
    """Return member of AttentionBackendEnum -> dotted path of its class."""
    found: dict[str, str] = {}
    for node in ast.walk(registry.tree):
        if isinstance(node, ast.ClassDef) and node.name == "AttentionBackendEnum":
            for entry in node.body:
                match entry:
                    case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(path))):
                        found[name] = path
                    case _:
                        continue
    return found


def _vllm(asked: ChoiceQuestion, order: FunctionNode, table: Mapping[str, str], scope: Scope) -> str:
    for name in _list_in_order(asked, order, scope):
        ref = _find_class(scope.package, table.get(name, ""))
        if ref is None:
            # a class that was not found may be the one that takes it: the next in order would be a guess
            raise Undecided(f"the class of {name}")
        if _supports_question(ref, asked, scope.package):
            return name
    return "none"


def _list_in_order(asked: ChoiceQuestion, order: FunctionNode, scope: Scope) -> list[str]:
    capability = Capability(*divmod(asked.sm, 10))
    values = {
        "use_mla": True,
        "device_capability": capability,
        "device_capability.major": capability.major,
        "device_capability.minor": capability.minor,
        "num_heads": HEADS,
        "kv_cache_dtype": asked.kv,
        "use_non_causal": False,
        "head_size": MLA_HEAD_SIZE,
        "use_mm_prefix": False,
    }
    quantised = {"is_quantized_kv_cache": lambda value: str(value).startswith(("fp8", "nvfp4"))}
    result, _ = answer_function(order, InterpretedNames(values, quantised), scope)
    if not isinstance(result, list):
        raise Undecided("the order of backends")
    return [entry.name for entry in result if isinstance(entry, Symbol) or hasattr(entry, "name")]


def _find_class(package: WheelSource, path: str) -> ClassRef | None:
    module = package.module(path.rpartition(".")[0])
    found = package.find(module, path.rpartition(".")[2]) if module else None
    return ClassRef(found[0], found[1]) if found and isinstance(found[1], ast.ClassDef) else None


def _supports_question(ref: ClassRef, asked: ChoiceQuestion, package: WheelSource) -> bool:
    """Return whether the class is sparse and supports this GPU and KV dtype."""
    values = {
        "capability": Capability(*divmod(asked.sm, 10)),
        "capability.major": asked.sm // 10,
        "capability.minor": asked.sm % 10,
    }
    sparse = _said(ref, "is_sparse", InterpretedNames({}), package)
    capable = _said(ref, "supports_compute_capability", InterpretedNames(values), package)
    # a class without the method takes every GPU; one whose method cannot be followed is not ruled out
    return bool(sparse) and capable is not False and _takes_kv(ref, asked.kv, package)


def _takes_kv(ref: ClassRef, kv: str, package: WheelSource) -> bool:
    for part in list_lineage(ref, package):
        for node in part.node.body:
            match node:
                case ast.AnnAssign(target=ast.Name(id="supported_kv_cache_dtypes"), value=value) if value:
                    return _lists(evaluate_node(value, Scope(package, part.module)), kv)
                case _:
                    continue
    return True


def _lists(listed: Any, kv: str) -> bool:
    """Return whether the class lists the KV dtype. Some releases rewrite a model's KV dtype first (bfloat16 to auto,
    fp8 to fp8_ds_mla); such a case raises Undecided."""
    if not isinstance(listed, list) or not listed:
        return True
    rewritten = {"bfloat16": "auto", "fp8": "fp8_ds_mla"}.get(kv)
    if kv not in listed and rewritten in listed:
        raise Undecided(f"whether {kv} becomes {rewritten}")
    return kv in listed


def _said(ref: ClassRef, method: str, question: InterpretedNames, package: WheelSource) -> Any:
    """Return the answer of a class method, looked up through the bases; UNKNOWN where it cannot be followed."""
    for part in list_lineage(ref, package):
        for node in part.node.body:
            if isinstance(node, ast.FunctionDef) and node.name == method:
                return answer_function(node, question, Scope(package, part.module))[0]
    return UNKNOWN


def list_lineage(ref: ClassRef, package: WheelSource) -> Iterator[ClassRef]:
    yield ref
    for base in ref.node.bases:
        parent = evaluate_node(base, Scope(package, ref.module))
        if isinstance(parent, ClassRef):
            yield from list_lineage(parent, package)
