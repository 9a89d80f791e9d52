"""Derive the MoE runner that an SGLang release chooses by itself, per architecture, GPU and weight format.

    "GlmMoeDsaForCausalLM sm100 moe nvfp4": "flashinfer_trtllm"     --moe-runner-backend after its resolution

It may stay `auto`, and then the layer decides when it is built. `nvfp4 named` asks with `--quantization` written on the
line: some GPUs' branches look at the flag alone. No all-to-all, every other flag at its default.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from lab.snapshot.chosen import (
    ARCHITECTURES,
    GPUS,
    AskedMoe,
    FoundChoice,
    answer_or_name_refusal,
    flag_defaults,
    list_held,
    sglang_function,
)
from lab.snapshot.evaluate import UNKNOWN, Scope
from lab.snapshot.interpret import InterpretedNames, follow_statements
from lab.snapshot.locate import NotFound
from lab.snapshot.source import WheelSource
from matrix.preflight.snapshot import Flag

METHODS: Final = {"fp8": "fp8", "nvfp4": "modelopt_fp4", "bf16": None}  # weight format -> quant_method of config.json
BY_MODEL: Final = "_deepseek_moe_quant_resolution"
BY_QUANTISATION: Final = ("_moe_runner_backend_quant_constraints", "_handle_moe_kernel_config")
RUNNER: Final = "moe_runner_backend"


def sglang_runners(package: WheelSource, flags: tuple[Flag, ...], architectures: Mapping[str, str]) -> dict[str, str]:
    """Return the MoE runner of the target for each question.

    Raises:
        NotFound: no function of a name that any release before gave to this decision.
    """
    by_model = _by_model(package)
    by_quantisation = sglang_function(package, BY_QUANTISATION)
    defaults = flag_defaults(flags)
    asked = [AskedMoe(name, sm, form) for name in list_held(architectures) for sm in GPUS for form in METHODS]
    asked += [AskedMoe(name, sm, "nvfp4", named=True) for name in list_held(architectures) for sm in GPUS]
    return {
        str(one): answer_or_name_refusal(lambda a=one: _choose_in_sglang(a, by_model, by_quantisation, defaults))
        for one in asked
    }


def _by_model(package: WheelSource) -> tuple[Sequence[ast.stmt], Scope]:
    """Return the statements that choose by model: a function of their own, or a branch of the one for all models."""
    try:
        found = sglang_function(package, (BY_MODEL,))
    except NotFound:
        return _branch_of_the_model(package)
    return found.function.body, found.scope


def _branch_of_the_model(package: WheelSource) -> tuple[Sequence[ast.stmt], Scope]:
    pattern = re.compile(rb"^class ServerArgs\b", re.MULTILINE)
    for module in package.search(pattern, "sglang/srt/"):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.If) and "GlmMoeDsaForCausalLM" in ast.unparse(node.test):
                for child in node.body:
                    if isinstance(child, ast.If) and _sets_the_runner_of_blackwell(child):
                        return [child], Scope(package, module)
    raise NotFound(f"no {BY_MODEL}, and no branch over GlmMoeDsaForCausalLM that sets {RUNNER}")


def _sets_the_runner_of_blackwell(node: ast.If) -> bool:
    return ast.unparse(node.test) == "is_sm100_supported()" and f"self.{RUNNER} = " in ast.unparse(node)


def _choose_in_sglang(
    asked: AskedMoe,
    by_model: tuple[Sequence[ast.stmt], Scope],
    by_quantisation: FoundChoice,
    defaults: Mapping[str, Any],
) -> str:
    # None unless named: config.json's method comes through get_quantization_config, as in the release
    values = {**defaults, "quantization": METHODS[asked.form] if asked.named else None}
    # in the order of the release: the second looks at what the first has set
    for body, scope in (by_model, (by_quantisation.function.body, by_quantisation.scope)):
        result, local = follow_statements(_deciding(body), _make_names(asked, values), scope)
        for name in ("quantization", RUNNER):
            found = result.get(name, UNKNOWN) if isinstance(result, dict) else UNKNOWN
            found = local.get(f"self.{name}", found)
            if found is not UNKNOWN:
                values[name] = found
    return str(values[RUNNER])


def _deciding(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Keep the statements that set runner or quantisation, and those without a branch that they may need."""
    # branches about other settings may hang on values that nobody knows, and would leave the runner undecided
    return [node for node in body if not isinstance(node, ast.If | ast.Assert) or _sets_runner(node)]


def _sets_runner(node: ast.AST) -> bool:
    """Whether a runner or a quantisation is assigned, returned or put into the table of overrides."""
    texts = [ast.unparse(n.targets[0]) for n in ast.walk(node) if isinstance(n, ast.Assign)]
    returned = any(isinstance(n, ast.Return) for n in ast.walk(node))
    return returned or any(re.search(rf"({RUNNER}|quantization)('\])?$", text) for text in texts)


def _make_names(asked: AskedMoe, values: Mapping[str, Any]) -> InterpretedNames:
    method = METHODS[asked.form]
    known: dict[str, Any] = {f"{owner}.{name}": value for owner in ("view", "self") for name, value in values.items()}
    known |= {
        "hf_config.architectures[0]": asked.architecture,
        "model_arch": asked.architecture,
        **{f"{owner}._quantization_explicitly_unset": False for owner in ("view", "self")},
        **{f"{owner}.speculative_algorithm": None for owner in ("view", "self")},
        "envs.SGLANG_CUTLASS_MOE.get()": False,
        "weights_cfg": {},
        "is_kimi_k2_k25_thinking_int4": False,
        "_DEEPSEEK_FAMILY_ARCHS": list(ARCHITECTURES),
        "is_gfx95_mxfp8": False,
    }
    families = {"sm90": 9, "sm100": 10, "sm110": 11, "sm120": 12}
    on = {name: asked.sm // 10 == major for name, major in families.items()}
    known |= {f"get_platform().is_{name}": here for name, here in on.items()}
    known |= {"get_platform().is_hip": False, "get_platform().is_blackwell": asked.sm >= 100}
    calls: dict[str, Callable[..., Any]] = {
        "get_quantization_config": lambda *_: method,
        "is_gfx95_supported": lambda *_: False,
        "get_bool_env_var": lambda *_: False,
        "is_blackwell_supported": lambda *_: asked.sm >= 100,
    }
    calls |= {f"is_{name}_supported": lambda *_, h=here: h for name, here in on.items()}
    return InterpretedNames(known, calls)
