"""The quantisation map against the tensors: are the parts that should be quantised quantised, and the excluded not?

ModelOpt writes hf_quant_config.json (`quantization.exclude_modules`) and mirrors it in config.json
(`quantization_config.ignore`); FP8 checkpoints of DeepSeek's kind list `modules_to_not_convert`; GPTQ's `dynamic` has
regular expressions, of which those that begin with `-:` exempt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal, Protocol

WIDE = ("BF16", "F16", "F32", "F64")
ROUTED = re.compile(r"\.experts\.\d+\..*weight(_packed)?$")
SHARED = re.compile(r"\.shared_experts?\..*weight(_packed)?$")
LINEAR = (".weight", ".weight_packed", ".qweight")  # the last is GPTQ's
Complaint = tuple[Literal["error", "warning", "note"], str, str, str]
SHOWN = 3  # modules named in a message


class HasDtype(Protocol):
    """What is asked of a tensor."""

    @property
    def dtype(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...


def complaints(
    config: Mapping[str, Any] | None, quant_config: Mapping[str, Any] | None, tensors: Mapping[str, HasDtype]
) -> Iterator[Complaint]:
    """Contradictions between the map and the dtypes in the headers."""
    stated = declared(config, quant_config)
    linear = {
        name: t
        for name, t in tensors.items()
        if name.endswith((".weight", ".weight_packed", ".qweight")) and len(t.shape) == 2
    }
    narrow = {name for name, t in linear.items() if t.dtype not in WIDE}
    if stated is None:
        if narrow:
            yield "error", "quantisation", "config.json", f"{len(narrow)} tensors are quantised and no file says how"
        return
    if linear and not narrow:
        yield "error", "quantisation", "config.json", "the config announces quantised weights, no tensor is"
    both = sorted(name for name in narrow if excluded(name, stated))
    if both:
        yield "error", "quantisation", both[0], f"{len(both)} excluded modules are quantised: {_some(both)}"
    if shared_experts_bf16(tensors):
        message = "shared experts are 16-bit beside quantised routed ones: their fusion must be off (sglang#29562)"
        yield "note", "shared_experts", "shared_experts", message


def declared(config: Mapping[str, Any] | None, quant_config: Mapping[str, Any] | None) -> tuple[str, ...] | None:
    """Patterns of the modules left alone; None when neither file speaks of quantisation."""
    own = (quant_config or {}).get("quantization")
    mirrored = (config or {}).get("quantization_config")
    if own is None and mirrored is None:
        return None
    lists = [
        *((own or {}).get("exclude_modules") or []),
        *((mirrored or {}).get("ignore") or []),
        *((mirrored or {}).get("exclude_modules") or []),
        *((mirrored or {}).get("modules_to_not_convert") or []),
        *(f"re:{p[2:]}" for p in (mirrored or {}).get("dynamic") or () if p.startswith("-:")),
    ]
    return tuple(dict.fromkeys(map(str, lists)))


def excluded(tensor: str, patterns: Iterable[str]) -> bool:
    """Whether a map entry covers the tensor's module: `re:` regex, glob, or a module and all below it."""
    module = tensor.rpartition(".")[0]
    return any(_covers(pattern, module) for pattern in patterns)


def _covers(pattern: str, module: str) -> bool:
    if pattern.startswith("re:"):
        return re.match(pattern[3:], module) is not None
    if any(sign in pattern for sign in "*?["):
        return fnmatchcase(module, pattern) or fnmatchcase(module, f"{pattern}.*")
    return module == pattern or module.startswith(f"{pattern}.")


def shared_experts_bf16(tensors: Mapping[str, HasDtype]) -> bool:
    """Routed experts quantised, shared ones not."""
    routed = {t.dtype for name, t in tensors.items() if ROUTED.search(name) and len(t.shape) == 2}
    shared = {t.dtype for name, t in tensors.items() if SHARED.search(name) and len(t.shape) == 2}
    return bool(shared) and shared <= set(WIDE) and bool(routed - set(WIDE))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
