"""Weights with one scale for each block of 128 rows and columns, and ranks that cut through a block.

Source: validate_fp8_block_shape and validate_fp8_block_shape_moe (quantization/utils/fp8_utils.py:1296, 1347 of vLLM
0.33.0); Fp8LinearMethod and Fp8MoEMethod (quantization/fp8.py:609, 1592 of SGLang 0.5.23; :515, 1139 of 0.5.17).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from matrix.checking.model_config import Model
from matrix.checking.settings import UNKNOWN

# weight_block_size of the published FP8 files, for a line that names them and brings no config.json.
PUBLISHED: Final = {"GLM-5": 128, "GLM-5.1": 128, "GLM-5.2": 128, "GLM-5.3": 128, "DeepSeek-V3.2": 128}


def add_block_facts(facts: dict[str, Any], model: Model, config: Mapping[str, Any]) -> None:
    """Add `cut_blocks`: in words, which width a rank gets that is no multiple of the block; None where all are."""
    facts["cut_blocks"] = None
    block, parts = read_block(model, config), _count_parts(facts)
    facts["weight_block"] = block
    if not block:
        return
    for what, key, ranks in (
        ("a routed expert", "moe_intermediate_size", parts.get("experts")),
        ("the shared expert", "moe_intermediate_size", parts.get("shared")),
        ("a dense layer", "intermediate_size", parts.get("dense")),
    ):
        width = config.get(key)
        if isinstance(width, int) and isinstance(ranks, int) and ranks > 0 and width % (block * ranks):
            # not even a whole number of columns, or one that ends within a block
            share = f"{width // ranks:,}" if width % ranks == 0 else f"{width / ranks:,.1f}"
            facts["cut_blocks"] = f"{what} of {width:,} columns over {ranks} ranks, {share} each"
            return


def read_block(model: Model, config: Mapping[str, Any]) -> int:
    """Return the rows of a block of an FP8 checkpoint; 0 where it has none, or nobody knows."""
    quantization = config.get("quantization_config")
    if not isinstance(quantization, Mapping):
        return PUBLISHED.get(model.family, 0) if not model.given and model.format == "fp8" else 0
    sizes = quantization.get("weight_block_size")
    first = sizes[0] if isinstance(sizes, list) and sizes else 0
    return first if isinstance(first, int) and first > 0 and quantization.get("quant_method") == "fp8" else 0


def _count_parts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return into how many parts each kind of layer is cut; what is not certain is left out."""
    tp, dp, ep, moe_dp = (facts[name] for name in ("tp", "dp", "ep", "moe_dp"))
    if not all(isinstance(n, int) and n > 0 for n in (tp, dp, ep, moe_dp)):
        return {}
    match facts["engine"]:
        case "vllm" if facts["expert_parallel"] is UNKNOWN:
            return {}
        case "vllm" if facts["expert_parallel"] is True:
            # experts lie whole on their ranks; with replicas the shared expert may, too
            return {"dense": tp, **({"shared": tp} if dp == 1 else {})}
        case "vllm":
            # without expert parallelism the replicas' ranks share one expert, too
            return {"experts": tp * dp, "shared": tp, "dense": tp}
        case "sglang" if facts["a2a"] in (None, "none"):
            return {"experts": tp // (ep * moe_dp)}
    return {}
