"""Packed integers: AWQ packs eight values along the output, GPTQ along the input, under the same names and dtypes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from matrix.preflight.checkpoints.files import Tensor
from matrix.preflight.checkpoints.quant_map import QuantMap
from matrix.preflight.checkpoints.remark import make_remark
from matrix.preflight.verdict import Remark

BITS = {"int4": 4, "int8": 8}
WORD_BITS = 32  # values are packed into words of I32
ALONG = {"awq": "the output", "gptq": "the input"}


def judge_packing(read: QuantMap, modules: Mapping[str, Mapping[str, Tensor]]) -> Iterator[Remark]:
    """Tell weights that are packed as the other method does it: their bytes fit no parameter, or fit turned around."""
    said = next((method for method in ALONG if read.method.startswith(method)), None)
    values = WORD_BITS // BITS[read.algorithm] if read.algorithm in BITS else 0
    if said is None or not values:
        return
    wrong = sorted(
        module for module, held in modules.items() if (way := find_packing(held, values)) is not None and way != said
    )
    if wrong:
        other = next(method for method in ALONG if method != said)
        yield make_remark(
            "error",
            "packing",
            f"{wrong[0]}.qweight",
            f"{read.source} says {read.method}, and {len(wrong)} weights are packed along {ALONG[other]}, as {other} "
            f"packs them: {wrong[0]}.qweight",
            effect="size mismatch at load, or noise",
            remedy=f"quant_method: {other}, or convert again",
        )


def find_packing(held: Mapping[str, Tensor], values: int) -> str | None:
    """Say by which method a weight is packed: scales have a column for each output. None where neither fits."""
    weight, scales = held.get("qweight"), held.get("scales")
    if weight is None or scales is None or len(weight.shape) != 2 or len(scales.shape) != 2:
        return None
    outputs = scales.shape[1]
    if weight.shape[1] * values == outputs:
        return "awq"
    return "gptq" if weight.shape[1] == outputs else None
