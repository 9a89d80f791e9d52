"""How a checkpoint stores q_a_proj and kv_a_proj, which SGLang joins into one matrix by the name of the method.

    packed (AWQ, GPTQ)   qweight (inputs, outputs / 8)   joined along dimension 1
    dense                weight (outputs, inputs)        joined along dimension 0

Source: models/deepseek_common/deepseek_weight_loader.py:427-474 of SGLang 0.5.23 (fact sglang_joins_a_proj_by_method).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from matrix.checking.model_config import Model
from matrix.checking.settings import UNKNOWN
from matrix.preflight.checkpoints.files import CheckpointFiles
from matrix.preflight.checkpoints.quant_map import read_maps

ALONG_OUTPUTS: Final = frozenset({"awq", "awq_marlin", "moe_wna16"})  # the loader's three names
PACKS: Final = frozenset({"awq", "awq_marlin", "gptq", "gptq_marlin", "gptqmodel"})  # methods that store a qweight
PARTS: Final = (".self_attn.q_a_proj", ".self_attn.kv_a_proj_with_mqa")
MOST_LAYERS: Final = 1024  # a stranger's config.json may claim any number of them


def add_attention_weights(facts: dict[str, Any], model: Model, config: Mapping[str, Any]) -> None:
    """Add `weights_method`, `dense_a_proj`, `packed_a_proj` and `a_proj_joined_along` (0 or 1, as SGLang does)."""
    quantization = config.get("quantization_config")
    method: Any = model.quantisation.get("method", UNKNOWN)
    if isinstance(quantization, Mapping):
        method = str(quantization.get("quant_method", "")).lower()
    elif model.given:
        method = None
    kinds = _list_kinds(facts, model, quantization, method)
    facts["weights_method"] = method
    facts["dense_a_proj"] = UNKNOWN if kinds is None else "dense" in kinds
    facts["packed_a_proj"] = UNKNOWN if kinds is None else "packed" in kinds
    named = facts["quantization"] or method
    if facts["quantization"] == "marlin":  # SGLang's word for the kernel, which it takes for awq_marlin or gptq_marlin
        named = method
    facts["a_proj_joined_along"] = UNKNOWN if named is UNKNOWN else int(named in ALONG_OUTPUTS)


def _list_kinds(facts: Mapping[str, Any], model: Model, quantization: Any, method: Any) -> set[str] | None:
    """List how the two are stored, `dense` and `packed` where layers differ; None where nothing tells."""
    stored = _read_names(model.tensors)
    if stored:  # the files have the last word: a map may leave out what it means
        return stored
    if method not in PACKS:
        return None if method is UNKNOWN else {"dense"} if method is None else set()
    if not isinstance(quantization, Mapping):
        return _read_axis(model.quantisation)
    layers = facts["layers"] if isinstance(facts["layers"], int) else 1
    read = read_maps(CheckpointFiles(config={"quantization_config": quantization}))[0]
    if read.problems:
        return None
    modules = (f"model.layers.{n}{part}" for n in range(min(max(layers, 1), MOST_LAYERS)) for part in PARTS)
    return {"packed" if read.narrows(module) else "dense" for module in modules}


def _read_names(tensors: Iterable[str]) -> set[str]:
    found = set()
    for name in tensors:
        module, _, last = name.rpartition(".")
        if module.endswith(PARTS) and last in ("weight", "qweight"):
            found.add("packed" if last == "qweight" else "dense")
    return found


def _read_axis(quantisation: Mapping[str, Any]) -> set[str] | None:
    for key, kind in (("parts", "packed"), ("excluded", "dense")):
        if "attention" in quantisation.get(key, ()):
            return {kind}
    return None
