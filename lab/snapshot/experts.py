"""Derive the MoE backend that a vLLM release chooses by itself, per architecture, GPU and weight format.

    "GlmMoeDsaForCausalLM sm120 moe nvfp4": "FLASHINFER_CUTLASS"    first of the oracle's order that takes it

Tensor parallel, no all-to-all, every other flag at its default. A shape may still make a kernel fall back at run time.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from lab.snapshot.chosen import GPUS, AskedMoe, answer_or_name_refusal, list_held, list_lineage
from lab.snapshot.evaluate import UNKNOWN, ClassRef, EnumMember, Scope
from lab.snapshot.interpret import InterpretedNames, Symbol, Undecided, answer_function
from lab.snapshot.locate import NotFound
from lab.snapshot.source import FunctionNode, Module, WheelSource, absolute_name, find_functions

ORACLE: Final = "vllm.model_executor.layers.fused_moe.oracle"
KEY: Final = re.compile(r"\bk[A-Z]\w+\b")  # kNvfp4Static: how weights and activations are quantised
SCHEMES: Final = {
    "fp8": ("kFp8Static128BlockSym", "kFp8Dynamic128Sym"),
    "nvfp4": ("kNvfp4Static", "kNvfp4Dynamic"),
}  # as GLM-5 is published
ELSEWHERE: Final = re.compile(r"BATCHED|AITER|XPU|CPU")  # all-to-all formats and other platforms, which are not asked


class Order(NamedTuple):
    """The function that orders the backends, and the one that names the classes behind each."""

    backends: FunctionNode
    classes: FunctionNode
    scope: Scope


def vllm_experts(package: WheelSource, architectures: Mapping[str, str]) -> dict[str, str]:
    """Return the first backend of the release's own order whose kernels take this GPU and weight format.

    Raises:
        NotFound: no such order.
    """
    orders = {form: _find_backend_order(package, form) for form in SCHEMES}
    asked = [AskedMoe(name, sm, form) for name in list_held(architectures) for sm in GPUS for form in SCHEMES]
    return {str(one): answer_or_name_refusal(lambda a=one: _choose_first(a, orders[a.form])) for one in asked}


def _find_backend_order(package: WheelSource, form: str) -> Order:
    module = package.module(f"{ORACLE}.{form}")
    if module is None:
        raise NotFound(f"no {ORACLE}.{form}")
    classes = next(find_functions(module.tree, "backend_to_kernel_cls"), None)
    # a function of its own in later releases; earlier ones order a list inside the selection
    for name in ("_get_priority_backends", f"select_{form}_moe_backend"):
        backends = next(find_functions(module.tree, name), None)
        if backends is not None and classes is not None:
            return Order(backends, classes, Scope(package, module))
    raise NotFound(f"no order of backends, or no classes behind them, in {module.path}")


def _choose_first(asked: AskedMoe, order: Order) -> str:
    for name in _list_asked(asked, order):
        found = [_supports_question(ref, asked, order.scope.package) for ref in _classes(order, name)]
        if not found:
            # before the next in order is tried: it would be chosen only if this one refuses
            raise Undecided(f"which classes stand behind {name}")
        if any(answer is True for answer in found):
            return name
        if any(answer is UNKNOWN for answer in found):
            raise Undecided(f"whether {name} takes it")
    return "none"


def _list_asked(asked: AskedMoe, order: Order) -> list[str]:
    """List the backends in order, without those that are not asked about."""
    assigned = [
        node for node in ast.walk(order.backends) if isinstance(node, ast.Assign) and "AVAILABLE" in ast.unparse(node)
    ]
    values: list[Any] = []
    question = _make_names(asked, order.scope.module)
    if order.backends.name.startswith("_get"):
        found, _ = answer_function(order.backends, question, order.scope)
        values = found if isinstance(found, list) else []
    elif assigned and isinstance(assigned[0].value, ast.List):
        values = [Symbol(node.attr) for node in assigned[0].value.elts if isinstance(node, ast.Attribute)]
    names = [entry.name for entry in values if isinstance(entry, Symbol | EnumMember)]
    if not names:
        raise Undecided("the order of MoE backends")
    return [name for name in names if ELSEWHERE.search(name) is None]


def _classes(order: Order, name: str) -> Iterator[ClassRef]:
    """Yield the classes that the branch of this backend imports and returns."""
    for node in ast.walk(order.classes):
        if isinstance(node, ast.If) and re.search(rf"\.{name}$", ast.unparse(node.test)):
            # inside the branch: vLLM imports kernels only where they are chosen
            imports = [n for n in node.body if isinstance(n, ast.ImportFrom)]
            returned = [n.id for stmt in node.body if isinstance(stmt, ast.Return) for n in _iterate_names(stmt)]
            for wanted in returned:
                source = next((i for i in imports if wanted in {a.asname or a.name for a in i.names}), None)
                ref = _find_imported_class(order.scope, source, wanted)
                if ref is not None:
                    yield ref


def _iterate_names(node: ast.AST) -> Iterator[ast.Name]:
    return (n for n in ast.walk(node) if isinstance(n, ast.Name))


def _find_imported_class(scope: Scope, source: ast.ImportFrom | None, name: str) -> ClassRef | None:
    module = scope.package.module(absolute_name(scope.module, source)) if source is not None else scope.module
    found = scope.package.find(module, name) if module else None
    return ClassRef(found[0], found[1]) if found and isinstance(found[1], ast.ClassDef) else None


def _supports_question(ref: ClassRef, asked: AskedMoe, package: WheelSource) -> Any:
    """Whether the kernels take the GPU and the quantisation: True, False or UNKNOWN."""
    parts = _both(ref, package) or (ref,)
    found = [
        _answer_of_class(part, name, asked, package) for part in parts for name in ("current_device", "quant_scheme")
    ]
    # one certain no is enough, whatever else cannot be followed
    return False if False in found else UNKNOWN if UNKNOWN in found else True


def _both(ref: ClassRef, package: WheelSource) -> tuple[ClassRef, ...]:
    """Return the two classes of one that falls back from the first to the second by shape (`get_clses`)."""
    for node in ref.node.body:
        if isinstance(node, ast.FunctionDef) and node.name == "get_clses":
            scope = Scope(package, ref.module)
            found = [
                _find_imported_class(scope, None, n.id)
                for s in node.body
                if isinstance(s, ast.Return)
                for n in _iterate_names(s)
            ]
            return tuple(part for part in found if part is not None)
    return ()


def _answer_of_class(ref: ClassRef, name: str, asked: AskedMoe, package: WheelSource) -> Any:
    for part in list_lineage(ref, package):
        for node in part.node.body:
            if isinstance(node, ast.FunctionDef) and node.name in (f"_supports_{name}", f"supports_{name}"):
                found = answer_function(node, _make_names(asked, part.module), Scope(package, part.module))[0]
                return found if found is UNKNOWN else bool(found)
    return UNKNOWN


def _make_names(asked: AskedMoe, module: Module) -> InterpretedNames:
    weights, activations = SCHEMES[asked.form]
    known: dict[str, Any] = {name: name for name in KEY.findall(module.text)}
    known |= {
        "weight_key": weights,
        "activation_key": activations,
        "moe_config.moe_parallel_config.use_deepep_v2_kernels": False,
        "moe_config.moe_parallel_config.ep_size": 1,
        "envs.VLLM_USE_DEEP_GEMM": True,
        "envs.VLLM_MOE_USE_DEEP_GEMM": True,
        "FP8_DTYPE": "fp8",
        "torch.float32": "float32",
        "weight_key.dtype": asked.form,
        "weight_key.symmetric": True,
        "weight_key.scale.static": True,
        "weight_key.scale.dtype": "float32" if asked.form == "fp8" else "fp8",
        "weight_key.scale.group_shape.row": 128 if asked.form == "fp8" else 1,
        "weight_key.scale.group_shape.col": 128 if asked.form == "fp8" else 16,
    }
    return InterpretedNames(known, _stub_platform_calls(asked.sm))


def _stub_platform_calls(sm: int) -> dict[str, Callable[..., Any]]:
    """Answer what the platform says, and that the libraries which the release pins are installed."""

    def family(number: Any = UNKNOWN, *_: Any) -> Any:
        return number // 10 == sm // 10 if isinstance(number, int) else UNKNOWN

    def exactly(number: Any = UNKNOWN, *_: Any) -> Any:
        return _number_capability(number) == sm if number is not UNKNOWN else UNKNOWN

    def at_least(number: Any = UNKNOWN, *_: Any) -> Any:
        return sm >= _number_capability(number) if number is not UNKNOWN else UNKNOWN

    def yes(*_: Any) -> bool:
        return True

    return {
        "is_cuda": yes,
        "is_cuda_alike": yes,
        "is_device_capability": exactly,
        "is_device_capability_family": family,
        "has_device_capability": at_least,
        "prioritize_humming": lambda order, *_: order,
        # of SM12x it depends on the build, which no text of the wheel tells
        "is_deep_gemm_supported": lambda *_: UNKNOWN if sm // 10 == 12 else sm >= 90,
        "cutlass_group_gemm_supported": lambda *_: UNKNOWN if sm // 10 == 12 else sm >= 90,
        "cutlass_fp4_supported": lambda *_: sm >= 100,
        "has_deep_gemm": yes,
        "supports_fp8": lambda *_: sm >= 89,
        "_move_to_front": _move_to_front,
        **dict.fromkeys(
            (
                "has_flashinfer",
                "has_flashinfer_trtllm_fused_moe",
                "has_flashinfer_cutlass_fused_moe",
                "has_flashinfer_cutedsl_moe_nvfp4",
                "has_flashinfer_cutedsl_grouped_gemm_nt_masked",
            ),
            yes,
        ),
    }


def _number_capability(value: Any) -> int:
    return value[0] * 10 + value[1] if isinstance(value, tuple) else int(value)


def _move_to_front(backends: Any, backend: Any) -> None:
    if isinstance(backends, list):
        names = [getattr(entry, "name", None) for entry in backends]
        if getattr(backend, "name", "") in names:
            backends.insert(0, backends.pop(names.index(backend.name)))
